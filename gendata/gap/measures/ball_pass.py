"""The pass over the distances between two sets that every figure of `manifold` comes from."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from gendata.gap.measures.distances import (
    Pairs,
    Points,
    Tile,
    common_frame,
    copies,
    direct_distances,
    joined,
    pairs_below,
    tiles,
)
from gendata.gap.measures.neighbours import first_limits

__all__ = ["BallPass"]


class _Set:
    """One of the two sets with equal images taken together.

    Attributes:
        first: (U,) rows of the different images.
        inverse: (N,) which of them each image equals.
        weights: (U,) how many images equal each.
        copies: how many images equal an earlier one.
    """

    def __init__(self, values: np.ndarray, order: np.ndarray | None = None) -> None:
        of = copies(values)[0]
        self.first = np.unique(of)
        if order is not None:
            self.first = self.first[np.argsort(order[self.first], kind="stable")]
        place = np.empty(len(values), dtype=np.int64)
        place[self.first] = np.arange(len(self.first))
        self.inverse = place[of]
        self.weights = np.bincount(self.inverse)
        self.copies = len(values) - len(self.first)


class BallPass:
    """Counts who lies in whose ball, and finds who is nearest, tile by tile.

    Real images are the rows of the tiles. They stand in the order of realism: first the balls it
    looks at, from the largest down, then the others.

    Args:
        real: (N, D) float32.
        synthetic: (M, D) float32.
        real_radii: (N,) float32.
        synthetic_radii: (M,) float32.
        rarity_radii: (N,) float32, of the real images' balls of rarity.
        device: where products are made.
    """

    def __init__(
        self,
        real: np.ndarray,
        synthetic: np.ndarray,
        real_radii: np.ndarray,
        synthetic_radii: np.ndarray,
        rarity_radii: np.ndarray,
        device: torch.device | str,
    ) -> None:
        looked_at = (real_radii <= np.median(real_radii)) & (real_radii > 0)
        self.rows = _Set(real, np.where(looked_at, -real_radii, 1.0))
        self.columns = _Set(synthetic)
        center, scale = common_frame(real, synthetic)
        self.real = Points(real[self.rows.first], center, scale, device)
        different = synthetic[self.columns.first] if self.columns.copies else synthetic
        self.synthetic = Points(different, center, scale, device)
        self.radii = real_radii[self.rows.first]
        self.rarity_radii = rarity_radii[self.rows.first]
        self.column_radii = synthetic_radii[self.columns.first]
        self.looked_at = int(looked_at[self.rows.first].sum())
        self.real_balls = np.zeros(len(self.synthetic))
        self.synthetic_balls = np.zeros(len(self.real))
        self.rarity = np.full(len(self.synthetic), np.inf, dtype=np.float32)

    def run(self, tile: int | None = None) -> dict[str, np.ndarray]:
        """Returns the fields of `Manifolds` that need both sets, by name."""
        squares = [self.real.squared(each) for each in self._radii()]
        near_rows = _Smallest(first_limits(self.real, self.synthetic, 1))
        near_columns = _Smallest(first_limits(self.synthetic, self.real, 1))
        realism = _Realism(self.real, self.synthetic, squares[0][: self.looked_at])
        row_balls = np.maximum(squares[0], squares[1])
        for each in tiles(self.real, self.synthetic, tile=tile):
            row_limits = np.maximum(row_balls, near_rows.limits)
            column_limits = np.maximum(squares[2], near_columns.limits)
            pairs = pairs_below(each, self.real, self.synthetic, row_limits, column_limits)
            self._count(pairs, squares)
            near_rows.take(pairs.rows, pairs.lower, pairs.upper, pairs)
            near_columns.take(pairs.columns, pairs.lower, pairs.upper, pairs)
            realism.take(each)
        return self._results(near_rows.left(), near_columns.left(), realism.left())

    def _radii(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        return self.radii, self.rarity_radii, self.column_radii

    def _count(self, pairs: Pairs, squares: list[np.ndarray]) -> None:
        """Counts the pairs of which one image lies in the other's ball."""
        owners = (pairs.rows, pairs.rows, pairs.columns)
        limits = [each[owner] for each, owner in zip(squares, owners, strict=True)]
        unsure = np.zeros(len(pairs), dtype=bool)
        for limit in limits:
            unsure |= (pairs.lower < limit) & (pairs.upper >= limit)
        distances = np.full(len(pairs), np.inf, dtype=np.float32)
        distances[unsure] = self._distances(pairs[unsure])
        in_real, in_rarity, in_synthetic = (
            np.where(unsure, distances < radii[owner], pairs.upper < limit)
            for radii, owner, limit in zip(self._radii(), owners, limits, strict=True)
        )
        rows, columns = pairs.rows, pairs.columns
        for held, holders, weights, inside in (
            (self.real_balls, (columns, rows), self.rows.weights, in_real),
            (self.synthetic_balls, (rows, columns), self.columns.weights, in_synthetic),
        ):
            image, ball = (each[inside] for each in holders)
            held += np.bincount(image, weights[ball], minlength=len(held))
        np.minimum.at(self.rarity, columns[in_rarity], self.rarity_radii[rows[in_rarity]])

    def _distances(self, pairs: Pairs) -> np.ndarray:
        return direct_distances(self.real.values, self.synthetic.values, pairs.rows, pairs.columns)

    def _results(self, by_row: Pairs, by_column: Pairs, by_ratio: Pairs) -> dict[str, np.ndarray]:
        distances = self._distances(by_row)
        synthetic_rows = self.columns.first[by_row.columns]
        nearest_synthetic = _first_of(by_row.rows, distances, synthetic_rows)
        real_inverse, inverse = self.rows.inverse, self.columns.inverse
        found = {
            "real_balls": self.real_balls[inverse].astype(np.int64),
            "synthetic_balls": self.synthetic_balls[real_inverse].astype(np.int64),
            "rarity": np.where(np.isinf(self.rarity), np.nan, self.rarity)[inverse],
            "nearest_synthetic": synthetic_rows[nearest_synthetic][real_inverse],
            "nearest_synthetic_distance": distances[nearest_synthetic][real_inverse],
        }
        distances = self._distances(by_column)
        real_rows = self.rows.first[by_column.rows]
        nearest_real = _first_of(by_column.columns, distances, real_rows)
        ratios = np.zeros(len(self.synthetic), dtype=np.float32)
        with np.errstate(divide="ignore"):
            of_pairs = self.radii[by_ratio.rows] / self._distances(by_ratio)
        np.maximum.at(ratios, by_ratio.columns, of_pairs)
        return found | {
            "realism": ratios[inverse],
            "nearest_real": real_rows[nearest_real][inverse],
            "nearest_real_distance": distances[nearest_real][inverse],
        }


