"""How long do the measures on features take beside the matrix products that they need?

Features are drawn like a network's: not negative, and near a surface of few dimensions. Bare
products are `torch.mm` of the same float32 features into a buffer, each pair of images once, in
tiles of the same size, so that the ratio says what everything but the products costs.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

import numpy as np
import torch

from gendata.benchmarks.speed.measurement import Measurement, median_ratio, seconds
from gendata.gap.measures.distances import TILE_COLUMNS, TILE_ROWS
from gendata.gap.measures.frechet import frechet_distance
from gendata.gap.measures.manifold import compare_manifolds

__all__ = ["bare_products", "draw_features", "measure", "straightforward"]

IMAGES = 10_000
MANY = 50_000
DIMENSIONS = 1_280
SURFACE = 20  # dimensions of the surface that the features lie near
PAIRS = 3
PATIENCE = 300.0  # seconds; where MANY images would take longer, their time is extrapolated

# A process of its own, watched from inside, for memory that others have freed hides a peak.
PROGRAM = """
import sys, threading, time
import psutil
from gendata.benchmarks.speed.gap_measures import draw_features
from gendata.gap.measures.manifold import compare_manifolds

images, dimensions = int(sys.argv[1]), int(sys.argv[2])
real, synthetic = (draw_features(images, dimensions, seed) for seed in (0, 1))
compare_manifolds(real[:100], synthetic[:100])  # what libraries load on first use
process, peak = psutil.Process(), [0]

def watch():
    while True:
        peak[0] = max(peak[0], process.memory_info().rss)
        time.sleep(0.002)

before = process.memory_info().rss
threading.Thread(target=watch, daemon=True).start()
compare_manifolds(real, synthetic)
print((peak[0] - before) / 1e9)
"""


def measure() -> list[Measurement]:
    """Times the manifolds and the Fréchet distance, and takes the manifolds' memory."""
    real, synthetic = (draw_features(IMAGES, DIMENSIONS, seed) for seed in (0, 1))
    compare_manifolds(real[:1000], synthetic[:1000])  # warm up
    return [
        _beside_products(real, synthetic),
        _beside_straightforward(real, synthetic),
        _memory(),
        _growth(real, synthetic),
        _frechet(real, synthetic),
    ]


def draw_features(images: int, dimensions: int, seed: int) -> np.ndarray:
    """Features (images, dimensions) float32; sets of two seeds are of one law."""
    surface = np.random.default_rng(0).normal(size=(SURFACE, dimensions)).astype(np.float32)
    generator = np.random.default_rng(seed + 1)
    values = generator.standard_normal((images, SURFACE), dtype=np.float32) @ surface
    values += 0.3 * generator.standard_normal((images, dimensions), dtype=np.float32)
    return np.maximum(values, 0, out=values)


def bare_products(first: np.ndarray, other: np.ndarray) -> None:
    """Makes the product of each pair of rows once, in tiles; where both are one, half as many."""
    queries, keys = torch.from_numpy(first), torch.from_numpy(other)
    room = torch.empty(TILE_ROWS * TILE_COLUMNS)
    for top in range(0, len(queries), TILE_ROWS):
        left = queries[top : top + TILE_ROWS]
        for start in range(top if first is other else 0, len(keys), TILE_COLUMNS):
            right = keys[start : start + TILE_COLUMNS]
            out = room[: len(left) * len(right)].view(len(left), len(right))
            torch.mm(left, right.T, out=out)


def straightforward(
    real: np.ndarray, synthetic: np.ndarray, nearest_k: int = 5, rarity_k: int = 3
) -> tuple[float, float, float, float, float]:
    """What most people write: three whole tables of distances by NumPy, float32.

    Returns:
        precision, recall, density, coverage and mean rarity.
    """

    def table(one: np.ndarray, other: np.ndarray) -> np.ndarray:
        norms = np.square(one).sum(axis=1)[:, None] + np.square(other).sum(axis=1)
        return np.sqrt(np.maximum(norms - 2 * one @ other.T, 0))

    def radii(values: np.ndarray, *ks: int) -> list[np.ndarray]:
        ordered = np.partition(table(values, values), ks, axis=1)
        return [ordered[:, k] for k in ks]  # the nearest of all is the image itself

    between = table(real, synthetic)
    own, rare = radii(real, nearest_k, rarity_k)
    (theirs,) = radii(synthetic, nearest_k)
    inside = between < own[:, None]
    holders = np.where(between < rare[:, None], rare[:, None], np.inf)
    smallest = holders.min(axis=0)
    return (
        float(inside.any(axis=0).mean()),
        float((between < theirs).any(axis=1).mean()),
        float(inside.sum(axis=0).mean() / nearest_k),
        float((between.min(axis=1) < own).mean()),
        float(smallest[np.isfinite(smallest)].mean()),
    )


