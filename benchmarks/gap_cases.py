"""Gaps of a known kind and dose, made of real images, and what they are made of."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from gendata.benchmarks.altered_images import (
    blurred,
    compressed,
    faded,
    noisy,
    shuffled,
    tinted,
)
from gendata.errors import GendataError

__all__ = ["CASES", "Case", "Pool"]


@dataclass(frozen=True)
class Pool:
    """Real images that no comparison uses as its real side.

    Attributes:
        images: uint8 (N, 3, H, W), in a random order.
        labels: (N,) int64.
        places: (N,) 0 to 1, where each stands among the images of its class, ordered along the
            direction in which their features vary most.
        count: how many images a case must return.
    """

    images: np.ndarray
    labels: np.ndarray
    places: np.ndarray
    count: int

    def where(self, kept: np.ndarray) -> Pool:
        """The images that a mask (N,) keeps."""
        return replace(
            self, images=self.images[kept], labels=self.labels[kept], places=self.places[kept]
        )

    def taken(self, every: int = 1) -> tuple[np.ndarray, np.ndarray]:
        """Images and labels: the first of all, or fewer of them with `every` copies of each.

        Raises:
            GendataError: there are too few.
        """
        count = self.count // every
        if len(self.images) < count:
            raise GendataError(
                "too few images are left to make this gap",
                found=len(self.images),
                expected=count,
                do="compare fewer, or give a larger set",
            )
        rows = np.repeat(np.arange(count), every)
        return self.images[rows], self.labels[rows]


@dataclass(frozen=True)
class Case:
    """One gap of a known kind and dose.

    Attributes:
        kind: what was done, in words.
        dose: how much of it, in words.
        make: takes a pool and returns images and labels.
    """

    kind: str
    dose: str
    make: Callable[[Pool], tuple[np.ndarray, np.ndarray]]


def _altered(change: Callable[..., np.ndarray], *values: float) -> Callable[[Pool], Any]:
    def make(pool: Pool) -> tuple[np.ndarray, np.ndarray]:
        images, labels = pool.taken()
        return change(images, *values), labels

    return make


def _without_classes(share: float) -> Callable[[Pool], Any]:
    def make(pool: Pool) -> tuple[np.ndarray, np.ndarray]:
        return _some_classes(pool, share).taken()

    return make


def _some_classes(pool: Pool, share: float) -> Pool:
    return pool.where(pool.labels >= round(share * (pool.labels.max() + 1)))


def _without_ends(share: float) -> Callable[[Pool], Any]:
    def make(pool: Pool) -> tuple[np.ndarray, np.ndarray]:
        return pool.where(pool.places >= share).taken()

    return make


def _copied(times: int) -> Callable[[Pool], Any]:
    return lambda pool: pool.taken(times)


def _two(
    share: float, *changes: tuple[Callable[..., np.ndarray], Sequence[float]]
) -> Callable[[Pool], Any]:
    """Classes left out, then changes to the images."""

    def make(pool: Pool) -> tuple[np.ndarray, np.ndarray]:
        images, labels = _some_classes(pool, share).taken()
        for change, values in changes:
            images = change(images, *values)
        return images, labels

    return make


def _doses(
    key: str,
    kind: str,
    dose: str,
    make: Callable[[Any], Callable[[Pool], Any]],
    values: Sequence[float],
) -> dict[str, Case]:
    """One case for each value, which stands in its key and, in words, in its dose."""
    return {f"{key}-{each}": Case(kind, dose.format(each), make(each)) for each in values}


BLUR = (blurred, (0.8,))
HALF_CUT = (shuffled, (4, 0.5))
SHARE = "{:.0%}"

CASES: dict[str, Case] = {
    "none": Case("other real images", "", lambda pool: pool.taken()),
    **_doses("blur", "blurred", "{} pixels", partial(_altered, blurred), (0.5, 0.8, 1.2)),
    **_doses("faded", "faded", SHARE, partial(_altered, faded), (0.3, 0.6, 1.0)),
    **_doses("tinted", "tinted", SHARE, partial(_altered, tinted), (0.1, 0.2, 0.4)),
    **_doses("noise", "noisy", "{} levels", partial(_altered, noisy), (5, 10, 20)),
    **_doses("jpeg", "JPEG", "quality {}", partial(_altered, compressed), (60, 30, 10)),
    **_doses("tiles", "tiles shuffled", "{0} x {0}", partial(_altered, shuffled), (2, 4, 8)),
    **_doses(
        "tiles-4-of",
        "4 x 4 tiles shuffled",
        "{:.0%} of the images",
        partial(_altered, shuffled, 4),
        (0.25, 0.5, 0.75),
    ),
    **_doses("classes", "classes left out", SHARE, _without_classes, (0.1, 0.3, 0.5)),
    **_doses("modes", "part of each class left out", SHARE, _without_ends, (0.2, 0.4, 0.6)),
    **_doses("copies", "images copied", "{} times", _copied, (2, 5, 20)),
    "blur+classes": Case("blurred, classes left out", "0.8 pixels, 30%", _two(0.3, BLUR)),
    "tiles+classes": Case("tiles shuffled, classes left out", "50%, 30%", _two(0.3, HALF_CUT)),
    "blur+tiles": Case("blurred, tiles shuffled", "0.8 pixels, 50%", _two(0.0, BLUR, HALF_CUT)),
}
