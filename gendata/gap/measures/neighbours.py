"""The exact nearest neighbours of feature vectors, in tiles, on any device.

Distances are Euclidean, computed from differences in float64 and rounded to float32. Of vectors
that are equally far the one with the lower row comes first. Results depend on nothing else; see
`distances` for how products of matrices choose the candidates.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from gendata.errors import GendataError
from gendata.gap.measures.distances import (
    Pairs,
    Points,
    Tile,
    check_same_size,
    check_vectors,
    common_frame,
    copies,
    direct_distances,
    exact_products,
    joined,
    pairs_below,
    tiles,
)

__all__ = ["Neighbours", "first_limits", "nearest"]

PENDING = 4  # candidates for each neighbour that may wait before hopeless ones are dropped


@dataclass(frozen=True)
class Neighbours:
    """The nearest keys of N queries, nearest first.

    Attributes:
        distances: (N, k) float32, Euclidean, ascending.
        rows: (N, k) int64, places among the keys.
    """

    distances: np.ndarray
    rows: np.ndarray


def nearest(
    queries: np.ndarray,
    keys: np.ndarray,
    count: int,
    *,
    exclude_self: bool = False,
    device: torch.device | str = "cpu",
    tile: int | None = None,
) -> Neighbours:
    """Finds the `count` nearest keys of each query.

    An equal vector is a neighbour like any other, at distance 0.

    Args:
        queries: (N, D) finite; computed with in float32.
        keys: (M, D) finite.
        count: k, at least 1.
        exclude_self: query i and key i are the same image, which is no neighbour of itself (but
            its copies in other rows are).
        device: where products are made.
        tile: side of the tiles, for tests.

    Raises:
        GendataError: vectors are unusable or differ in D, or there are too few keys.
    """
    same = queries is keys
    queries = check_vectors(queries, "first")
    keys = queries if same else check_vectors(keys, "second")
    _check(queries, keys, count, exclude_self)
    if exclude_self and not same:
        if not np.array_equal(queries, keys):
            raise GendataError(
                "the queries are not the keys", do="leave exclude_self out, or pass one array"
            )
        keys = queries
    with exact_products():
        if exclude_self:
            return _within(keys, count, device, tile)
        return _between(queries, keys, count, device, tile)


def _check(queries: np.ndarray, keys: np.ndarray, count: int, exclude_self: bool) -> None:
    check_same_size(queries, keys)
    if count < 1:
        raise GendataError("the number of neighbours is below 1", found=count)
    if count > len(keys) - exclude_self:
        raise GendataError(
            "there are too few images for so many neighbours",
            found=f"{len(keys)} images",
            expected=f"at least {count + exclude_self}",
            do=f"take more images, or fewer than {count} neighbours",
        )


def _between(
    queries: np.ndarray, keys: np.ndarray, count: int, device: torch.device | str, tile: int | None
) -> Neighbours:
    # Copies beyond the first `count` never come first: equally far ones are taken by row.
    kept = np.flatnonzero(copies(keys)[1] < count)
    center, scale = common_frame(keys, queries)
    left = Points(queries, center, scale, device)
    right = Points(keys[kept], center, scale, device)
    found = _search(left, right, count, tile)
    return Neighbours(found.distances, kept[found.rows])


def _within(
    values: np.ndarray, count: int, device: torch.device | str, tile: int | None
) -> Neighbours:
    first, before = copies(values)
    kept = np.flatnonzero(before <= count)  # one more, for an image is not its own neighbour
    center, scale = common_frame(values)
    points = Points(values[kept], center, scale, device)
    found = _search(points, points, count, tile)
    distances = np.zeros((len(values), count), dtype=np.float32)
    rows = np.empty((len(values), count), dtype=np.int64)
    distances[kept], rows[kept] = found.distances, kept[found.rows]
    # The images left out have at least `count` copies before them, all kept, at distance 0; the
    # neighbours of the last kept copy are these.
    left_out = np.flatnonzero(before > count)
    if len(left_out):
        last = np.flatnonzero(before == count)
        last_of = dict(zip(first[last].tolist(), last.tolist(), strict=True))
        rows[left_out] = rows[[last_of[row] for row in first[left_out].tolist()]]
    return Neighbours(distances, rows)


def _search(queries: Points, keys: Points, count: int, tile: int | None) -> Neighbours:
    """Collects every pair that may be among the nearest, then decides by direct distances."""
    limits = first_limits(queries, keys, count)
    same = queries is keys
    waiting: list[Pairs] = []
    most = PENDING * count * len(queries)
    for each in tiles(queries, keys, tile=tile):
        found = pairs_below(each, queries, keys, limits, limits if same else None)
        waiting += _both_ways(found, each, limits) if same else [found]
        if sum(map(len, waiting)) > most:
            limits, pairs = _narrowed(waiting, limits, count)
            waiting, most = [pairs], max(most, 2 * len(pairs))
    limits, pairs = _narrowed(waiting, limits, count)
    distances = _distances(queries, keys, pairs)
    order = np.lexsort((pairs.columns, distances, pairs.rows))
    starts = np.searchsorted(pairs.rows[order], np.arange(len(queries)))
    chosen = order[starts[:, None] + np.arange(count)]
    return Neighbours(distances[chosen], pairs.columns[chosen])


def _distances(queries: Points, keys: Points, pairs: Pairs) -> np.ndarray:
    """Direct distances (P,); where both sets are one, those of a pair's two ways only once."""
    if queries is not keys:
        return direct_distances(queries.values, keys.values, pairs.rows, pairs.columns)
    low, high = np.minimum(pairs.rows, pairs.columns), np.maximum(pairs.rows, pairs.columns)
    different, place = np.unique((low << 32) | high, return_inverse=True)
    rows, columns = different >> 32, different & 0xFFFFFFFF
    return direct_distances(queries.values, keys.values, rows, columns)[place]


