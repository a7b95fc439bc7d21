"""Which images make up batch b of epoch e, the same however many processes share the work."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch

from gendata.images.augment import uniforms
from gendata.seeds import hash_seed

__all__ = ["Order", "Share", "balanced_order"]

ORDER, FRESH, FIXED, CHOICE = range(4)  # what a seed is for, so that no two uses share numbers


class Share(NamedTuple):
    """A process's part of one global batch.

    Attributes:
        rows: (B,) int64, the images.
        views: (B,) int64, which fixed augmentation of each; -1 for fresh ones.
        key: seed of the augmentation.
        counters: (B,) int64; with the key and the row they decide an image's augmentation.
    """

    rows: np.ndarray
    views: np.ndarray
    key: int
    counters: np.ndarray


@dataclass(frozen=True)
class Order:
    """The batches of every epoch.

    Attributes:
        count: number of images.
        batch_size: images in a global batch, all processes together.
        seed: decides order and augmentation.
        rank: this process.
        world: number of processes.
        views: number of fixed augmentations of each image; 0 draws fresh ones.
        drop_last: leave out an incomplete last batch.
        labels: (N,) int64, to draw the classes evenly; None to see every image once an epoch.
    """

    count: int
    batch_size: int
    seed: int
    rank: int
    world: int
    views: int
    drop_last: bool
    labels: np.ndarray | None = None

    @property
    def steps(self) -> int:
        """Batches in an epoch."""
        full, rest = divmod(self.count, self.batch_size)
        return full + (rest > 0 and not self.drop_last)

    def epoch(self, number: int, first: int = 0, end: int | None = None) -> Iterator[Share]:
        """Yields this process's share of each global batch: every `world`-th image of it.

        Args:
            number: of the epoch; each has an order of its own.
            first: the batch to begin with; none before it is looked at.
            end: the batch to stop before; None for all that are left.
        """
        generator = torch.Generator().manual_seed(hash_seed(self.seed, ORDER, number))
        if self.labels is None:
            order = torch.randperm(self.count, generator=generator).numpy()
            counters = np.full_like(order, number)
        else:
            order = balanced_order(self.labels, generator)
            # A row that comes again in the same epoch is augmented anew.
            counters = number + (_occurrences(order) << 32)
        for step in range(first, self.steps if end is None else min(end, self.steps)):
            start = step * self.batch_size
            own = slice(start + self.rank, start + self.batch_size, self.world)
            yield self._share(order[own], counters[own])

    def _share(self, rows: np.ndarray, counters: np.ndarray) -> Share:
        if not self.views:
            return Share(rows, np.full_like(rows, -1), hash_seed(self.seed, FRESH), counters)
        choice = uniforms(hash_seed(self.seed, CHOICE), rows, counters, 1)[:, 0]
        return self.fixed(rows, (choice * self.views).astype(np.int64))

    def fixed(self, rows: np.ndarray, views: np.ndarray) -> Share:
        """Asks for given views (B,) of given rows (B,)."""
        return Share(rows, views, hash_seed(self.seed, FIXED), views)


def balanced_order(labels: np.ndarray, generator: torch.Generator) -> np.ndarray:
    """Draws as many rows as there are, every class equally often.

    The order is made of runs that hold each class once, so that a batch of B rows holds each of K
    classes about B / K times. Within a class, no row comes again before all others have come.

    Args:
        labels: (N,) int64; classes without a row are left out.
        generator: decides the order.

    Returns:
        (N,) int64, row numbers.
    """
    groups = [np.flatnonzero(labels == label) for label in np.unique(labels)]
    runs = -(-len(labels) // len(groups))
    columns = []
    for rows in groups:
        passes = [
            rows[torch.randperm(len(rows), generator=generator).numpy()]
            for _ in range(-(-runs // len(rows)))
        ]
        columns.append(np.concatenate(passes)[:runs])
    table = np.stack(columns, axis=1)  # (runs, K)
    places = torch.rand(table.shape, generator=generator).argsort(dim=1).numpy()
    return np.take_along_axis(table, places, axis=1).flatten()[: len(labels)]


def _occurrences(rows: np.ndarray) -> np.ndarray:
    """How often each row has come before: 0 at its first place."""
    by_row = np.argsort(rows, kind="stable")
    ordered = rows[by_row]
    firsts = np.searchsorted(ordered, ordered)
    counts = np.empty(len(rows), dtype=np.int64)
    counts[by_row] = np.arange(len(rows)) - firsts
    return counts
