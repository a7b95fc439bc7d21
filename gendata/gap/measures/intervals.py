"""How far a figure may be off because these images were drawn and not others.

Every interval of the report holds 95%. A mean over images gets the percentile interval of the
bootstrap (Efron 1979): the images are drawn again with replacement, many times, and the middle
95% of the means is the interval. Two limits of it are worth knowing. What each image was
compared with stays fixed: the interval of a precision says how it would vary with other synthetic
images against this very real set. And it knows nothing of seeds or of other generators.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from gendata.errors import GendataError

__all__ = ["ABSENT", "Estimate", "bootstrap", "bootstrap_mean", "bootstrap_means"]

RESAMPLES = 1000
TAIL = 2.5  # percent on each side


@dataclass(frozen=True)
class Estimate:
    """A figure with the ends of its 95% interval; nan where there is none.

    Attributes:
        value: the figure itself, from all images.
        low: lower end.
        high: upper end.
    """

    value: float
    low: float = math.nan
    high: float = math.nan

    def to_json(self) -> dict[str, float | None]:
        """Plain numbers; what is not finite becomes null."""
        return {name: _plain(value) for name, value in vars(self).items()}

    def __str__(self) -> str:
        if not math.isfinite(self.low):
            return f"{self.value:.3g}"
        return f"{self.value:.3g} ({self.low:.3g} to {self.high:.3g})"


ABSENT = Estimate(math.nan)


def bootstrap_mean(values: np.ndarray, *, seed: int = 0, resamples: int = RESAMPLES) -> Estimate:
    """Mean of per-image values (N,), numbers or booleans, with its interval over images.

    Entries that are nan belong to no mean, but are drawn like the others, so that the interval
    also holds how many there are: the rarity of images outside the manifold, for one. Where every
    entry is nan, so is the estimate.
    """
    return bootstrap_means(np.asarray(values)[:, None], seed=seed, resamples=resamples)[0]


def bootstrap_means(
    columns: np.ndarray, *, seed: int = 0, resamples: int = RESAMPLES
) -> list[Estimate]:
    """The same for the columns of (N, F) at once, which is cheaper, and drawn alike for all.

    Raises:
        GendataError: there is no image.
    """
    values = np.asarray(columns, dtype=np.float64)
    if not len(values):
        raise GendataError("an interval over no image", expected="one image or more")
    known = ~np.isnan(values)
    filled = np.where(known, values, 0.0)
    both = np.concatenate([filled, known], axis=1)
    count = values.shape[1]
    sums = np.empty((resamples, 2 * count))
    generator = np.random.default_rng(seed)
    for resample in range(resamples):
        rows = generator.integers(len(values), size=len(values))
        sums[resample] = np.bincount(rows, minlength=len(values)) @ both
    with np.errstate(invalid="ignore", divide="ignore"):
        means = sums[:, :count] / sums[:, count:]
        center = filled.sum(axis=0) / known.sum(axis=0)
    return [_percentiles(*each) for each in zip(center, means.T, strict=True)]


def bootstrap(
    values: np.ndarray,
    statistic: Callable[[np.ndarray], float],
    *,
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> Estimate:
    """Any statistic of per-image values (N, ...), such as np.median, with its interval."""
    if not len(values):
        raise GendataError("an interval over no image", expected="one image or more")
    generator = np.random.default_rng(seed)
    rows = (generator.integers(len(values), size=len(values)) for _ in range(resamples))
    drawn = np.array([statistic(values[each]) for each in rows])
    return _percentiles(float(statistic(values)), drawn)


def _percentiles(value: float, drawn: np.ndarray) -> Estimate:
    drawn = drawn[~np.isnan(drawn)]
    if not len(drawn) or math.isnan(value):
        return Estimate(float(value))
    low, high = np.percentile(drawn, [TAIL, 100 - TAIL], method="nearest")
    return Estimate(float(value), float(low), float(high))


def _plain(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
