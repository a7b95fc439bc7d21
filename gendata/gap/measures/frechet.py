"""The Fréchet distance between two sets of features, and how far few images push it up.

Heusel et al. 2017, "GANs Trained by a Two Time-Scale Update Rule" (arXiv:1706.08500), eq. 6:
d^2 = |m1 - m2|^2 + tr(S1 + S2 - 2 (S1 S2)^(1/2)), of the means and covariances of the features;
on Inception's features it is the FID. As everywhere, "distance" means the square d^2. The trace of
the root is the sum of the roots of the eigenvalues of S1 S2, which those of the symmetric L' S2 L
with S1 = L L' equal: no root of a matrix is needed. Moments are float64.

Few images make the distance too large, to first order by a constant over their number (Chong and
Forsyth 2020, "Effectively Unbiased FID and Inception Score", arXiv:1911.07023). Where they
extrapolate over subsets of many sizes, the grouped jackknife (Quenouille 1956) here leaves out
one tenth of both sets at a time: the mean change says how large the bias is, and the spread of
the changes gives the interval. Nothing is refitted, so the encoder stays fixed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from scipy import stats
from torch import Tensor

from gendata.errors import GendataError
from gendata.gap.measures.distances import check_same_size, check_vectors
from gendata.gap.measures.intervals import ABSENT, Estimate

__all__ = ["DEFINITIONS", "Frechet", "frechet_distance", "measure_frechet"]

BLOCKS = 10
LARGE_BIAS = 0.1  # share of the distance from which on its bias is flagged
STEP = 4096  # images whose features are float64 at a time

DEFINITIONS = {
    "frechet": "How far the mean and the spread of the synthetic images' features are from those "
    "of real ones; 0 is equal, and the scale depends on the encoder. On Inception features this "
    "is the FID (Heusel et al. 2017).",
    "frechet_corrected": "The Fréchet distance without the part that comes from having few images "
    "rather than from the generator (Chong and Forsyth 2020); compare sets of different size by "
    "this one.",
}


@dataclass(frozen=True)
class Frechet:
    """A Fréchet distance and how much of it is owed to few images.

    Attributes:
        distance: d^2 as it is published; its interval is for sets of this size.
        corrected: the distance less its bias, what it would tend to with more and more images.
        bias: estimated excess; positive where few images push the distance up. It and `corrected`
            are nan where a set has no more images than there are dimensions, or fewer than two
            for each block of the jackknife: they cannot be told.
        warnings: why the distance is not to be trusted, in plain words; empty where it is.
    """

    distance: Estimate
    corrected: Estimate
    bias: float
    warnings: Sequence[str]

    def to_json(self) -> dict[str, Any]:
        """Plain values; nan becomes null."""
        return {
            "distance": self.distance.to_json(),
            "corrected": self.corrected.to_json(),
            "bias": self.bias if math.isfinite(self.bias) else None,
            "warnings": list(self.warnings),
        }


@dataclass(frozen=True)
class _Sums:
    """Number of images, sum of their vectors (D,), and of outer products about `center` (D, D)."""

    count: int
    first: Tensor
    second: Tensor

    def without(self, part: _Sums) -> _Sums:
        return _Sums(self.count - part.count, self.first - part.first, self.second - part.second)

    def covariance(self) -> Tensor:
        mean = self.first / self.count
        return (self.second - self.count * torch.outer(mean, mean)) / (self.count - 1)


def frechet_distance(real: np.ndarray, synthetic: np.ndarray) -> float:
    """The squared distance between real (N, D) and synthetic (M, D) features.

    Agrees with clean-fid's `fid_from_feats` to 1e-6 relative.

    Raises:
        GendataError: features are unusable, of different sizes or all equal, or there are fewer
            than two images in a set.
    """
    ours, theirs = _checked(real, synthetic)
    frame = ours.mean(axis=0, dtype=np.float64)
    return _distance(_sums(ours, frame), _sums(theirs, frame))


def measure_frechet(
    real: np.ndarray, synthetic: np.ndarray, *, seed: int = 0, blocks: int = BLOCKS
) -> Frechet:
    """The same with its bias and interval, at the cost of `blocks` + 1 distances.

    Args:
        real: (N, D).
        synthetic: (M, D).
        seed: decides which images are left out together.
        blocks: number of parts that are left out one at a time.

    Raises:
        GendataError: as `frechet_distance`.
    """
    ours, theirs = _checked(real, synthetic)
    frame = ours.mean(axis=0, dtype=np.float64)
    smaller, dimensions = min(len(ours), len(theirs)), ours.shape[1]
    if smaller < 2 * blocks:
        distance = _distance(_sums(ours, frame), _sums(theirs, frame))
        few = f"only {smaller} images: neither its bias nor its interval can be estimated"
        return Frechet(Estimate(distance), ABSENT, math.nan, [few])
    parts = [_blocks(values, frame, seed, blocks) for values in (ours, theirs)]
    distance, bias, deviation = _jackknife(*parts)
    half = float(stats.t.ppf(0.975, blocks - 1)) * deviation
    warnings = _warnings(distance, bias, smaller, dimensions)
    around = Estimate(distance, max(0.0, distance - half), distance + half)
    if smaller <= dimensions:
        # The bias is then far from a constant over the number of images.
        return Frechet(around, ABSENT, math.nan, warnings)
    corrected = distance - bias
    interval = Estimate(corrected, corrected - half, corrected + half)
    return Frechet(around, interval, bias, warnings)


def _jackknife(real: list[_Sums], synthetic: list[_Sums]) -> tuple[float, float, float]:
    """The distance with the jackknife's estimates of its bias and of its standard deviation."""
    ours, theirs, blocks = _added(real), _added(synthetic), len(real)
    distance = _distance(ours, theirs)
    pairs = zip(real, synthetic, strict=True)
    left_out = np.array([_distance(ours.without(a), theirs.without(b)) for a, b in pairs])
    spread = float(np.square(left_out - left_out.mean()).sum())
    bias = float((blocks - 1) * (left_out.mean() - distance))
    return distance, bias, math.sqrt((blocks - 1) / blocks * spread)