def _size(images: int) -> str:
    return f"{images:,} x {images:,} features of {DIMENSIONS:,} dimensions"


def _beside_products(real: np.ndarray, synthetic: np.ndarray) -> Measurement:
    ratio, ours, bare = median_ratio(
        lambda: seconds(lambda: compare_manifolds(real, synthetic)),
        lambda: seconds(lambda: _products(bare_products, real, synthetic)),
        PAIRS,
    )
    whole = seconds(lambda: _products(_whole_product, real, synthetic))
    how = (
        f"{ours:.1f} s against {bare:.1f} s for each pair once, {PAIRS} pairs; three whole "
        f"products {whole:.1f} s, ratio {ours / whole:.2f}"
    )
    name = f"PRDC, rarity and realism / their bare float32 products, {_size(IMAGES)}"
    return Measurement(name, "<= 1.5", f"{ratio:.2f}", ratio, how)


def _products(
    product: Callable[[np.ndarray, np.ndarray], None], real: np.ndarray, synthetic: np.ndarray
) -> None:
    for first, other in ((real, real), (synthetic, synthetic), (real, synthetic)):
        product(first, other)


def _whole_product(first: np.ndarray, other: np.ndarray) -> None:
    queries, keys = torch.from_numpy(first), torch.from_numpy(other)
    for top in range(0, len(queries), TILE_ROWS):
        torch.mm(queries[top : top + TILE_ROWS], keys.T)


def _beside_straightforward(real: np.ndarray, synthetic: np.ndarray) -> Measurement:
    ratio, theirs, ours = median_ratio(
        lambda: seconds(lambda: straightforward(real, synthetic)),
        lambda: seconds(lambda: compare_manifolds(real, synthetic)),
        1,
    )
    how = f"{theirs:.1f} s against {ours:.1f} s, once"
    name = f"NumPy's whole tables of distances / PRDC, rarity and realism, {_size(IMAGES)}"
    return Measurement(name, "", f"{ratio:.1f}", ratio, how)


def _memory() -> Measurement:
    command = [sys.executable, "-c", PROGRAM, str(IMAGES), str(DIMENSIONS)]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    peak = float(result.stdout)
    name = f"PRDC, rarity and realism: memory beyond the features, {_size(IMAGES)}"
    how = "peak of a process of its own"
    return Measurement(name, "< 1 GB", f"{peak:.2f} GB", peak, how)


def _growth(real: np.ndarray, synthetic: np.ndarray) -> Measurement:
    """Times 1, 2 and 5 times as many images; the products alone would take 1, 4 and 25 times."""
    first = seconds(lambda: compare_manifolds(real, synthetic))
    real, synthetic = (draw_features(2 * IMAGES, DIMENSIONS, seed) for seed in (0, 1))
    second = seconds(lambda: compare_manifolds(real, synthetic))
    spent = second * (MANY / (2 * IMAGES)) ** 2
    told = "extrapolated with the square"
    if spent <= PATIENCE:
        real, synthetic = (draw_features(MANY, DIMENSIONS, seed) for seed in (0, 1))
        spent, told = seconds(lambda: compare_manifolds(real, synthetic)), "measured"
    how = (
        f"{told}; {first:.1f} s at {IMAGES:,}, {second:.1f} s at {2 * IMAGES:,}: "
        f"{second / first:.1f} times as long for 4 times the pairs"
    )
    name = f"PRDC, rarity and realism: time, {_size(MANY)}"
    return Measurement(name, "", f"{spent:.0f} s", spent, how)


def _frechet(real: np.ndarray, synthetic: np.ndarray) -> Measurement:
    spent = min(seconds(lambda: frechet_distance(real, synthetic)) for _ in range(PAIRS))
    name = f"Fréchet distance: time, {_size(IMAGES)}"
    return Measurement(name, "< 2 s", f"{spent:.2f} s", spent, f"fastest of {PAIRS}, with moments")
