"""Whether a clone repeats itself: equal images, and images closer together than real ones are.

How close images of a set lie to each other depends on how many they are. So equally many real and
synthetic images are compared, class by class, and the distances are plain ones: a generator that
draws one picture all the time has all its images equally close.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from gendata.errors import GendataError
from gendata.features.extract import Features
from gendata.gap.measures.intervals import Estimate
from gendata.gap.measures.memorisation import calibrate, repeated
from gendata.gap.measures.neighbours import Neighbours, nearest
from gendata.gap.measures.shares import ComparedShare, compare_shares, share_of
from gendata.gap.measures.thumbnails import nearest_either_way
from gendata.gap.memorisation.pixels import Pixels

__all__ = ["DEFINITIONS", "Repetition", "measure_repetition"]

DEFINITIONS = {
    "repeated": "Share of the clone's images whose pixels are all the same as those of an earlier "
    "image of it. Removing them changes nothing but the count.",
    "crowded": "Share of the clone's images that are closer to another one of the clone than all "
    "but a small share of real images are to another real one, among equally many of each class. "
    "More than among real images: the generator varies too little.",
}


@dataclass(frozen=True)
class Repetition:
    """How much a clone repeats itself.

    Attributes:
        repeated: share of its images that an earlier one equals in every pixel; None without
            pixels.
        crowded: share of its images closer to another of them than `threshold`, beside the same
            share of real images among equally many.
        threshold: that distance, of thumbnails or else of features.
        space: "pixels" or "features", which distances these are.
        compared: how many images of either set were compared.
        rows: (n,) int64 crowded images of the clone, the closest first.
        others: (n,) int64 the images of the clone that they are closest to.
    """

    repeated: Estimate | None
    crowded: ComparedShare
    threshold: float
    space: str
    compared: int
    rows: np.ndarray
    others: np.ndarray

    def to_json(self) -> dict[str, Any]:
        """Plain values; rows are places among the features."""
        return {
            "repeated": None if self.repeated is None else self.repeated.to_json(),
            "crowded": self.crowded.to_json(),
            "threshold": self.threshold,
            "space": self.space,
            "compared": self.compared,
            "rows": self.rows.tolist(),
            "others": self.others.tolist(),
        }


def measure_repetition(
    real: Features,
    synthetic: Features,
    real_pixels: Pixels | None = None,
    synthetic_pixels: Pixels | None = None,
    *,
    share: float = 0.01,
    seed: int = 0,
) -> Repetition:
    """Measures how much a clone repeats itself.

    Args:
        real: features of real images.
        synthetic: features of the clone, under the same encoder and with the same classes.
        real_pixels: of the same real images; with them and the clone's, thumbnails are compared.
        synthetic_pixels: of the same synthetic images.
        share: of real images that count as close together, between 0 and 1.
        seed: which images are compared where one set has more of a class.

    Raises:
        GendataError: the two have not two images of common classes.
    """
    real_rows, rows = _equally_many(real.labels, synthetic.labels, seed)
    if len(rows) < 2:
        raise GendataError(
            "too few images to see whether the clone repeats itself",
            found=f"{len(rows)} of the classes that both have",
            expected="2 or more",
            do="draw more images",
        )
    in_pixels = real_pixels is not None and synthetic_pixels is not None
    if real_pixels is not None and synthetic_pixels is not None:
        between_real = _between_pixels(real_pixels.thumbnails[real_rows])
        between = _between_pixels(synthetic_pixels.thumbnails[rows])
    else:
        between_real = _between_features(real.values[real_rows])
        between = _between_features(synthetic.values[rows])
    threshold = calibrate(between_real.distances[:, 0], share)
    crowded = threshold.exceeded_by(between.distances[:, 0])
    found = np.flatnonzero(crowded)
    found = found[np.argsort(between.distances[found, 0], kind="stable")]
    known = None if synthetic_pixels is None else share_of(repeated(synthetic_pixels.digests))
    return Repetition(
        repeated=known,
        crowded=compare_shares(
            crowded,
            threshold.exceeded_by(between_real.distances[:, 0], held_out=True),
            independent=0.5,  # two images that are close to each other count both
        ),
        threshold=threshold.distance,
        space="pixels" if in_pixels else "features",
        compared=len(rows),
        rows=rows[found],
        others=rows[between.rows[found, 0]],
    )


def _between_pixels(thumbnails: np.ndarray) -> Neighbours:
    return nearest_either_way(thumbnails, thumbnails, 1, exclude_self=True)[0]


def _between_features(values: np.ndarray) -> Neighbours:
    return nearest(values, values, 1, exclude_self=True)


def _equally_many(
    labels: np.ndarray, others: np.ndarray, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Rows of two sets, ascending, equally many of every class, as many as both have."""
    generator = np.random.default_rng(seed)
    chosen: list[list[np.ndarray]] = [[], []]
    for label in np.intersect1d(labels, others):
        rows = [np.flatnonzero(each == label) for each in (labels, others)]
        count = min(map(len, rows))
        for place, each in enumerate(rows):
            enough = len(each) == count
            chosen[place].append(each if enough else generator.choice(each, count, False))
    if not chosen[0]:
        return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64)
    return np.sort(np.concatenate(chosen[0])), np.sort(np.concatenate(chosen[1]))
