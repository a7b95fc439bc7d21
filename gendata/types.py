"""The contracts that every part leans on: cards, images, samplers, classifiers, methods."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, runtime_checkable

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from torch import Tensor

    from gendata.training.learner import Learner

__all__ = [
    "Batch",
    "Card",
    "Classifier",
    "Described",
    "DescribingSampler",
    "Examples",
    "FiniteSampler",
    "Images",
    "Method",
    "Output",
    "Sampler",
    "Stage",
]


@dataclass(frozen=True)
class Card:
    """Where a checkpoint or an image set comes from and under which terms.

    Attributes:
        title: one line for people.
        origin: an address, a path, or "trained in this repository".
        licence: SPDX name of the file itself, or "unknown".
        training_data: what it was trained on and under which licence, or "unknown".
        sha256: hexadecimal digest of the weights or data; empty where there is no file.
        settings: everything that decides what it returns (guidance, steps, truncation, …).
    """

    title: str
    origin: str = "unknown"
    licence: str = "unknown"
    training_data: str | None = "unknown"
    sha256: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)


@runtime_checkable
class Images(Protocol):
    """A labelled image set, as every reader returns it."""

    name: str
    classes: Sequence[str]
    labels: np.ndarray  # (N,) int64

    def __len__(self) -> int:
        """Number of images."""
        ...

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        """Returns one image, uint8 (3, H, W), and its label."""
        ...


class Sampler(Protocol):
    """Draws images from a generator. One image depends on its label and its seed alone.

    Attributes:
        name: the reference it was loaded from, such as `embedded:fashion-gan`.
        classes: class names in label order; None for an unconditional generator.
        resolution: side of the square images, pixels.
        card: origin, licence, digest and settings.

    One may also have `file_options`, the names of options that say where files lie: its card has
    their digests, and a clone goes on with the same files in another place.
    """

    name: str
    classes: Sequence[str] | None
    resolution: int
    card: Card

    def sample(self, labels: Tensor | None, seeds: Tensor) -> Tensor:
        """Draws uint8 (B, 3, H, W); labels (None if unconditional) and seeds are (B,) int64.

        Raises:
            UnusableImages: some images are not finite or were withheld; it carries the others.
        """
        ...


@runtime_checkable
class FiniteSampler(Sampler, Protocol):
    """A sampler over a finite set: the seeds are row numbers, the labels are known beforehand."""

    labels: np.ndarray  # (N,) int64


class Described(NamedTuple):
    """A batch with what its sampler says of each image.

    Attributes:
        images: uint8 (B, 3, H, W); the unusable ones hold zeros.
        columns: B rows of the sampler's columns; None where it has none.
        unusable: why an image cannot be used, one word for the reject report, by row.
    """

    images: Tensor
    columns: pa.Table | None
    unusable: Mapping[int, str]


@runtime_checkable
class DescribingSampler(Sampler, Protocol):
    """A sampler that knows more of an image than its pixels: a clone stores that in columns.

    An image and its columns depend on label and seed alone, to the bit, whatever else is in the
    batch. So its batches are never filled up with spare attempts.

    Attributes:
        columns: names and types of what it says, none of them a clone's own. A struct of `bytes`
            and `path` is an image, as in a clone's column `image`.
        free_options: options of it that change no image, such as a number of processes; a clone
            does not record them.
    """

    columns: pa.Schema
    free_options: Collection[str]

    def sample_described(self, labels: Tensor | None, seeds: Tensor) -> Described:
        """Draws what `sample` draws, and describes it; unusable images raise nothing here."""
        ...


class Classifier(Protocol):
    """A frozen classifier that owns its resize and its normalisation."""

    name: str
    classes: Sequence[str] | None
    card: Card

    def probabilities(self, images: Tensor) -> Tensor:
        """Returns probabilities (B, K) float32 for images uint8 (B, 3, H, W)."""
        ...


class Output(NamedTuple):
    """What a network returns: logits (B, K) and the features (B, D) of its tap, pooled."""

    logits: Tensor
    features: Tensor


class Examples(NamedTuple):
    """A batch of one source.

    Attributes:
        images: uint8 (B, 3, H, W), augmented.
        labels: int64 (B,).
        rows: int64 (B,), which image of the source each one is.
        views: int64 (B,), which of the source's fixed augmentations; -1 where it is a fresh one.
    """

    images: Tensor
    labels: Tensor
    rows: Tensor
    views: Tensor


Batch = Mapping[str, Examples]
"""One batch by source name: "synthetic", "real" or "mixed", as the stage asks."""


@dataclass(frozen=True)
class Stage:
    """A share of the epochs in which a method sees some sources.

    Attributes:
        share: share of all epochs, between 0 and 1; the shares of a method sum to 1.
        sources: "synthetic", "real" or "mixed" (their union); the first sets the epoch's length,
            the others cycle, reshuffled at each pass.
    """

    share: float
    sources: tuple[str, ...]


class Method(Protocol):
    """One way to train a classifier; it owns its gradient.

    Heads and discriminators that `prepare` gives to `learner.add` are trained, saved and restored
    with the network. A method that keeps more than that across steps also defines `state_dict()`
    and `load_state_dict(state)`, in tensors and plain values, so that a killed run can go on. One
    that changes with its stages defines `begin_stage(number)`, called before a stage's first
    epoch, numbered from 0; a run resumed within a stage does not call it again. One that cannot
    train every network defines `check(network, *, download)`, which raises a GendataError for one
    that does not fit, on the CPU: a study asks it before it draws or trains anything.
    """

    stages: Sequence[Stage]

    def prepare(self, learner: Learner) -> None:
        """Builds teachers, heads and discriminators of its own, once."""
        ...

    def step(self, batch: Batch, progress: float) -> Mapping[str, float | Tensor]:
        """Makes one update; progress runs from 0 to 1 over all stages. Returns scalars to log.

        Tensors may stay on the device: they are averaged there and read once an epoch.
        """
        ...
