"""The quality gap: how many synthetic images lie off the manifold of the real ones.

An image lies off the manifold as far as its nearest real images are farther from it than they are
from their own neighbours (the local outlier factor of Breunig, Kriegel, Ng and Sander 2000, "LOF:
Identifying Density-Based Local Outliers", with mean distances in place of reachabilities). Each
real image is judged in the same way among the others. The gap is the separation of these factors:
about the share of synthetic images that lie where real ones do not. The factors are relative to
how densely the real images lie around, so that it matters little which content is drawn how often.
Wang et al. 2024, section 3.1, call it the part that comes from structural distortion.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from gendata.errors import GendataError
from gendata.gap.measures.intervals import Estimate
from gendata.gap.measures.neighbours import nearest
from gendata.gap.measures.separation import Scores, separation_estimate

__all__ = ["DEFINITIONS", "Quality", "measure_quality", "outlier_factors", "soundness"]

DEFINITIONS: dict[str, str] = {
    "quality": "About the share of synthetic images that lie farther from the real ones than real "
    "images do from each other, once the real images were given the synthetic ones' look: 0 none, "
    "1 all. Named by Wang et al. 2024, section 3.1; measured by local outlier factors (Breunig et "
    "al. 2000).",
}
NEIGHBOURS = 5
BINS = 10


@dataclass(frozen=True)
class Quality:
    """The quality gap, with how sound each synthetic image is.

    Attributes:
        gap: between 0 and 1.
        real_factors: (N,) outlier factor of each real image among the others, around 1.
        synthetic_factors: (M,) of each synthetic image among the real ones.
        soundness: (M,) 0 to 1; see `soundness`.
    """

    gap: Estimate
    real_factors: np.ndarray
    synthetic_factors: np.ndarray
    soundness: np.ndarray

    def to_json(self) -> dict[str, Any]:
        """Plain data, without what belongs to single images."""
        return {"gap": self.gap.to_json(), "sound": float(self.soundness.mean())}


def measure_quality(
    real: np.ndarray,
    synthetic: np.ndarray,
    *,
    copies: np.ndarray | None = None,
    neighbours: int = NEIGHBOURS,
    seed: int = 0,
) -> Quality:
    """Measures the quality gap.

    Args:
        real: (N, D) features of real images, of the synthetic images' look.
        synthetic: (M, D) features.
        copies: (M,) int64, equal where synthetic images are copies of each other.
        neighbours: how many real images an image is judged by.
        seed: of the bootstrap.

    Raises:
        GendataError: features are unusable, or there are too few images.
    """
    of_real, of_synthetic = outlier_factors(real, synthetic, neighbours)
    everywhere = [np.zeros(len(each), dtype=np.int64) for each in (of_synthetic, of_real)]
    gap = separation_estimate(
        Scores(of_synthetic, everywhere[0], copies), Scores(of_real, everywhere[1]), seed=seed
    )
    return Quality(gap, of_real, of_synthetic, soundness(of_real, of_synthetic))


def outlier_factors(
    real: np.ndarray, synthetic: np.ndarray, neighbours: int = NEIGHBOURS
) -> tuple[np.ndarray, np.ndarray]:
    """Mean distance to the k nearest real images over the mean of their distances to their k-th.

    Real images are left out of their own reference and out of their neighbours', so that both
    results are spread alike where the two sets come from one distribution.

    Returns:
        (N,) of the real images among the others, (M,) of the synthetic ones among all real.

    Raises:
        GendataError: features are unusable, or there are fewer than k + 2 real images.
    """
    if len(real) < neighbours + 2:
        raise GendataError(
            "too few real images to judge quality by",
            found=len(real),
            expected=f"at least {neighbours + 2}",
        )
    among = nearest(real, real, neighbours + 1, exclude_self=True)
    radii, next_radii = among.distances[:, -2], among.distances[:, -1]
    own, rows = among.distances[:, :-1], among.rows[:, :-1]
    # Without the image itself, the k-th neighbour of a neighbour that counts it is the next one.
    without_it = np.where(own <= radii[rows], next_radii[rows], radii[rows])
    found = nearest(synthetic, real, neighbours)
    return _ratio(own, without_it), _ratio(found.distances, radii[found.rows])


def soundness(real_factors: np.ndarray, synthetic_factors: np.ndarray) -> np.ndarray:
    """The chance (M,), 0 to 1, that a synthetic image with such a factor is like a real one.

    It is the share of real images over that of synthetic ones among the factors between two tenths
    of the real images' spread, where that is below 1; and 1 up to the real images' median, for
    nobody lies off the manifold who is as close to it as half of the real images.
    """
    edges = np.quantile(real_factors, np.linspace(0, 1, BINS + 1)[1:-1])
    real_bins, bins = (np.searchsorted(edges, each) for each in (real_factors, synthetic_factors))
    real_share = np.bincount(real_bins, minlength=BINS) / len(real_factors)
    share = np.bincount(bins, minlength=BINS) / len(synthetic_factors)
    chance = np.minimum(1.0, real_share / np.maximum(share, 1e-12))
    chance[: BINS // 2] = 1.0
    return chance[bins]


def _ratio(distances: np.ndarray, radii: np.ndarray) -> np.ndarray:
    """Means over neighbours, divided; 1 where an image has copies of the same copies only."""
    above = distances.mean(axis=1, dtype=np.float64)
    below = radii.mean(axis=1, dtype=np.float64)
    factors = np.divide(above, below, out=np.full(len(above), np.inf), where=below > 0)
    factors[(above == 0) & (below == 0)] = 1.0
    largest = factors[np.isfinite(factors)].max(initial=1.0)
    return np.minimum(factors, 2 * largest)  # finite, and beyond all others
