"""Euclidean distances between many vectors, fast where they are far from what matters.

Matrix products give all squared distances as |a|^2 + |b|^2 - 2ab, but in float32 that difference
keeps nothing of a small distance. Here it yields a lower and an upper bound of each distance, and
the bounds only choose pairs. A distance that counts is computed from the difference of the two
vectors in float64 and rounded to float32 once. So no result depends on the size of the tiles, on
the order of the vectors, on threads or on the device, and equal vectors are exactly 0 apart.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import blake2b

import numpy as np
import torch
from torch import Tensor

from gendata.errors import GendataError

__all__ = [
    "Pairs",
    "Points",
    "Tile",
    "check_same_size",
    "check_vectors",
    "common_frame",
    "copies",
    "direct_distances",
    "exact_products",
    "joined",
    "pairs_below",
    "tiles",
]

ROUNDING = 2.0**-24  # of float32, relative
TINY = 1e-30  # what float32 products may lose where they underflow, after scaling
TILE_ROWS, TILE_COLUMNS = 1024, 2048  # a tile stays in the processor's cache
GPU_TILE = 8192


def check_vectors(values: np.ndarray, name: str) -> np.ndarray:
    """Returns the vectors (N, D) as contiguous float32.

    Raises:
        GendataError: this is no matrix with a row and a column, or an entry is not finite.
    """
    array = np.asarray(values)
    if array.ndim != 2 or not array.size:
        raise GendataError(
            f"the features of the {name} set are no matrix",
            found=f"shape {array.shape}",
            expected="(images, dimensions), one or more of each",
        )
    # PyTorch takes no array that it could not write to, such as one mapped from a file.
    array = np.require(array, np.float32, ["C", "W"])
    if not np.isfinite(array).all():
        bad = np.flatnonzero(~np.isfinite(array).all(axis=1))
        raise GendataError(
            f"features of the {name} set are not finite",
            found=f"{len(bad)} such images of {len(array)}, the first in row {bad[0]}",
            do="look at these images, or at the encoder",
        )
    return array


def check_same_size(first: np.ndarray, other: np.ndarray) -> None:
    """Checks that two sets of vectors have the same number of dimensions.

    Raises:
        GendataError: they do not.
    """
    if first.shape[1] != other.shape[1]:
        raise GendataError(
            "the features of two sets differ in size",
            found=f"{first.shape[1]} and {other.shape[1]} dimensions",
            do="compute both with one encoder",
        )


def copies(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Finds equal vectors among (N, D).

    Returns:
        for each vector the row of the first one equal to it, and how many equal ones stand
        before it; both (N,) int64.
    """
    first, before = np.arange(len(values)), np.zeros(len(values), dtype=np.int64)
    seen: dict[bytes, list[int]] = {}
    for row in _suspects(values):
        # 0.0 turns -0.0, which equals it, into the same bytes.
        digest = blake2b((values[row] + np.float32(0.0)).tobytes(), digest_size=16).digest()
        group = seen.setdefault(digest, [row, 0])
        first[row], before[row] = group
        group[1] += 1
    return first, before


def _suspects(values: np.ndarray) -> list[int]:
    """Rows of vectors that may equal another one: their integer checksums, mod 2^64, do."""
    weights = np.random.default_rng(0).integers(2**63, size=values.shape[1], dtype=np.uint64)
    sums = np.empty(len(values), dtype=np.uint64)
    for start in range(0, len(values), 256):
        bits = (values[start : start + 256] + np.float32(0.0)).view(np.uint32)
        sums[start : start + 256] = bits.astype(np.uint64) @ (2 * weights + 1)
    _, place, count = np.unique(sums, return_inverse=True, return_counts=True)
    return np.flatnonzero(count[place] > 1).tolist()