def _warnings(distance: float, bias: float, images: int, dimensions: int) -> list[str]:
    if images <= dimensions:
        return [
            f"{images} images are too few for features of {dimensions} dimensions, whose "
            f"covariance they cannot tell: the distance is far too large, by an unknown amount"
        ]
    if abs(bias) <= LARGE_BIAS * distance:
        return []
    share = min(bias / distance, 1.0) if distance > 0 else 1.0
    return [f"about {share:.0%} of the distance is owed to the small number of images"]


def _checked(real: np.ndarray, synthetic: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    ours, theirs = check_vectors(real, "real"), check_vectors(synthetic, "synthetic")
    check_same_size(ours, theirs)
    for values, name in ((ours, "real"), (theirs, "synthetic")):
        if len(values) < 2:
            raise GendataError(
                f"the {name} set has no covariance", found="1 image", expected="two or more"
            )
        if (values == values[0]).all():
            raise GendataError(
                f"all features of the {name} set are equal",
                found=f"{len(values)} equal vectors",
                do="look at the images, and at the encoder",
            )
    return ours, theirs


def _blocks(values: np.ndarray, frame: np.ndarray, seed: int, blocks: int) -> list[_Sums]:
    rows = np.random.default_rng(seed).permutation(len(values))
    return [_sums(values[np.sort(part)], frame) for part in np.array_split(rows, blocks)]


def _sums(values: np.ndarray, frame: np.ndarray) -> _Sums:
    """Sums of float64 differences from a common centre (D,), which keeps them small."""
    center = torch.from_numpy(frame)
    first = torch.zeros_like(center)
    second = torch.zeros(len(center), len(center), dtype=torch.float64)
    for start in range(0, len(values), STEP):
        part = torch.from_numpy(values[start : start + STEP]).double() - center
        first += part.sum(dim=0)
        second.addmm_(part.T, part)
    return _Sums(len(values), first, second)


def _added(parts: Sequence[_Sums]) -> _Sums:
    return _Sums(
        sum(part.count for part in parts),
        torch.stack([part.first for part in parts]).sum(dim=0),
        torch.stack([part.second for part in parts]).sum(dim=0),
    )


def _distance(real: _Sums, synthetic: _Sums) -> float:
    between = real.first / real.count - synthetic.first / synthetic.count
    ours, theirs = real.covariance(), synthetic.covariance()
    root = _trace_of_root(ours, theirs, min(real.count, synthetic.count) - 1)
    squared = between.dot(between) + ours.trace() + theirs.trace() - 2 * root
    return max(0.0, float(squared))


def _trace_of_root(first: Tensor, second: Tensor, rank: int) -> float:
    """Tr (S1 S2)^(1/2) of covariances (D, D), of which the product has at most this rank."""
    varying = (first.diagonal() > 0) & (second.diagonal() > 0)
    # A feature that is constant in one set adds only zeros.
    first, second = first[varying][:, varying], second[varying][:, varying]
    factor, info = torch.linalg.cholesky_ex(first)
    if int(info) or rank < len(first):
        values, vectors = torch.linalg.eigh(first)
        kept = values > values[-1:] * len(first) * torch.finfo(torch.float64).eps
        factor = vectors[:, kept] * values[kept].sqrt()
    eigenvalues = torch.linalg.eigvalsh(factor.T @ second @ factor)
    # What rounding makes of zeros must not be taken for small eigenvalues: roots magnify it.
    return float(eigenvalues.clamp_min(0)[-min(rank, len(eigenvalues)) :].sqrt().sum())
