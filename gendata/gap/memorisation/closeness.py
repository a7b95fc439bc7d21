"""How close images are to the training images, in features and in pixels, and the closest pairs.

The steps behind `gendata.gap.memorisation.measure`, the same for synthetic and for held-out real
images. All rows are places among the features.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from gendata.errors import GendataError
from gendata.gap.measures.memorisation import (
    NEIGHBOURHOOD,
    Threshold,
    authentic,
    authentic_left_out,
    relative_distances,
    rows_of_same,
    same_elsewhere,
)
from gendata.gap.measures.neighbours import Neighbours, nearest
from gendata.gap.measures.thumbnails import mirror_images, nearest_either_way
from gendata.gap.memorisation.pixels import Pixels

__all__ = [
    "COPY",
    "KINDS",
    "LOOK_ALIKE",
    "NEAR_DUPLICATE",
    "Closeness",
    "Pair",
    "PixelCloseness",
    "Thresholds",
    "TrainingSet",
    "closeness_left_out",
    "closeness_to",
    "kinds_of",
    "suspicious_pairs",
]

COPY, NEAR_DUPLICATE, LOOK_ALIKE = KINDS = ("copy", "close in pixels", "close in features")
LEAST_TRAINING = 3  # a training image, its neighbour, and another one to compare them with


@dataclass(frozen=True)
class TrainingSet:
    """The N images that a generator was trained on.

    Attributes:
        values: (N, D) features.
        pixels: of the same images; None where only features are compared.
        between: their nearest other training images in features, (N, K).
    """

    values: np.ndarray
    pixels: Pixels | None
    between: Neighbours

    @classmethod
    def of(cls, values: np.ndarray, pixels: Pixels | None) -> TrainingSet:
        """Finds the neighbours.

        Raises:
            GendataError: there are fewer than three images, or features are not finite.
        """
        if len(values) < LEAST_TRAINING:
            raise GendataError(
                "too few training images to look for copies of them",
                found=len(values),
                expected=f"{LEAST_TRAINING} or more",
            )
        count = min(NEIGHBOURHOOD, len(values) - 1)
        return cls(values, pixels, nearest(values, values, count, exclude_self=True))

    @property
    def neighbourhood(self) -> int:
        """How many training images the nearest one is compared with."""
        return self.between.rows.shape[1]


@dataclass(frozen=True)
class PixelCloseness:
    """M images beside the training images, by their pixels.

    Attributes:
        rows: (M,) int64 the nearest training image in thumbnails, either way round.
        relative: (M,) its distance over the mean distance to the nearest fifty, in [0, 1].
        copies: (M,) bool, all pixels those of a training image or of its mirror image.
    """

    rows: np.ndarray
    relative: np.ndarray
    copies: np.ndarray


@dataclass(frozen=True)
class Closeness:
    """M images beside the training images.

    Attributes:
        rows: (M,) int64 the nearest training image in features.
        distances: (M,) float32 the distance to it.
        relative: (M,) over the mean distance to the nearest fifty, in [0, 1].
        authentic: (M,) bool.
        pixels: the same by pixels; None without them.
    """

    rows: np.ndarray
    distances: np.ndarray
    relative: np.ndarray
    authentic: np.ndarray
    pixels: PixelCloseness | None = None


@dataclass(frozen=True)
class Thresholds:
    """How close is suspicious, in features and, where there are pixels, in thumbnails."""

    features: Threshold
    pixels: Threshold | None


@dataclass(frozen=True)
class Pair:
    """A suspicious synthetic image and the training image that it is close to.

    Attributes:
        kind: one of KINDS.
        synthetic: row of the synthetic image.
        real: row of the training image.
        mirrored: whether the mirror image is the closer one.
        feature_distance: Euclidean, in the encoder's units.
        pixel_distance: of the thumbnails, 0 for the same picture, 1.41 for unrelated ones; nan
            without pixels.
        as_close: share of held-out real images that are as close to a training image, itself
            counted as one of them: a p-value, in (0, 1].
    """

    kind: str
    synthetic: int
    real: int
    mirrored: bool
    feature_distance: float
    pixel_distance: float
    as_close: float

    def to_json(self) -> dict[str, Any]:
        """Plain values; a distance that is unknown becomes null."""
        known = np.isfinite(self.pixel_distance)
        return {**vars(self), "pixel_distance": self.pixel_distance if known else None}


def closeness_to(train: TrainingSet, values: np.ndarray, pixels: Pixels | None) -> Closeness:
    """Compares other images, features (M, D) and their pixels, with the training images."""
    found = nearest(values, train.values, train.neighbourhood)
    in_pixels = None
    if train.pixels is not None and pixels is not None:
        seen, _ = nearest_either_way(
            pixels.thumbnails, train.pixels.thumbnails, train.neighbourhood
        )
        copies = np.isin(pixels.digests, train.pixels.digests)
        copies |= np.isin(pixels.mirrored, train.pixels.digests)
        in_pixels = PixelCloseness(seen.rows[:, 0], relative_distances(seen), copies)
    return _closeness(found, authentic(found, train.between), in_pixels)


def closeness_left_out(train: TrainingSet) -> Closeness:
    """Compares every training image with all the others, as if it were a new one."""
    in_pixels = None
    if train.pixels is not None:
        pictures = train.pixels.thumbnails
        seen, _ = nearest_either_way(pictures, pictures, train.neighbourhood, exclude_self=True)
        copies = same_elsewhere(train.pixels.digests, train.pixels.mirrored)
        in_pixels = PixelCloseness(seen.rows[:, 0], relative_distances(seen), copies)
    return _closeness(train.between, authentic_left_out(train.between), in_pixels)


def kinds_of(
    closeness: Closeness, thresholds: Thresholds, *, held_out: bool = False
) -> np.ndarray:
    """What each image is suspected to be, (M,) text, one of KINDS or empty; the gravest counts.

    Args:
        closeness: of the images.
        thresholds: how close is suspicious.
        held_out: the images are those that the thresholds come from.
    """
    kinds = np.full(len(closeness.rows), "", dtype="U17")
    kinds[thresholds.features.exceeded_by(closeness.relative, held_out=held_out)] = LOOK_ALIKE
    if closeness.pixels is not None and thresholds.pixels is not None:
        near = thresholds.pixels.exceeded_by(closeness.pixels.relative, held_out=held_out)
        kinds[near] = NEAR_DUPLICATE
        kinds[closeness.pixels.copies] = COPY
    return kinds


def suspicious_pairs(
    train: TrainingSet,
    values: np.ndarray,
    pixels: Pixels | None,
    closeness: Closeness,
    thresholds: Thresholds,
    count: int,
) -> tuple[Pair, ...]:
    """The most suspicious pairs first, at most `count`: by kind, then by how close they are.

    Args:
        train: the training images.
        values: features (M, D) of the synthetic images.
        pixels: theirs.
        closeness: theirs.
        thresholds: how close is suspicious.
        count: how many pairs.
    """
    kinds = kinds_of(closeness, thresholds)
    relative, reals = closeness.relative.copy(), closeness.rows.copy()
    as_close = thresholds.features.p_values(relative)
    if closeness.pixels is not None and thresholds.pixels is not None:
        in_pixels = (kinds == NEAR_DUPLICATE) | (kinds == COPY)
        relative[in_pixels] = closeness.pixels.relative[in_pixels]
        reals[in_pixels] = closeness.pixels.rows[in_pixels]
        as_close[in_pixels] = thresholds.pixels.p_values(relative)[in_pixels]
    grave = np.array([(*KINDS, "").index(kind) for kind in kinds])
    order = np.lexsort((np.arange(len(kinds)), relative, as_close, grave))
    chosen = [int(row) for row in order[:count] if kinds[row]]
    if pixels is not None and train.pixels is not None:
        _point_to_copies(reals, chosen, pixels, train.pixels)
    return tuple(
        _pair(train, values, pixels, row, int(reals[row]), str(kinds[row]), float(as_close[row]))
        for row in chosen
    )


def _closeness(found: Neighbours, real: np.ndarray, pixels: PixelCloseness | None) -> Closeness:
    relative = relative_distances(found)
    return Closeness(found.rows[:, 0], found.distances[:, 0], relative, real, pixels)


def _point_to_copies(
    reals: np.ndarray, chosen: list[int], pixels: Pixels, training: Pixels
) -> None:
    """Names the equal image where there is one: equal thumbnails may come from other pixels."""
    for digests in (pixels.mirrored, pixels.digests):
        same = rows_of_same(digests[chosen], training.digests)
        for row, equal in zip(chosen, same, strict=True):
            if equal >= 0:
                reals[row] = equal


def _pair(
    train: TrainingSet,
    values: np.ndarray,
    pixels: Pixels | None,
    row: int,
    real: int,
    kind: str,
    as_close: float,
) -> Pair:
    straight = flipped = np.nan
    if pixels is not None and train.pixels is not None:
        picture, other = pixels.thumbnails[row : row + 1], train.pixels.thumbnails[real]
        straight = float(np.linalg.norm(picture - other))
        flipped = float(np.linalg.norm(mirror_images(picture) - other))
    distance = np.linalg.norm(values[row].astype(np.float64) - train.values[real])
    return Pair(
        kind=kind,
        synthetic=row,
        real=real,
        mirrored=flipped < straight,
        feature_distance=float(distance),
        pixel_distance=min(straight, flipped),
        as_close=as_close,
    )
