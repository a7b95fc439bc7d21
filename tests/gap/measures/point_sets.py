"""Sets of points that are awkward in one way each, and slow distances that are plainly right."""

import numpy as np

SHAPES = {  # name: real images, synthetic images, dimensions
    "flat": (50, 60, 3),
    "large": (130, 90, 4),
    "line": (30, 12, 1),
    "wide": (40, 70, 50),
}


def _grid(real, synthetic):
    return np.round(real * 2), np.round(synthetic * 2)


def _far_from_origin(real, synthetic):
    return real + 1e4, synthetic + 1e4


def _copies_within(real, synthetic):
    real[: len(real) // 2] = real[0]
    synthetic[: len(synthetic) // 2] = real[0]
    return real, synthetic


def _scales_apart(real, synthetic):
    real[0] = 1e15
    return real, synthetic * 1e-12


def _copies_between(real, synthetic):
    count = min(len(real), len(synthetic))
    synthetic[:count] = real[:count]
    return real, synthetic


def _itself(real, synthetic):
    return real, real.copy()


def _near_copies(real, synthetic):
    return real, real[0] + synthetic * 1e-4


def _huge(real, synthetic):
    return real * 1e30, synthetic * 1e30


def _tiny(real, synthetic):
    return real * 1e-30, synthetic * 1e-30


KINDS = {
    "plain": lambda real, synthetic: (real, synthetic),
    "grid": _grid,
    "far from the origin": _far_from_origin,
    "copies within": _copies_within,
    "scales apart": _scales_apart,
    "copies between": _copies_between,
    "itself": _itself,
    "near copies": _near_copies,
    "huge": _huge,
    "tiny": _tiny,
}


def point_sets(shape, kind):
    """Returns real (N, D) and synthetic (M, D) float32."""
    count, other, size = SHAPES[shape]
    generator = np.random.default_rng(sorted(KINDS).index(kind))
    real, synthetic = generator.normal(size=(count, size)), generator.normal(size=(other, size))
    real, synthetic = KINDS[kind](real.astype(np.float32), 0.8 * synthetic.astype(np.float32))
    return real.astype(np.float32), synthetic.astype(np.float32)


def slow_distances(queries, keys):
    """(N, M) float32 by the definition."""
    difference = queries[:, None].astype(np.float64) - keys[None].astype(np.float64)
    return np.sqrt((difference**2).sum(axis=-1)).astype(np.float32)


def slow_within(values):
    """(N, N), where an image is infinitely far from itself."""
    distances = slow_distances(values, values)
    np.fill_diagonal(distances, np.inf)
    return distances
