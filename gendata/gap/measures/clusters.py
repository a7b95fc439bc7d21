"""Groups of similar images: k-means with a start that is computed, not drawn.

The start divides the images in two, again and again: always the group of the largest scatter, at
its mean, across its first principal component (PCA-Part of Su and Dy 2007, "In search of
deterministic methods for initializing K-means and Gaussian mixture clustering"). Hence the same
images give the same groups in any order and under any seed. Lloyd's iterations follow.
"""

from __future__ import annotations

import numpy as np
from scipy.spatial.distance import cdist

from gendata.errors import GendataError

__all__ = ["group", "medoid", "principal_components", "spread_out"]

COMPONENTS = 64  # enough to tell groups apart, and cheap
ITERATIONS = 100
CHUNK = 4096  # rows that are compared at a time


def principal_components(values: np.ndarray, count: int = COMPONENTS) -> np.ndarray:
    """Projects values (N, D) on their first principal components: (N, at most count) float64.

    Distances shrink a little; axes may be turned around, which changes none.
    """
    mean = values.mean(axis=0, dtype=np.float64)
    scatter = np.zeros((values.shape[1], values.shape[1]))
    for start in range(0, len(values), CHUNK):
        centered = values[start : start + CHUNK] - mean
        scatter += centered.T @ centered
    axes = np.linalg.eigh(scatter)[1][:, ::-1][:, :count]
    chunks = range(0, len(values), CHUNK)
    return np.concatenate([(values[start : start + CHUNK] - mean) @ axes for start in chunks])


def group(values: np.ndarray, count: int) -> np.ndarray:
    """Divides values (N, D) into at most `count` groups: (N,) int64, numbered from 0.

    There are fewer where there are fewer distinct images, or where a group loses its last one.

    Raises:
        GendataError: there is no image, or no group.
    """
    if not len(values) or count < 1:
        raise GendataError(
            "nothing to group", found=f"{len(values)} images, {count} groups", expected="both"
        )
    groups = _divided(values, count)
    for _ in range(ITERATIONS):
        centers = np.stack(
            [values[groups == each].mean(axis=0) for each in range(groups.max() + 1)]
        )
        nearest = np.concatenate(
            [
                cdist(values[start : start + CHUNK], centers).argmin(axis=1)
                for start in range(0, len(values), CHUNK)
            ]
        )
        nearest = np.unique(nearest, return_inverse=True)[1]
        if np.array_equal(nearest, groups):
            break
        groups = nearest
    return groups.astype(np.int64)


def medoid(values: np.ndarray) -> int:
    """The row of values (N, D) with the least sum of distances to all others."""
    sums = [
        cdist(values[start : start + CHUNK], values).sum(axis=1)
        for start in range(0, len(values), CHUNK)
    ]
    return int(np.concatenate(sums).argmin())


def spread_out(values: np.ndarray, start: int, count: int) -> np.ndarray:
    """Rows of values (N, D) from the most typical to the most unusual, at most `count`, int64.

    The first is `start`; the others stand at even steps in the order of their distance to it.
    """
    order = np.argsort(cdist(values[start : start + 1], values)[0], kind="stable")
    order = np.concatenate([[start], order[order != start]])
    steps = np.linspace(0, len(order) - 1, min(count, len(order)))
    return order[steps.round().astype(int)].astype(np.int64)


def _divided(values: np.ndarray, count: int) -> np.ndarray:
    groups = np.zeros(len(values), dtype=np.int64)
    scatters = [_scatter(values)]
    while len(scatters) < count and max(scatters) > 0:
        widest = int(np.argmax(scatters))
        rows = np.flatnonzero(groups == widest)
        centered = values[rows] - values[rows].mean(axis=0)
        axis = np.linalg.eigh(centered.T @ centered)[1][:, -1]
        beyond = centered @ axis > 0
        if beyond.all() or not beyond.any():  # nothing but rounding is left to divide
            scatters[widest] = 0.0
            continue
        groups[rows[beyond]] = len(scatters)
        scatters[widest] = _scatter(values[rows[~beyond]])
        scatters.append(_scatter(values[rows[beyond]]))
    return groups


def _scatter(values: np.ndarray) -> float:
    """Sum of squared distances to the mean; 0 where only rounding differs."""
    scatter = float(((values - values.mean(axis=0)) ** 2).sum())
    return scatter if scatter > 1e-12 * max(1.0, float((values**2).sum())) else 0.0
