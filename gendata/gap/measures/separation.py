"""How well a score tells synthetic images from real ones of the same kind of content.

The separation is 2 A - 1, where A is the probability that a synthetic image scores higher than a
real one (the area under the ROC curve; ties count half). It is 0 where the scores are spread
alike, and f where a share f of the synthetic images scores above all real ones and the others are
spread like the real ones. Below 0 the synthetic images score lower.

Only images of one group, of one kind of content, are compared with each other: that one set holds
fewer ships than the other says nothing about how its ships look. The groups' areas are averaged
with weights m n / (m + n), as their precision demands, for m synthetic and n real images of the
group (van Elteren 1960, "On the combination of independent two sample tests of Wilcoxon").
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gendata.errors import GendataError
from gendata.gap.measures.intervals import Estimate

__all__ = ["Scores", "bounded", "copies_of", "separation", "separation_estimate"]

RESAMPLES = 500


@dataclass(frozen=True)
class Scores:
    """One score an image, with what kind of content it shows.

    Attributes:
        values: (N,) finite.
        groups: (N,) int64, from 0.
        copies: (N,) int64, equal where images are copies of each other; the bootstrap draws such
            images together, for twenty copies say no more than one image. None: no copies.
    """

    values: np.ndarray
    groups: np.ndarray
    copies: np.ndarray | None = None

    def drawn(self, generator: np.random.Generator) -> np.ndarray:
        """How often each image (N,) occurs in one resample of the bootstrap."""
        copies = np.arange(len(self.values)) if self.copies is None else self.copies
        distinct = int(copies.max()) + 1
        return np.bincount(generator.integers(distinct, size=distinct), minlength=distinct)[copies]


def copies_of(rows: np.ndarray) -> np.ndarray:
    """Numbers rows (N, D) so that equal ones share a number, from 0: (N,) int64."""
    return np.unique(rows, axis=0, return_inverse=True)[1].reshape(-1).astype(np.int64)


def separation(synthetic: Scores, real: Scores) -> float:
    """2 A - 1, between -1 and 1; positive where synthetic images score higher.

    Raises:
        GendataError: no group holds images of both sets.
    """
    ones = [np.ones(len(each.values)) for each in (synthetic, real)]
    return _Ranking(synthetic, real).separation(*ones)


def separation_estimate(synthetic: Scores, real: Scores, *, seed: int = 0) -> Estimate:
    """The separation, not below 0, with its 95% interval over the images of both sets."""
    ranking = _Ranking(synthetic, real)
    ones = [np.ones(len(each.values)) for each in (synthetic, real)]
    value = ranking.separation(*ones)
    generator = np.random.default_rng(seed)
    drawn = [
        ranking.separation(synthetic.drawn(generator), real.drawn(generator))
        for _ in range(RESAMPLES)
    ]
    return bounded(value, np.array(drawn))


def bounded(value: float, drawn: np.ndarray) -> Estimate:
    """An estimate with the percentiles of its resamples, all brought into [0, 1]."""
    low, high = np.nanpercentile(drawn, [2.5, 97.5])
    return Estimate(*(float(np.clip(each, 0, 1)) for each in (value, low, high)))


class _Ranking:
    """The order of all scores within their groups, made once for all resamples."""

    def __init__(self, synthetic: Scores, real: Scores) -> None:
        groups = np.concatenate([synthetic.groups, real.groups])
        values = np.concatenate([synthetic.values, real.values])
        if not np.isfinite(values).all():
            raise GendataError(
                "a score is not a number",
                found=f"{int((~np.isfinite(values)).sum())} of {len(values)}",
                do="check the images and features for values that are not finite",
            )
        order = np.lexsort((values, groups))
        changed = (np.diff(groups[order]) != 0) | (np.diff(values[order]) != 0)
        place = np.empty(len(values), dtype=np.int64)
        place[order] = np.concatenate([[0], np.cumsum(changed)])
        self.synthetic, self.real = np.split(place, [len(synthetic.values)])
        self.places = int(place.max()) + 1
        self.group_of_place = np.empty(self.places, dtype=np.int64)
        self.group_of_place[place] = groups

    def separation(self, synthetic_counts: np.ndarray, real_counts: np.ndarray) -> float:
        """Of images that occur so often."""
        synthetic = np.bincount(self.synthetic, synthetic_counts, self.places)
        real = np.bincount(self.real, real_counts, self.places)
        in_group_synthetic = np.bincount(self.group_of_place, synthetic)
        in_group_real = np.bincount(self.group_of_place, real)
        before = np.concatenate([[0.0], np.cumsum(in_group_real)])[self.group_of_place]
        below = np.cumsum(real) - real / 2 - before
        wins = np.bincount(self.group_of_place, synthetic * below)
        pairs = in_group_synthetic * in_group_real
        both = pairs > 0
        if not both.any():
            raise GendataError(
                "no kind of content occurs in both sets",
                do="compare sets that show the same classes, with more images each",
            )
        precision = pairs[both] / (in_group_synthetic + in_group_real)[both]
        areas = wins[both] / pairs[both]
        return float(2 * np.average(areas, weights=precision) - 1)
