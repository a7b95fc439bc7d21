"""Loading a set that lives decoded on the device: one indexing operation per batch."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch

from gendata.images.augment import DRAWS, augment, padded, uniforms
from gendata.images.memory import ArrayImages
from gendata.images.order import Order, Share
from gendata.types import Examples, Images

__all__ = ["ResidentLoader"]


class ResidentLoader:
    """Batches of a set kept on the device as bytes and augmented there.

    Args:
        images: the decoded set.
        order: the batches.
        augmentation: a name from `AUGMENTATIONS`.
        device: where the set is kept.
    """

    def __init__(
        self, images: ArrayImages, order: Order, augmentation: str, device: torch.device
    ) -> None:
        self.images: Images = images
        self.order, self.augmentation, self.device = order, augmentation, device
        self.steps, self.views = order.steps, order.views
        self._store = padded(images.images.to(device), augmentation)
        self._labels = torch.from_numpy(images.labels).to(device)
        self._shape = (images.images.shape[2], images.images.shape[3])

    def epoch(self, number: int, first: int = 0, end: int | None = None) -> Iterator[Examples]:
        """Yields the batches of one epoch; the same number gives the same batches."""
        for share in self.order.epoch(number, first, end):
            yield self._examples(share)

    def fixed(self, rows: np.ndarray, view: int) -> Examples:
        """Returns one fixed view of given rows (B,), int64."""
        return self._examples(self.order.fixed(rows, np.full_like(rows, view)))

    def _examples(self, share: Share) -> Examples:
        draws = uniforms(share.key, share.rows, share.counters, DRAWS)
        rows = torch.from_numpy(share.rows).to(self.device)
        pixels = augment(self.augmentation, self._store, rows, self._shape, draws)
        views = torch.from_numpy(share.views).to(self.device)
        return Examples(pixels, self._labels.index_select(0, rows), rows, views)
