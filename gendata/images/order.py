"""Which images make up batch b of epoch e, the same however many processes share the work."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch

from gendata.images.augment import uniforms
from gendata.seeds import hash_seed

__all__ = ["Order", "Share"]

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
    """

    count: int
    batch_size: int
    seed: int
    rank: int
    world: int
    views: int
    drop_last: bool

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
        order = torch.randperm(self.count, generator=generator).numpy()
        counters = np.full_like(order, number)
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
