"""Is drawing slower than the official code on the same checkpoint, device and batch size?

The official code is a clone of its repository that the user has. It runs in a process of its own
(`official_driver`), which waits while this one draws and the other way round. Both go from seeds
and labels to bytes.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gendata.allocator import keep_freed_memory
from gendata.benchmarks.speed import official_driver
from gendata.benchmarks.speed.measurement import (
    Measurement,
    median_ratio,
    seconds,
    three_digits,
)
from gendata.errors import GendataError
from gendata.samplers import load_sampler
from gendata.samplers.biggan import BigganSampler, truncated_latents
from gendata.samplers.edm import EdmSampler, heun_sampler
from gendata.samplers.stylegan import StyleganSampler
from gendata.seeds import image_noise

__all__ = ["measure"]

# What a repository has in its root, by the kind of its checkpoints.
LANDMARKS = {
    "stylegan": "legacy.py",
    "edm": "generate.py",
    "biggan": "pytorch_pretrained_biggan",
}


def measure(
    sampler: str,
    official: str | Path,
    *,
    batch_size: int = 8,
    pairs: int = 5,
    device: str = "auto",
    **options: Any,
) -> list[Measurement]:
    """Times the sampler beside the official code, batch by batch in turn.

    Args:
        sampler: the reference, such as "stylegan:G.pkl".
        official: a clone of the official repository, which is trusted: its code and what the
            checkpoint names and carries are run.
        batch_size: images a batch.
        pairs: batches drawn by each.
        device: "auto", "cpu", "cuda", …
        **options: of the sampler.

    Raises:
        GendataError: a sampler or a folder without an official counterpart here, or the official
            code failed.
    """
    ours: Any = load_sampler(sampler, device=device, **options)
    kind, settings = settings_of(ours)
    clone = _clone(official, kind)
    settings |= {
        "kind": kind,
        "clone": str(clone),
        "checkpoint": str(Path(ours.card.origin).resolve()),
        "device": str(ours.device),
        "threads": torch.get_num_threads(),
    }
    labels = None if ours.classes is None else torch.arange(batch_size) % len(ours.classes)

    def batch(start: int) -> Tensor:
        return torch.arange(start * batch_size, (start + 1) * batch_size)

    def draw(start: int) -> float:
        return batch_size / seconds(lambda: ours.sample(labels, batch(start)).cpu())

    with official_code(settings) as ask, keep_freed_memory():  # as `draw_clone` does
        listed = None if labels is None else labels.tolist()

        def theirs(start: int) -> float:
            request = {"do": "draw", "seeds": batch(start).tolist(), "labels": listed}
            return batch_size / ask(request)["seconds"]

        for warm_up in (draw, theirs):
            warm_up(0)
        ours_at, theirs_at = iter(range(1, pairs + 1)), iter(range(1, pairs + 1))
        ratio, first, second = median_ratio(
            lambda: draw(next(ours_at)), lambda: theirs(next(theirs_at)), pairs
        )
        shown = difference(ours, ask, batch(0), labels)
    how = (
        f"{three_digits(first)} against {three_digits(second)} images/s, batch {batch_size}, "
        f"{pairs} pairs; {shown}"
    )
    side = f"{ours.resolution}x{ours.resolution}"
    name = f"drawing / the official code, {Path(ours.card.origin).name}, {side}"
    return [Measurement(name, ">= 1", f"{ratio:.2f}", ratio, how)]


def settings_of(sampler: Any) -> tuple[str, dict[str, Any]]:
    """Returns the kind of a sampler, and what the official code is told to draw as it does."""
    settings = sampler.card.settings
    if isinstance(sampler, StyleganSampler):
        names = ("psi", "cutoff", "noise_mode", "network")
        return "stylegan", {name: settings[name] for name in names}
    if isinstance(sampler, EdmSampler):
        theirs = {
            "num_steps": "steps",
            "sigma_min": "sigma_min",
            "sigma_max": "sigma_max",
            "rho": "rho",
            "S_churn": "churn",
            "S_min": "churn_min",
            "S_max": "churn_max",
            "S_noise": "churn_noise",
        }
        found = {name: settings[own] for name, own in theirs.items() if settings[own] is not None}
        return "edm", {"network": settings["network"], "sampler": found}
    if isinstance(sampler, BigganSampler):
        return "biggan", {"truncation": sampler.truncation}
    raise GendataError(
        "there is no official code to compare this sampler with here",
        found=sampler.name,
        expected=", ".join(f"{kind}:…" for kind in LANDMARKS),
    )


def _clone(path: str | Path, kind: str) -> Path:
    clone = Path(path).expanduser().resolve()
    if not (clone / LANDMARKS[kind]).exists():
        raise GendataError(
            f"{path} is no clone of an official repository for {kind}",
            found=f"no {LANDMARKS[kind]} in it",
            expected="the folder that `git clone` made",
        )
    return clone


@contextlib.contextmanager
def official_code(
    settings: dict[str, Any],
) -> Iterator[Callable[[dict[str, Any]], dict[str, Any]]]:
    """Starts the official code; yields what sends it a request and returns its answer."""
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as errors:
        process = subprocess.Popen(
            [sys.executable, str(official_driver.__file__), json.dumps(settings)],
            cwd=settings["clone"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )
        assert process.stdin is not None and process.stdout is not None
        requests, replies = process.stdin, process.stdout

        def receive() -> dict[str, Any]:
            line = replies.readline()
            answer = json.loads(line) if line else {"error": f"it ended: {_last_line(errors)}"}
            if "error" in answer:
                raise GendataError(
                    f"the official code in {settings['clone']} failed",
                    found=answer["error"],
                    do="see that its own script draws from this checkpoint in this environment",
                )
            return answer

        def ask(request: dict[str, Any]) -> dict[str, Any]:
            requests.write(json.dumps(request) + "\n")
            requests.flush()
            return receive()

        try:
            receive()
            yield ask
        finally:
            process.kill()
            process.communicate()


def _last_line(errors: Any) -> str:
    errors.seek(0)
    return (errors.read().strip().splitlines() or ["without a word"])[-1][:200]


def difference(
    sampler: Any,
    ask: Callable[[dict[str, Any]], dict[str, Any]],
    seeds: Tensor,
    labels: Tensor | None,
) -> str:
    """Says how far the images of both are apart for the same latents."""
    if isinstance(sampler, EdmSampler) and sampler.card.settings["churn"]:
        return "images not compared: churn is random"
    if sampler.card.settings.get("noise_mode") == "random":
        return "images not compared: each draws noise of its own"
    latents, images = synthesized(sampler, seeds, labels)
    with tempfile.TemporaryDirectory() as folder:
        given, out = Path(folder) / "latents.npy", Path(folder) / "images.npy"
        np.save(given, latents.cpu().numpy())
        listed = None if labels is None else labels.tolist()
        ask({"do": "images", "latents": str(given), "labels": listed, "out": str(out)})
        theirs = torch.from_numpy(np.load(out))
    largest = (images.cpu().float() - theirs).abs().max() / theirs.std()
    return f"images differ by at most {largest:.1g} of their standard deviation"


@torch.inference_mode()
def synthesized(sampler: Any, seeds: Tensor, labels: Tensor | None) -> tuple[Tensor, Tensor]:
    """Returns latents for seeds (B,) and the sampler's images (B, C, H, W) of them, about ±1."""
    if isinstance(sampler, EdmSampler):
        side = sampler.resolution
        latents = image_noise(seeds, (sampler.network.channels, side, side), sampler.device)
        return latents, heun_sampler(
            lambda x, sigma: sampler.denoise(x, sigma, labels), latents, sampler.sigmas
        )
    if isinstance(sampler, BigganSampler):
        latents = truncated_latents(seeds, sampler.z_dim, sampler.truncation)
    else:
        latents = image_noise(seeds, (sampler.z_dim,))
    return latents, sampler.synthesize(latents, labels)
