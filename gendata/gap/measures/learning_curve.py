"""How a classifier's error falls with its training images, as a curve that can be inverted.

Two forms, both monotone and bounded, both for many curves at once (one a row, as the bootstrap
needs them):

- The power law `error = floor + scale (images / reference)^-rate` with `floor, scale >= 0`
  (Mikami et al. 2021, "A Scaling Law for Synthetic-to-Real Transfer: How Much Is Your Pre-training
  Effective?", https://arxiv.org/abs/2108.11018: D n^-a + C). It may be carried beyond what was
  measured. Ours: relative
  errors are fitted, because the spread over trainings grows with the error; the authors fit
  absolute ones with D fixed. A rate is searched between 0.1 and 3 (theirs: 0.1 to 1.5). For a
  given rate the rest is linear, so the search has one dimension and no starting point.
- Interpolation: the isotonic regression of the measured errors, linear in the logarithm of the
  number of images. It holds wherever more images do no harm, and says nothing beyond its ends.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

__all__ = ["Interpolation", "PowerLaw", "fit_interpolation", "fit_power_law"]

RATES = np.geomspace(0.1, 3.0, 50)
ROUNDING = 1e-12  # equal errors, differently summed
_ROUNDS, _POINTS = 4, 11  # each round divides the spacing of the rates by five


@dataclass(frozen=True)
class PowerLaw:
    """Curves `floor + scale (images / reference)^-rate`.

    Attributes:
        floor: (B,) the error that no number of images removes.
        scale: (B,) the error beyond it at `reference` images.
        rate: (B,) how fast that falls.
        reference: images of the largest training.
    """

    floor: np.ndarray
    scale: np.ndarray
    rate: np.ndarray
    reference: float

    def error(self, images: float) -> np.ndarray:
        """The error (B,) after training on so many images."""
        return self.floor + self.scale * (images / self.reference) ** -self.rate

    def images(self, error: np.ndarray) -> np.ndarray:
        """How many images reach an error (B,): infinity where none do."""
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            ratio = self.scale / (error - self.floor)
            found = self.reference * ratio ** (1 / self.rate)
        flat = self.scale <= 0
        reached = np.where(flat, error >= self.floor, error > self.floor)
        return np.where(reached, np.where(flat, 0.0, found), np.inf)


@dataclass(frozen=True)
class Interpolation:
    """Curves through measured points.

    Attributes:
        sizes: (L,) images, ascending.
        errors: (B, L) errors, nowhere rising.
    """

    sizes: np.ndarray
    errors: np.ndarray

    def error(self, images: float) -> np.ndarray:
        """The error (B,) after training on so many images; nan beyond the measured sizes."""
        logs = np.log(self.sizes)
        if not self.sizes[0] <= images <= self.sizes[-1]:
            return np.full(len(self.errors), np.nan)
        return np.array([np.interp(np.log(images), logs, row) for row in self.errors])

    def images(self, error: np.ndarray) -> np.ndarray:
        """The fewest images that reach an error (B,).

        Infinity where the largest size does not, 0 where the smallest is better already.
        """
        reached = self.errors <= error[:, None] + ROUNDING
        first = reached.argmax(axis=1)
        rows, logs = np.arange(len(error)), np.log(self.sizes)
        before = np.maximum(first - 1, 0)
        above, below = self.errors[rows, before], self.errors[rows, first]
        with np.errstate(divide="ignore", invalid="ignore"):
            share = np.where(above > below, (above - error) / (above - below), 1.0)
        found = np.exp(logs[before] + share * (logs[first] - logs[before]))
        found = np.where(first == 0, np.where(below < error - ROUNDING, 0.0, self.sizes[0]), found)
        return np.where(reached.any(axis=1), found, np.inf)


def fit_interpolation(sizes: np.ndarray, errors: np.ndarray) -> Interpolation:
    """Fits the non-increasing curves nearest to errors (B, L) in least squares.

    The min-max formula of isotonic regression: the least over starts j <= i of the greatest over
    ends k >= i of the mean of j to k. Its cost, cubic in L, does not matter for a handful.
    """
    count = errors.shape[1]
    fitted = np.full_like(errors, np.inf, dtype=float)
    for place in range(count):
        for start in range(place + 1):
            means = [errors[:, start : end + 1].mean(axis=1) for end in range(place, count)]
            fitted[:, place] = np.minimum(fitted[:, place], np.max(means, axis=0))
    return Interpolation(np.asarray(sizes, dtype=float), fitted)


def fit_power_law(sizes: np.ndarray, errors: np.ndarray, weights: np.ndarray) -> PowerLaw:
    """Fits the power law by weighted least squares, over a grid of rates that narrows.

    Args:
        sizes: (L,) images, ascending.
        errors: (B, L), between 0 and 1.
        weights: (L,) of the squared deviations.
    """
    reference = float(sizes[-1])
    logs = np.log(np.asarray(sizes, dtype=float) / reference)
    rates = np.broadcast_to(RATES, (len(errors), len(RATES)))
    rows = np.arange(len(errors))
    spacing = np.log(RATES[1] / RATES[0])
    for remaining in range(_ROUNDS, -1, -1):
        floor, scale, loss = _linear_part(np.exp(-rates[:, :, None] * logs), errors, weights)
        best = loss.argmin(axis=1)
        if remaining:
            offsets = np.linspace(-spacing, spacing, _POINTS)
            around = rates[rows, best][:, None] * np.exp(offsets)
            rates = np.clip(around, RATES[0], RATES[-1])
            spacing *= 2 / (_POINTS - 1)
    return PowerLaw(floor[rows, best], scale[rows, best], rates[rows, best], reference)


def _linear_part(
    powers: np.ndarray, errors: np.ndarray, weights: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Floor and scale, neither negative, for given rates, and what they leave: (B, G) each.

    Args:
        powers: (B, G, L) of the sizes.
        errors: (B, L).
        weights: (L,).
    """
    share = weights / weights.sum()
    mean = (share * errors).sum(axis=-1)[:, None]  # (B, 1)
    mean_power = (share * powers).sum(axis=-1)  # (B, G)
    centred = powers - mean_power[..., None]
    spread = (share * centred**2).sum(axis=-1)
    slope = (share * centred * errors[:, None, :]).sum(axis=-1) / spread
    through_zero = (share * powers * errors[:, None, :]).sum(axis=-1)
    through_zero /= (share * powers**2).sum(axis=-1)
    flat = np.broadcast_to(mean, slope.shape)
    zero = np.zeros_like(slope)
    inside = (slope >= 0) & (mean - slope * mean_power >= 0)
    floors = np.stack([np.where(inside, mean - slope * mean_power, flat), flat, zero])
    scales = np.stack([np.where(inside, slope, zero), zero, through_zero])
    left = floors[..., None] + scales[..., None] * powers - errors[:, None, :]
    losses = (share * left**2).sum(axis=-1)  # (3, B, G)
    chosen = losses.argmin(axis=0)[None]
    floor, scale, loss = (
        np.take_along_axis(each, chosen, axis=0)[0] for each in (floors, scales, losses)
    )
    return floor, scale, loss