def direct_distances(
    queries: np.ndarray, keys: np.ndarray, rows: np.ndarray, columns: np.ndarray
) -> np.ndarray:
    """Distances (P,) float32 of the pairs queries[rows], keys[columns], from their differences."""
    left, right = torch.from_numpy(queries), torch.from_numpy(keys)
    found = torch.empty(len(rows), dtype=torch.float64)
    step = max(1, 2**19 // queries.shape[1])
    for start in range(0, len(rows), step):
        stop = start + step
        one = left[torch.from_numpy(rows[start:stop])].double()
        one -= right[torch.from_numpy(columns[start:stop])]
        found[start:stop] = one.square_().sum(dim=1)
    return found.sqrt_().float().numpy()


class Points:
    """Vectors made ready for products that bound squared distances.

    Vectors are moved to a common centre, which makes the products small, and scaled by a power of
    two, so that squares neither overflow nor vanish. Two columns more let the product itself add
    the norms: (-2a, |a|^2, 1) (b, 1, |b|^2). The norms are made smaller by what rounding may add,
    so that a product is never above the squared distance; the bound is that of Higham (Accuracy
    and Stability of Numerical Algorithms, 2002, section 3.1) for any order of summation.

    Args:
        values: (N, D) float32.
        center: (D,) float32, the same for all that is compared.
        scale: the same for all that is compared; see `common_frame`.
        device: where products are made.

    Attributes:
        values: as given, on the CPU.
        slack: (N,) float64; what a pair's two vectors add up to is the width of its bounds.
    """

    def __init__(
        self, values: np.ndarray, center: np.ndarray, scale: float, device: torch.device | str
    ) -> None:
        self.values, self.scale = values, scale
        count, size = values.shape
        self._keys = torch.empty(count, size + 2, device=device)
        moved = self._keys[:, :size]
        moved.copy_(torch.from_numpy(values))
        moved.mul_(scale).sub_(torch.from_numpy(center).to(device) * scale)
        norms = torch.linalg.vector_norm(moved, dim=1).double().square()
        error = 2 * (size + 32) * ROUNDING * norms + TINY
        self.slack = (2 * error).cpu().numpy()
        self._keys[:, size] = 1.0
        self._keys[:, size + 1] = (norms - error).float()

    def __len__(self) -> int:
        return len(self.values)

    @property
    def device(self) -> torch.device:
        """Where products are made."""
        return self._keys.device

    def keys(self, rows: slice | Tensor) -> Tensor:
        """Right factors (n, D + 2)."""
        return self._keys[rows]

    def queries(self, rows: slice) -> Tensor:
        """Left factors (n, D + 2)."""
        part = self._keys[rows]
        left = torch.empty_like(part)
        torch.mul(part[:, :-2], -2, out=left[:, :-2])
        left[:, -2], left[:, -1] = part[:, -1], part[:, -2]
        return left

    def squared(self, distances: np.ndarray) -> np.ndarray:
        """Distances in the units of the vectors as squares in the units of the bounds, float64."""
        return np.square(np.asarray(distances, dtype=np.float64) * self.scale)


def common_frame(*sets: np.ndarray) -> tuple[np.ndarray, float]:
    """The centre (D,) float32 of the first set, and a power of two that brings all near 1."""
    center = sets[0].mean(axis=0, dtype=np.float64).astype(np.float32)
    widest = max(max(float(each.max()), -float(each.min())) for each in sets)
    exponent = int(np.clip(np.ceil(np.log2(widest)), -100, 126)) if widest > 0 else 0
    return center, 2.0**-exponent


@dataclass(frozen=True)
class Tile:
    """Lower bounds of the squared distances between some queries and some keys.

    Attributes:
        top: row of its first query.
        start: row of its first key.
        lower: (n, m) float32; overwritten when the next tile is made.
        masks: two of (n * m,) bool or longer, room to work in.
    """

    top: int
    start: int
    lower: Tensor
    masks: Sequence[Tensor]

    @property
    def rows(self) -> slice:
        """Which queries."""
        return slice(self.top, self.top + self.lower.shape[0])

    @property
    def columns(self) -> slice:
        """Which keys."""
        return slice(self.start, self.start + self.lower.shape[1])


@dataclass(frozen=True)
class Pairs:
    """Some pairs of a query and a key with bounds of their squared distance, all (P,)."""

    rows: np.ndarray
    columns: np.ndarray
    lower: np.ndarray
    upper: np.ndarray

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, chosen: np.ndarray) -> Pairs:
        return Pairs(
            self.rows[chosen], self.columns[chosen], self.lower[chosen], self.upper[chosen]
        )


