"""How the losses of one source's images are spread under a classifier that never saw the source.

A loss near zero says that the classifier knew the image's content already, a large one that the
image holds something new to it (Wang et al. 2024, section 3.2, observation 3).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gendata.errors import GendataError

__all__ = [
    "EDGES",
    "HIGH",
    "NEAR_ZERO",
    "LossSpread",
    "asymmetry",
    "histogram",
    "mean_and_std",
    "share_above",
    "share_below",
    "spread_of",
]

NEAR_ZERO = 0.01
HIGH = 1.0

# Five bins a decade; rounded so that NEAR_ZERO and HIGH are edges to the last bit.
EDGES = np.array([float(f"{10 ** (step / 5):.12g}") for step in range(-30, 6)])


@dataclass(frozen=True)
class LossSpread:
    """The losses of N images under classifiers of S seeds.

    Attributes:
        shares: (37,) share of the images in each bin of `histogram`, mean over seeds.
        below: (S,) share with a loss below NEAR_ZERO, one a seed.
        above: (S,) share with a loss above HIGH, one a seed.
        median: (S,) median loss, nats.
        images: N.
    """

    shares: np.ndarray
    below: np.ndarray
    above: np.ndarray
    median: np.ndarray
    images: int


def histogram(losses: np.ndarray) -> np.ndarray:
    """Counts losses (N,) in bins that are the same for every source: (37,) int64.

    Bin 0 holds what is below EDGES[0], bin i what is in [EDGES[i - 1], EDGES[i]), the last bin
    what is at or above EDGES[-1].

    Raises:
        GendataError: a loss is not a number.
    """
    if np.isnan(losses).any():
        raise GendataError(
            "a classifier's loss is not a number",
            found=f"{int(np.isnan(losses).sum())} such images of {losses.size}",
            do="train with a lower learning rate",
        )
    return np.bincount(np.searchsorted(EDGES, losses, side="right"), minlength=len(EDGES) + 1)


def share_below(losses: np.ndarray, limit: float = NEAR_ZERO) -> float:
    """Share of losses (N,) strictly below a limit, between 0 and 1."""
    return float(np.mean(losses < limit))


def share_above(losses: np.ndarray, limit: float = HIGH) -> float:
    """Share of losses (N,) strictly above a limit, between 0 and 1."""
    return float(np.mean(losses > limit))


def spread_of(losses: np.ndarray) -> LossSpread:
    """Summarises losses (S, N): one row a seed, one column an image."""
    return LossSpread(
        shares=np.mean([histogram(run) / run.size for run in losses], axis=0),
        below=np.array([share_below(run) for run in losses]),
        above=np.array([share_above(run) for run in losses]),
        median=np.median(losses, axis=1),
        images=losses.shape[1],
    )


def asymmetry(clone: LossSpread, real: LossSpread) -> np.ndarray:
    """How much more the real images surprise than the clone's: (S,), between -1 and 1.

    The mean of two differences: of the shares above HIGH (real less clone) and of the shares
    below NEAR_ZERO (clone less real). Exchanging the two turns the sign.

    Args:
        clone: its images under the classifiers trained on the real set.
        real: the real images under the classifiers trained on the clone, of the same seeds.
    """
    return ((real.above - clone.above) + (clone.below - real.below)) / 2


def mean_and_std(runs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and sample standard deviation (n - 1) over the first axis; nan for a single run."""
    mean = runs.mean(axis=0)
    if len(runs) == 1:
        return mean, np.full_like(mean, np.nan)
    return mean, runs.std(axis=0, ddof=1)