def _both_ways(pairs: Pairs, tile: Tile, limits: np.ndarray) -> list[Pairs]:
    """The pairs with either image as the query, without those of an image and itself."""
    forward = (pairs.lower <= limits[pairs.rows]) & (pairs.rows != pairs.columns)
    # Keys below the last query of the tile are among its queries too.
    backward = (pairs.lower <= limits[pairs.columns]) & (pairs.columns >= tile.rows.stop)
    turned = pairs[backward]
    return [pairs[forward], Pairs(turned.columns, turned.rows, turned.lower, turned.upper)]


def first_limits(
    queries: Points, keys: Points, count: int, *, factors: np.ndarray | None = None
) -> np.ndarray:
    """Upper bounds (N,) of each query's squared distance to its count-th nearest key.

    They come from keys drawn at random, so that of M keys about `count` * M / drawn lie below.
    Where queries and keys are the same object, an image does not count for itself.

    Args:
        queries: left vectors.
        keys: right vectors.
        count: which neighbour.
        factors: (B,) what the squared distances to the first B keys are multiplied with; the
            other keys are left out.
    """
    among = len(keys) if factors is None else len(factors)
    drawn = min(among, max(64, count + 1, int(np.sqrt(2 * count * among))))
    rows = np.sort(np.random.default_rng(0).choice(among, drawn, replace=False))
    right = keys.keys(torch.from_numpy(rows).to(keys.device))
    slack, times = (
        torch.from_numpy(each[rows].astype(np.float32)).to(keys.device)
        for each in (keys.slack, np.ones(among) if factors is None else factors)
    )
    limits = np.empty(len(queries))
    step = max(1, 2**20 // drawn)
    for top in range(0, len(queries), step):
        upper = torch.mm(queries.queries(slice(top, top + step)), right.T).add_(slack)
        own_slack = torch.from_numpy(queries.slack[top : top + step].astype(np.float32))
        upper.add_(own_slack.to(keys.device)[:, None]).mul_(times)
        if queries is keys:
            own = np.flatnonzero((rows >= top) & (rows < top + len(upper)))
            upper[rows[own] - top, own] = torch.inf
        worst = upper.topk(count, dim=1, largest=False, sorted=False).values.amax(dim=1)
        limits[top : top + step] = worst.cpu().numpy()
    return limits


def _narrowed(waiting: list[Pairs], limits: np.ndarray, count: int) -> tuple[np.ndarray, Pairs]:
    """Limits from the pairs found so far, and the pairs that are still below them."""
    pairs = joined(waiting)
    # Bits of floats that are not negative sort as they do: one sort of integers orders the pairs
    # by query and bound.
    upper = np.nextafter(pairs.upper.astype(np.float32), np.float32(np.inf))
    ordered = np.sort((pairs.rows << 32) | upper.view(np.int32))
    queries = np.arange(len(limits))
    last = np.searchsorted(ordered, queries << 32) + count - 1
    enough = last < np.searchsorted(ordered, (queries + 1) << 32)
    bits = (ordered[last[enough]] & 0x7FFFFFFF).astype(np.int32)
    limits = limits.copy()
    limits[enough] = np.minimum(limits[enough], bits.view(np.float32))
    return limits, pairs[pairs.lower <= limits[pairs.rows]]
