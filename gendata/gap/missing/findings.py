"""Which real images were found to be missing, and what each figure means."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from gendata.gap.measures.intervals import Estimate
from gendata.gap.missing.groups import MissingGroup

__all__ = ["DEFINITIONS", "ClassShare", "Missing"]

DEFINITIONS = {
    "uncovered": "Share of real images without a synthetic image nearby: none lies nearer than "
    "the image's fifth nearest real image, by the encoder's features (1 - coverage, Naeem et al. "
    "2020, 'Reliable Fidelity and Diversity Metrics for Generative Models').",
    "floor": "Share that would be uncovered if the clone's images were as many other real ones: "
    "what is left to chance. It shrinks as the clone grows.",
    "gain": "How much of all real images is uncovered in this group beyond the floor, in points: "
    "what a generator that learnt this content would gain.",
    "remoteness": "How far away the nearest synthetic image is, in units of the distance to the "
    "fifth nearest real image; the median over the group's uncovered images. 1 is the border.",
}


@dataclass(frozen=True)
class ClassShare:
    """One class of the real images.

    Attributes:
        name: of the class.
        size: how many real images it has.
        uncovered: how many of them are.
        share: the same as a share.
        gain: uncovered beyond the floor, as a share of all real images; may be below zero.
    """

    name: str
    size: int
    uncovered: int
    share: Estimate
    gain: float

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {**vars(self), "share": self.share.to_json()}


@dataclass(frozen=True)
class Missing:
    """What `find_missing` found.

    Attributes:
        share: of the real images that are uncovered, between 0 and 1.
        floor: the share that chance leaves uncovered.
        per_class: one entry for each class that has real images, the largest gain first.
        groups: groups within classes, the largest gain first.
        themes: groups across classes, the largest gain first.
        rows: (n,) int64 all uncovered images, the most remote first.
        remoteness: (N,) of every real image: distance to the nearest synthetic image over the
            radius of its ball; below 1 if it is covered, nan where the radius is 0.
        images: (real, synthetic) how many there are.
        nearest_k: which neighbour a ball reaches to.
        encoder: the encoder's card, as plain data.
    """

    share: Estimate
    floor: float
    per_class: tuple[ClassShare, ...]
    groups: tuple[MissingGroup, ...]
    themes: tuple[MissingGroup, ...]
    rows: np.ndarray
    remoteness: np.ndarray
    images: tuple[int, int]
    nearest_k: int
    encoder: dict[str, Any]

    @property
    def excess(self) -> float:
        """Uncovered share beyond the floor; below zero where it is less than by chance."""
        return self.share.value - self.floor

    @property
    def is_beyond_chance(self) -> bool:
        """Whether the whole interval of the share lies above the floor."""
        return self.share.low > self.floor

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        real, synthetic = self.images
        return {
            "share": self.share.to_json(),
            "floor": self.floor,
            "per_class": [each.to_json() for each in self.per_class],
            "groups": [each.to_json() for each in self.groups],
            "themes": [each.to_json() for each in self.themes],
            "rows": self.rows.tolist(),
            "images": {"real": real, "synthetic": synthetic},
            "nearest_k": self.nearest_k,
            "encoder": self.encoder,
        }
