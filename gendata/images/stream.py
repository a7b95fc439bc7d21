"""Loading a set that does not fit in memory: decoded by worker processes, batch by batch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from gendata.errors import GendataError
from gendata.images.augment import DRAWS, augment, padded, uniforms
from gendata.images.memory import sizes_differ
from gendata.images.order import Order, Share
from gendata.images.resize import resized
from gendata.types import Examples, Images

__all__ = ["StreamLoader"]


class StreamLoader:
    """Batches decoded in worker processes and augmented on the device as the resident ones are.

    Args:
        images: the set; it must be picklable where processes are spawned.
        order: the batches.
        augmentation: a name from `AUGMENTATIONS`.
        device: where batches go.
        size: side in pixels that images are resized to; None where all have one size.
        workers: decoding processes; 0 decodes in this one.
    """

    def __init__(
        self,
        images: Images,
        order: Order,
        augmentation: str,
        device: torch.device,
        size: int | None,
        workers: int,
    ) -> None:
        self.images, self.order, self.augmentation, self.device = (
            images,
            order,
            augmentation,
            device,
        )
        self.steps, self.views = order.steps, order.views
        self._epoch = _EpochRows(order)
        self._images = _Decoder(images, size)
        self._decoder = DataLoader(
            self._images,
            batch_sampler=self._epoch,
            collate_fn=_as_it_is,
            num_workers=workers,
            persistent_workers=workers > 0,
            pin_memory=device.type == "cuda",
        )

    def epoch(self, number: int, first: int = 0, end: int | None = None) -> Iterator[Examples]:
        """Yields the batches of one epoch; the same number gives the same batches.

        Raises:
            GendataError: an image cannot be decoded, or the images differ in size.
        """
        self._epoch.number, self._epoch.first, self._epoch.end = number, first, end
        shares = self.order.epoch(number, first, end)
        for share, batch in zip(shares, self._decoder, strict=True):
            yield self._examples(share, batch)

    def fixed(self, rows: np.ndarray, view: int) -> Examples:
        """Returns one fixed view of given rows (B,), int64, decoded in this process."""
        share = self.order.fixed(rows, np.full_like(rows, view))
        return self._examples(share, self._images.__getitems__(rows.tolist()))

    def _examples(self, share: Share, batch: Tensor | GendataError) -> Examples:
        if isinstance(batch, GendataError):
            raise batch
        store = padded(batch.to(self.device, non_blocking=True), self.augmentation)
        draws = uniforms(share.key, share.rows, share.counters, DRAWS)
        places = torch.arange(len(batch), device=self.device)
        shape = (batch.shape[2], batch.shape[3])
        rows, views, labels = (
            torch.from_numpy(array).to(self.device)
            for array in (share.rows, share.views, np.asarray(self.images.labels)[share.rows])
        )
        pixels = augment(self.augmentation, store, places, shape, draws)
        return Examples(pixels, labels, rows, views)


class _EpochRows:
    """The row numbers of each batch of the epoch to come; lives in the main process."""

    def __init__(self, order: Order) -> None:
        self.order, self.number, self.first = order, 0, 0
        self.end: int | None = None

    def __len__(self) -> int:
        return self.order.steps

    def __iter__(self) -> Iterator[list[int]]:
        for share in self.order.epoch(self.number, self.first, self.end):
            yield share.rows.tolist()


class _Decoder(Dataset):
    """Decodes whole batches in a worker."""

    def __init__(self, images: Images, size: int | None) -> None:
        self.images, self.size = images, size

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, row: int) -> Tensor:
        return resized(self.images[row][0], self.size)

    def __getitems__(self, rows: list[int]) -> Tensor | GendataError:
        """Decodes a batch; a mistake comes back as a value, without the worker's traceback."""
        try:
            pixels = [self[row] for row in rows]
        except GendataError as error:
            return error
        for image in pixels[1:]:
            if image.shape != pixels[0].shape:
                return sizes_differ(self.images.name, pixels[0], image)
        return torch.stack(pixels)


def _as_it_is(batch: Any) -> Any:
    return batch
