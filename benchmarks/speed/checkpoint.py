"""Does drawing a clone from a checkpoint of one's own cost more than its network's passes?"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from gendata.benchmarks.speed.drawing import compare, filter_classifier
from gendata.benchmarks.speed.measurement import Measurement
from gendata.clone import ConfidenceFilter
from gendata.errors import GendataError
from gendata.samplers import load_sampler
from gendata.samplers.biggan import BigganSampler
from gendata.samplers.edm import EdmSampler
from gendata.samplers.stylegan import StyleganSampler
from gendata.types import Card, Classifier

__all__ = ["AnyClasses", "bare_passes", "measure"]

MOST_CLASSES = 10  # that are drawn


class AnyClasses:
    """A classifier of some classes that does its work, and then agrees with every other class.

    Args:
        classifier: does the work.
        classes: the names that are asked for.
    """

    def __init__(self, classifier: Classifier, classes: Sequence[str]) -> None:
        self.classifier = classifier
        self.classes: Sequence[str] | None = list(classes)
        self.name: str = f"{classifier.name} for any classes"
        self.card: Card = classifier.card

    def probabilities(self, images: Tensor) -> Tensor:
        """Returns the largest probability of each image for every class, (B, K)."""
        largest = self.classifier.probabilities(images).amax(dim=1, keepdim=True)
        return largest.repeat(1, len(self.classes or ()))


def measure(
    sampler: str,
    *,
    batch_size: int = 64,
    pairs: int = 3,
    images: int = 1280,
    device: str = "auto",
    **options: Any,
) -> list[Measurement]:
    """Draws a clone (seeds, noise, filter, PNG, hash, parquet) and makes the bare passes, in turn.

    Args:
        sampler: the reference of a StyleGAN, EDM or BigGAN sampler.
        batch_size: images a batch.
        pairs: times that each is done.
        images: how many are drawn each time, of ten classes at most.
        device: "auto", "cpu", "cuda", …
        **options: of the sampler.

    Raises:
        GendataError: a sampler of another kind.
    """
    drawn = load_sampler(sampler, device=device, **options)
    passes = bare_passes(drawn, batch_size)
    names = ["image"] if drawn.classes is None else list(drawn.classes)
    # Every image is kept, so that the acceptance of a classifier that has never seen such images
    # does not decide how long it takes.
    label = "classifier" if drawn.classes is None else "condition"
    accept = ConfidenceFilter(AnyClasses(filter_classifier(), names), 1e-6, label=label)
    with tempfile.TemporaryDirectory() as folder:
        found = compare(
            f"drawing, {Path(drawn.card.origin).name}, {drawn.resolution}x{drawn.resolution}",
            ">= 0.95",
            drawn,
            passes,
            accept,
            images=images,
            pairs=pairs,
            folder=Path(folder),
            batch_size=batch_size,
            classes=names[:MOST_CLASSES],
        )
    return [found]


def bare_passes(sampler: Any, size: int) -> Callable[[], object]:
    """Returns what makes the passes of a batch through the sampler's network, on random inputs."""
    labels = None
    if sampler.classes is not None:
        labels = (torch.arange(size) % len(sampler.classes)).to(sampler.device)
    if isinstance(sampler, EdmSampler):
        return _denoising(sampler, size, labels)
    if not isinstance(sampler, StyleganSampler | BigganSampler):
        raise GendataError(
            "the passes of this sampler's network are not known here",
            found=sampler.name,
            expected="stylegan:…, edm:… or biggan:…",
        )
    z = torch.randn(size, sampler.z_dim).to(sampler.device)
    seeds = torch.arange(size)
    if isinstance(sampler, BigganSampler):
        return lambda: sampler.synthesize(z, labels)
    return lambda: sampler.synthesize(z, labels, seeds)


def _denoising(sampler: EdmSampler, size: int, labels: Tensor | None) -> Callable[[], object]:
    """One pass at the highest noise level and two at each that follows (Heun's method)."""
    side, levels = sampler.resolution, sampler.sigmas.float().tolist()
    x = torch.randn(size, sampler.network.channels, side, side, device=sampler.device)
    visits = [levels[0], *(level for level in levels[1:] for _ in range(2))]
    sigmas = [torch.full((size,), level, device=sampler.device) for level in visits]
    return lambda: [sampler.denoise(x, sigma, labels) for sigma in sigmas]