def joined(parts: Sequence[Pairs]) -> Pairs:
    """All pairs of some parts, one after the other."""
    if not parts:
        return Pairs(*np.empty((2, 0), dtype=np.int64), *np.empty((2, 0)))
    fields = ("rows", "columns", "lower", "upper")
    return Pairs(*(np.concatenate([getattr(each, name) for each in parts]) for name in fields))


def tiles(queries: Points, keys: Points, *, tile: int | None = None) -> Iterator[Tile]:
    """Yields the bounds of all pairs, tile by tile.

    Where queries and keys are the same object, tiles below the diagonal are left out, since
    they hold the same distances once more.

    Args:
        queries: left vectors.
        keys: right vectors.
        tile: side of a tile, for tests; by default what suits the device.
    """
    rows, columns = (TILE_ROWS, TILE_COLUMNS) if tile is None else (tile, tile)
    if tile is None and keys.device.type != "cpu":
        rows = columns = GPU_TILE
    rows, columns = min(rows, len(queries)), min(columns, len(keys))
    room = torch.empty(rows * columns, device=keys.device)
    masks = torch.zeros(2, rows * columns + 8, dtype=torch.bool, device=keys.device).unbind()
    for top in range(0, len(queries), rows):
        left = queries.queries(slice(top, top + rows))
        for start in range(top if queries is keys else 0, len(keys), columns):
            right = keys.keys(slice(start, start + columns))
            lower = room[: len(left) * len(right)].view(len(left), len(right))
            torch.mm(left, right.T, out=lower)
            yield Tile(top, start, lower, masks)


def pairs_below(
    tile: Tile,
    queries: Points,
    keys: Points,
    row_limits: np.ndarray | None = None,
    column_limits: np.ndarray | None = None,
) -> Pairs:
    """The pairs of a tile that may be nearer than a limit of their query or of their key.

    Args:
        tile: of `tiles`.
        queries: its left vectors.
        keys: its right vectors.
        row_limits: (N,) squared distances, one for each query; no pair that is at most as far is
            left out.
        column_limits: (M,) the same for the keys.
    """
    size = tile.lower.numel()
    mask, room = (each[:size].view(tile.lower.shape) for each in tile.masks)
    limits = [
        _rounded_up(each[part], tile.lower).unsqueeze(axis)
        for each, part, axis in (
            (row_limits, tile.rows, 1),
            (column_limits, tile.columns, 0),
        )
        if each is not None
    ]
    torch.lt(tile.lower, limits[0], out=mask)
    for limit in limits[1:]:
        mask.logical_or_(torch.lt(tile.lower, limit, out=room))
    places = _true_places(tile.masks[0], size)
    lower = tile.lower.view(-1)[places.to(tile.lower.device)].cpu().numpy().astype(np.float64)
    rows, columns = np.divmod(places.numpy(), tile.lower.shape[1])
    rows, columns = rows + tile.top, columns + tile.start
    return Pairs(rows, columns, lower, lower + queries.slack[rows] + keys.slack[columns])


def _rounded_up(limits: np.ndarray, like: Tensor) -> Tensor:
    up = np.nextafter(limits.astype(np.float32), np.float32(np.inf))
    return torch.from_numpy(up).to(like.device)


def _true_places(mask: Tensor, size: int) -> Tensor:
    """Where mask[:size] holds, (P,) int64 on the CPU; nearly all of it is false."""
    if mask.device.type != "cpu":
        return mask[:size].nonzero().view(-1).cpu()
    mask[size : size + 8] = False
    # Eight at a time, which is much faster than looking at each.
    words = np.flatnonzero(mask.numpy()[: -(-size // 8) * 8].view(np.int64))
    places = torch.from_numpy((words[:, None] * 8 + np.arange(8)).reshape(-1))
    return places[mask[places]]


@contextmanager
def exact_products() -> Iterator[None]:
    """Makes float32 products float32: TensorFloat-32 and bfloat16 would break the bounds."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)