class _Smallest:
    """The pairs that may have the smallest value of their owner, one of the two images.

    Args:
        limits: (N,) upper bounds of that value, which shrink as pairs are taken.
    """

    def __init__(self, limits: np.ndarray) -> None:
        self.limits = limits
        self._taken: list[tuple[np.ndarray, np.ndarray, Pairs]] = []

    def take(self, owners: np.ndarray, lower: np.ndarray, upper: np.ndarray, pairs: Pairs) -> None:
        """Keeps those of the pairs that may win; `lower` and `upper` bound their values."""
        may = lower <= self.limits[owners]
        np.minimum.at(self.limits, owners[may], upper[may])
        self._taken.append((owners[may], lower[may], pairs[may]))

    def left(self) -> Pairs:
        """The pairs that no other one beats for sure; some only where some were taken."""
        return joined(
            [pairs[lower <= self.limits[owners]] for owners, lower, pairs in self._taken]
        )


class _Realism:
    """Finds the pairs that may have the largest radius / distance of their synthetic image.

    Args:
        real: the first ones are the centres of the balls looked at.
        synthetic: the other images.
        squares: (B,) squared radii of these balls, float64, all above 0.
    """

    def __init__(self, real: Points, synthetic: Points, squares: np.ndarray) -> None:
        self.real, self.synthetic, self.squares = real, synthetic, squares
        factors = 1 / squares
        # A larger factor than this might make a product of 0 and infinity.
        self.factors = torch.from_numpy(np.minimum(factors, 1e30).astype(np.float32))
        limits = np.full(len(synthetic), np.inf)
        if len(squares):
            limits = first_limits(synthetic, real, 1, factors=factors)
        self.smallest = _Smallest(limits)

    def take(self, tile: Tile) -> None:
        """Looks at a tile, whose content is lost."""
        balls = min(len(self.squares) - tile.top, tile.lower.shape[0])
        if balls <= 0:
            return
        factors = self.factors[tile.top : tile.top + balls].to(tile.lower.device)
        part = replace(tile, lower=tile.lower[:balls].mul_(factors[:, None]))
        limits = self.smallest.limits
        pairs = pairs_below(part, self.real, self.synthetic, None, limits)
        squares = self.squares[pairs.rows]
        slack = self.real.slack[pairs.rows] + self.synthetic.slack[pairs.columns]
        self.smallest.take(pairs.columns, pairs.lower, pairs.lower + slack / squares, pairs)

    def left(self) -> Pairs:
        """The pairs that may have the largest ratio."""
        return self.smallest.left()


def _first_of(owners: np.ndarray, distances: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Places, one for each owner from 0 on, of its nearest pair; of equal ones the lowest row."""
    order = np.lexsort((rows, distances, owners))
    _, starts = np.unique(owners[order], return_index=True)
    return order[starts]
