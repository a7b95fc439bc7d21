"""How fast are rendered images, and how much of the time is the renderer's own?

A clone of the embedded objects is drawn on two cores, with the default preset. Beside it, a loop
as most people write it renders some of the same images.
"""

from __future__ import annotations

import json
import math
import os
import statistics
import subprocess
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

import torch

from gendata.benchmarks.speed.measurement import (
    Measurement,
    median_ratio,
    seconds,
    three_digits,
)
from gendata.clone import draw_clone
from gendata.errors import GendataError
from gendata.render.blender import Blender, find_blender
from gendata.samplers import load_sampler

__all__ = ["measure"]

CORES = 2
RESOLUTION = 128
PER_CLASS = 40  # images that are timed, of each of twelve classes
WARM_UP = 20  # the same before: by then each worker has loaded nine of ten meshes
PAIRS, PAIRED = 3, 96  # one worker against two
PLAIN = 12  # images of the plain loop, after one that is not counted
ON_GPU = 256  # side of the images there
BATCH = 256
TASK2SIM = "Mishra et al. (2022, Task2Sim) publish 23 a second on a V100"


def measure() -> list[Measurement]:
    """Draws clones of rendered images; without Blender, one row says so."""
    try:
        blender = find_blender()
    except GendataError as error:
        return [Measurement("rendering", "", "skipped", math.nan, str(error))]
    with tempfile.TemporaryDirectory() as name, ExitStack() as opened:
        folder = Path(name)
        with two_cores() as cores:
            several = opened.enter_context(closing(_sampler(workers=cores)))
            found = drawn(several, folder, cores)
            found.append(beside_plain_loop(several, blender, folder))
            if cores > 1:
                single = opened.enter_context(closing(_sampler(workers=1)))
                found.append(beside_one_worker(several, single, cores))
        return [*found, *on_gpu(folder)]


@contextmanager
def two_cores() -> Iterator[int]:
    """Keeps this process, and those it starts, on two cores; yields how many there are."""
    if not hasattr(os, "sched_setaffinity"):
        yield min(CORES, os.cpu_count() or 1)
        return
    before = os.sched_getaffinity(0)
    chosen = sorted(before)[:CORES]
    os.sched_setaffinity(0, chosen)
    try:
        yield len(chosen)
    finally:
        os.sched_setaffinity(0, before)


def drawn(sampler: Any, folder: Path, cores: int) -> list[Measurement]:
    """Draws a clone: images a second, and the renderer's share of the workers' time."""
    _rate_of_clone(sampler, WARM_UP, folder)
    before = Counter(sampler.pool.seconds)
    rate = _rate_of_clone(sampler, PER_CLASS, folder)
    spent = Counter(sampler.pool.seconds)
    spent.subtract(before)
    whole = spent["work"] + spent["send"] + spent["wait"]
    share = spent["engine"] / whole
    parts = ("engine", "blender", "arrange", "read", "load", "send", "wait")
    split = ", ".join(f"{name} {spent[name] / whole:.1%}" for name in parts)
    images = PER_CLASS * len(sampler.classes)
    how = f"{images} kept, {RESOLUTION}x{RESOLUTION}, preset s2rda, {cores} pinned workers"
    shown = three_digits(rate)
    return [
        Measurement("rendered images a second, drawn as a clone", ">= 20", shown, rate, how),
        Measurement("Cycles / a worker's time", ">= 0.85", f"{share:.2f}", share, split),
    ]


def beside_one_worker(several: Any, single: Any, cores: int) -> Measurement:
    """Compares pinned workers of one thread with one worker of as many threads."""
    for sampler in (several, single):
        _rate(sampler, WARM_UP * len(sampler.classes))
    ratio, first, second = median_ratio(
        lambda: _rate(several, PAIRED), lambda: _rate(single, PAIRED), PAIRS
    )
    how = (
        f"{three_digits(first)} against {three_digits(second)} images/s, {PAIRED} images, "
        f"{PAIRS} pairs"
    )
    name = f"{cores} pinned workers of one thread / one worker of {cores}"
    return Measurement(name, ">= 1.1", f"{ratio:.2f}", ratio, how)


