"""Does drawing a clone cost more than the generator's own forward passes?

The whole of `draw_clone` (seeds, noise, filter, PNG, hash, parquet) against the bare forward
passes of the same generator at the same batch size, in turn.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from gendata.allocator import keep_freed_memory
from gendata.benchmarks.speed.measurement import (
    Measurement,
    median_ratio,
    seconds,
    three_digits,
)
from gendata.clone import ConfidenceFilter, draw_clone
from gendata.models import load_classifier
from gendata.models.torchscript import quiet_torchscript, read_torchscript
from gendata.samplers import load_sampler
from gendata.types import Classifier, Sampler

__all__ = [
    "Counted",
    "ScriptedGenerator",
    "compare",
    "filter_classifier",
    "measure",
    "save_scripted_generator",
]

BATCH = 64
Z_DIM = 128


class ScriptedGenerator(nn.Module):
    """A random generator of 32x32 images: 50 million multiply-adds, 100 MFLOP, an image."""

    def __init__(self, classes: int = 10) -> None:
        super().__init__()
        self.embed = nn.Embedding(classes, Z_DIM)
        self.project = nn.Linear(Z_DIM, 128 * 8 * 8)
        self.to_16 = nn.Conv2d(128, 64, 3, padding=1)
        self.to_32 = nn.Conv2d(64, 48, 3, padding=1)
        self.to_image = nn.Conv2d(48, 3, 3, padding=1)

    def forward(self, z: Tensor, label: Tensor) -> Tensor:
        """Maps latents (B, 128) and labels (B,) to images (B, 3, 32, 32) in [-1, 1]."""
        x = self.project(z + self.embed(label)).view(-1, 128, 8, 8)
        x = functional.relu(self.to_16(functional.interpolate(x, scale_factor=2.0)))
        x = functional.relu(self.to_32(functional.interpolate(x, scale_factor=2.0)))
        return torch.tanh(self.to_image(x))


class Counted:
    """A sampler that counts the images it draws.

    A clone counts fewer attempts: the spare ones that fill up its last batches are made and
    thrown away, but no slot has asked for them.

    Args:
        sampler: what draws.

    Attributes:
        images: drawn so far.
    """

    def __init__(self, sampler: Sampler) -> None:
        self.sampler, self.images = sampler, 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self.sampler, name)

    def sample(self, labels: Tensor | None, seeds: Tensor) -> Tensor:
        """Draws what the sampler draws."""
        self.images += len(seeds)
        return self.sampler.sample(labels, seeds)


def save_scripted_generator(path: Path) -> Path:
    """Saves a TorchScript file with seeded random weights."""
    torch.manual_seed(0)
    with quiet_torchscript():
        torch.jit.script(ScriptedGenerator().eval()).save(str(path))
    return path


def measure() -> list[Measurement]:
    """Times the scripted generator, the embedded diffusion model and the embedded GAN."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        script = save_scripted_generator(folder / "generator.pt")
        module = read_torchscript(script)
        z, labels = torch.randn(BATCH, Z_DIM), torch.arange(BATCH) % 10
        scripted = load_sampler(f"torchscript:{script}", device="cpu", z_dim=Z_DIM, classes=10)
        accept = ConfidenceFilter(filter_classifier(), 1e-6, label="condition")
        # The sampler lays the file's weights channels last, so the row after shows that layout.
        passes = {
            ("drawing, TorchScript generator of 100 MFLOP", ">= 0.9"): module,
            ("the same beside passes as the sampler makes them", ""): scripted.module,
        }
        return [
            *(
                compare(
                    *row,
                    scripted,
                    partial(each, z, labels),
                    accept,
                    images=6400,
                    pairs=3,
                    folder=folder,
                )
                for row, each in passes.items()
            ),
            embedded("fashion-diffusion", diffusion_passes, ">= 0.9", 1280, 2, folder),
            embedded("fashion-gan", generator_passes, "", 6400, 3, folder),
        ]


def filter_classifier() -> Classifier:
    """Loads the embedded classifier."""
    return load_classifier("embedded:fashion-classifier", device="cpu")


def diffusion_passes(sampler: Any) -> Callable[[], object]:
    """The U-Net's passes for one batch: every step, with and without labels."""
    labels = torch.arange(2 * BATCH) % 10
    noise = torch.randn(2 * BATCH, *sampler.shape).to(memory_format=torch.channels_last)
    sampler.scheduler.set_timesteps(sampler.steps)
    times = list(sampler.scheduler.timesteps)
    return lambda: [
        sampler.network(noise, time.expand(2 * BATCH), class_labels=labels) for time in times
    ]


def generator_passes(sampler: Any) -> Callable[[], object]:
    """The generator's one pass for a batch."""
    z, labels = torch.randn(BATCH, sampler.z_dim), torch.arange(BATCH) % 10
    return lambda: sampler.module(z, labels)


def embedded(
    name: str,
    passes: Callable[[Any], Callable[[], object]],
    asked: str,
    images: int,
    pairs: int,
    folder: Path,
) -> Measurement:
    """Compares an embedded generator with its own network's passes."""
    sampler = load_sampler(f"embedded:{name}", device="cpu")
    accept = ConfidenceFilter(filter_classifier(), 0.8)
    return compare(
        f"drawing, embedded {name}",
        asked,
        sampler,
        passes(sampler),
        accept,
        images=images,
        pairs=pairs,
        folder=folder,
    )


def compare(
    name: str,
    asked: str,
    sampler: Sampler,
    bare: Callable[[], object],
    accept: ConfidenceFilter,
    *,
    images: int,
    pairs: int,
    folder: Path,
    batch_size: int = BATCH,
    classes: Sequence[str] | None = None,
) -> Measurement:
    """Takes images per second of both in turn; whatever was drawn counts, kept or not.

    Args:
        name: what the row of the table is called.
        asked: what is promised.
        sampler: draws the clone.
        bare: makes the network's passes for a batch.
        accept: judges the images.
        images: how many are kept each time.
        pairs: times that each is done.
        folder: where the clones are written.
        batch_size: images a batch.
        classes: classes that are drawn; None: all, of which there are ten.
    """
    count = 10 if classes is None else len(classes)
    counted: Any = Counted(sampler)
    settings: dict[str, Any] = {"filter": accept, "batch_size": batch_size, "classes": classes}

    def whole(images: int = images) -> float:
        out, counted.images = Path(tempfile.mkdtemp(dir=folder)), 0
        took = seconds(
            lambda: draw_clone(counted, images // count, out, progress=False, **settings)
        )
        return float(counted.images / took)

    def passes(images: int = images) -> float:
        batches = images // batch_size
        with torch.inference_mode(), keep_freed_memory():  # as `draw_clone` does
            took = seconds(lambda: repeat(bare, batches))
        return batches * batch_size / took

    for warm_up in (whole, passes):
        warm_up(max(2 * batch_size, count))
    ratio, whole_rate, bare_rate = median_ratio(whole, passes, repeats=pairs)
    how = (
        f"{three_digits(whole_rate)} against {three_digits(bare_rate)} images/s, "
        f"{images} kept of {counted.images} drawn, batch {batch_size}, {pairs} pairs"
    )
    return Measurement(name, asked, f"{ratio:.2f}", ratio, how)


def repeat(work: Callable[[], object], times: int) -> None:
    """Works so many times, and waits until an accelerator has done it."""
    for _ in range(times):
        work()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
