"""The kernel distance between two sets of features; on Inception's features it is the KID.

Bińkowski et al. 2018, "Demystifying MMD GANs" (arXiv:1801.01401), section 4: the squared maximum
mean discrepancy under the kernel (x'y / D + 1)^3, by the unbiased estimator of Gretton et al.
2012, eq. 3, without the pairs of an image and itself. Being unbiased it is the same on average
for any number of images, and may come out below 0 where the sets are alike.

As published it is the mean over subsets of up to 1,000 images. Ours are disjoint within a round
instead of drawn anew each time. Then the subsets of a round are independent of each other, and
their spread gives an interval that can be defended: it holds both sets' images as drawn at random.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from scipy import stats
from torch import Tensor

from gendata.errors import GendataError
from gendata.gap.measures.distances import check_same_size, check_vectors, exact_products
from gendata.gap.measures.intervals import Estimate

__all__ = ["DEFINITIONS", "FEWEST", "kernel_distance", "measure_kernel_distance"]

SUBSET = 1000
SUBSETS = 20
PER_ROUND = 4  # at least; smaller sets are cut into smaller subsets
FEWEST = 2 * PER_ROUND

DEFINITIONS = {
    "kernel": "Another distance between the features of synthetic and real images, which does not "
    "grow when there are few images; around 0, also just below, they are alike (KID on Inception "
    "features, Bińkowski et al. 2018).",
}


def kernel_distance(real: np.ndarray, synthetic: np.ndarray) -> float:
    """The unbiased estimator on all images at once, of features (N, D) and (M, D).

    Equals clean-fid's `kernel_distance` where its one subset is the whole set. Not for many
    images: the kernel of all pairs is in memory.

    Raises:
        GendataError: features are unusable, or there are fewer than two images in a set.
    """
    ours, theirs = _checked(real, synthetic, fewest=2)
    with exact_products():
        return _estimator(torch.from_numpy(ours), torch.from_numpy(theirs))


def measure_kernel_distance(
    real: np.ndarray,
    synthetic: np.ndarray,
    *,
    seed: int = 0,
    subset: int = SUBSET,
    subsets: int = SUBSETS,
) -> Estimate:
    """The mean of the estimator over subsets, with its interval.

    Args:
        real: (N, D).
        synthetic: (M, D).
        seed: decides which images make a subset.
        subset: images of each set in a subset, at most; fewer where four disjoint subsets would
            need more than there are.
        subsets: how many to look at, at least. More make the mean steadier, at their cost.

    Raises:
        GendataError: features are unusable, or there are too few images.
    """
    ours, theirs = _checked(real, synthetic, fewest=FEWEST)
    smaller = min(len(ours), len(theirs))
    size = min(subset, smaller // PER_ROUND)
    per_round = min(smaller // size, max(PER_ROUND, subsets))
    generator = np.random.default_rng(seed)
    rounds = []
    with exact_products():
        for _ in range(math.ceil(subsets / per_round)):
            one, other = (
                torch.from_numpy(values[generator.permutation(len(values))[: per_round * size]])
                for values in (ours, theirs)
            )
            pairs = zip(one.split(size), other.split(size), strict=True)
            rounds.append([_estimator(*pair) for pair in pairs])
    found = np.array(rounds)
    # Of one round, although the mean of several is steadier: a wider interval, never a narrower.
    deviation = math.sqrt(float(found.var(axis=1, ddof=1).mean()) / per_round)
    half = float(stats.t.ppf(0.975, per_round - 1)) * deviation
    return Estimate(*(float(found.mean()) + part * half for part in (0, -1, 1)))


def _checked(
    real: np.ndarray, synthetic: np.ndarray, fewest: int
) -> tuple[np.ndarray, np.ndarray]:
    ours, theirs = check_vectors(real, "real"), check_vectors(synthetic, "synthetic")
    check_same_size(ours, theirs)
    for values, name in ((ours, "real"), (theirs, "synthetic")):
        if len(values) < fewest:
            raise GendataError(
                f"the {name} set is too small for a kernel distance",
                found=f"{len(values)} images",
                expected=f"{fewest} or more",
            )
    return ours, theirs


def _estimator(real: Tensor, synthetic: Tensor) -> float:
    ours, theirs = _mean_of_others(real), _mean_of_others(synthetic)
    return ours + theirs - 2 * float(_kernel(real, synthetic).mean())


def _mean_of_others(values: Tensor) -> float:
    """Mean kernel of all pairs of two different images."""
    kernel = _kernel(values, values)
    count = len(values)
    return float((kernel.sum() - kernel.diagonal().sum()) / (count * (count - 1)))


def _kernel(one: Tensor, other: Tensor) -> Tensor:
    """Polynomial kernel (n, m) of degree 3, float64 once the products are made."""
    return (torch.mm(one, other.T).double() / one.shape[1] + 1) ** 3