def beside_plain_loop(sampler: Any, blender: Blender, folder: Path) -> Measurement:
    """Compares with a loop that imports, builds, renders and goes through a PNG file.

    The loop has both cores too. Its denoiser and the rest of Cycles are as Blender sets them up.
    """
    labels, seeds = _wanted(sampler, PLAIN + 1)
    images = [
        sampler.parameters(*pair) for pair in zip(labels.tolist(), seeds.tolist(), strict=True)
    ]
    asked = {
        "images": [
            {
                "path": sampler.library.file(each.object.object).path,
                "parameters": json.loads(each.to_json()),
            }
            for each in images
        ],
        "resolution": sampler.settings.resolution,
        "samples": sampler.settings.samples,
    }
    first, *took = _run_plain(blender, asked, folder)
    plain = 1 / statistics.mean(took)
    repeats = max(1, PAIRED // len(took))
    again = (labels[1:].repeat(repeats), seeds[1:].repeat(repeats))
    rate = len(took) * repeats / seconds(lambda: sampler.sample_described(*again))
    how = (
        f"{three_digits(rate)} against {three_digits(plain)} images/s, the same {len(took)} "
        f"parameters, {sampler.settings.samples} samples; the loop's first took {first:.1f} s"
    )
    name = "rendering / a plain loop: import, nodes, default Cycles, PNG"
    return Measurement(name, "", f"{rate / plain:.1f}", rate / plain, how)


def _run_plain(blender: Blender, asked: dict[str, Any], folder: Path) -> list[float]:
    """Runs the plain loop in Blender; returns the seconds of each image.

    Raises:
        GendataError: it failed.
    """
    script = str(Path(__file__).with_name("plain_render.py"))
    question, answer = folder / "plain.json", folder / "plain-answer.json"
    question.write_text(json.dumps(asked), encoding="utf-8")
    words = [blender.path, "-P", script]
    if not blender.is_python:
        words = [blender.path, "--background", "--factory-startup"]
        words += ["--python-exit-code", "1", "--python", script, "--"]
    done = subprocess.run(
        [*words, str(question), str(answer)],
        env=blender.environment(),
        capture_output=True,
        text=True,
        errors="replace",
    )
    if done.returncode:
        raise GendataError("the plain loop fails in Blender", found=done.stderr[-600:])
    took: list[float] = json.loads(answer.read_text(encoding="utf-8"))
    return took


def on_gpu(folder: Path) -> list[Measurement]:
    """Draws a clone on a GPU; no row where there is none."""
    if not torch.cuda.is_available():
        return []
    with closing(_sampler(device="auto", resolution=ON_GPU)) as sampler:
        _rate_of_clone(sampler, WARM_UP, folder)
        rate = _rate_of_clone(sampler, PER_CLASS, folder)
    name = f"rendered images a second on a GPU, {ON_GPU}x{ON_GPU}"
    how = f"{torch.cuda.get_device_name()}, {sampler.settings.device}; {TASK2SIM}"
    return [Measurement(name, "", three_digits(rate), rate, how)]


def _sampler(device: str = "cpu", resolution: int | None = None, **options: Any) -> Any:
    chosen = RESOLUTION if resolution is None else resolution
    return load_sampler("blender:embedded", device=device, resolution=chosen, **options)


def _rate_of_clone(sampler: Any, per_class: int, folder: Path) -> float:
    """Images a second, those that hide their object included."""
    out = Path(tempfile.mkdtemp(dir=folder))
    took = seconds(lambda: draw_clone(sampler, per_class, out, batch_size=BATCH, progress=False))
    rejects = json.loads((out / "rejects.json").read_text(encoding="utf-8"))
    return float(rejects["attempts"]) / took


def _rate(sampler: Any, images: int) -> float:
    """Images a second, without what a clone adds."""
    return images / seconds(lambda: sampler.sample_described(*_wanted(sampler, images)))


def _wanted(sampler: Any, images: int) -> tuple[torch.Tensor, torch.Tensor]:
    labels = torch.arange(images) % len(sampler.classes)
    return labels, 1_000_003 * torch.arange(images)
