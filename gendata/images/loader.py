"""Turning an image set into batches of augmented examples."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Protocol

import numpy as np
import torch

from gendata.errors import GendataError
from gendata.images.augment import check_augmentation
from gendata.images.damage import DamagedImage
from gendata.images.memory import ArrayImages, decode_all
from gendata.images.order import Order
from gendata.images.resident import ResidentLoader
from gendata.images.stream import StreamLoader
from gendata.types import Examples, Images

__all__ = ["RESIDENT_BYTES", "Loader", "make_loader"]

RESIDENT_BYTES = 2 * 2**30  # sets that take more than this decoded are streamed
MOST_WORKERS = 8


class Loader(Protocol):
    """Batches of a set, epoch by epoch.

    Attributes:
        images: the set; `Examples.rows` are its row numbers.
        steps: batches in an epoch.
        views: number of fixed augmentations of each image; 0 where they are drawn afresh.
    """

    images: Images
    steps: int
    views: int

    def epoch(self, number: int, first: int = 0, end: int | None = None) -> Iterator[Examples]:
        """Yields the batches of one epoch; the same number gives the same batches.

        Args:
            number: of the epoch.
            first: the batch to begin with; nothing before it is decoded.
            end: the batch to stop before; None for all that are left.
        """
        ...

    def fixed(self, rows: np.ndarray, view: int) -> Examples:
        """Returns one fixed view of given rows (B,), int64, whichever process this is."""
        ...


def make_loader(
    images: Images,
    batch_size: int,
    *,
    augment: str = "crop-flip",
    size: int | None = None,
    seed: int = 0,
    rank: int = 0,
    world: int = 1,
    views: int = 0,
    device: torch.device | str = "cpu",
    drop_last: bool | None = None,
    resident: bool | None = None,
    workers: int | None = None,
) -> Loader:
    """Makes a loader; small sets are kept decoded on the device, large ones streamed.

    Both give the same examples for the same seed, bit for bit. Global batch b of epoch e is the
    same for any number of processes; each gets every `world`-th image of it.

    Args:
        images: the set.
        batch_size: images in a global batch, all processes together.
        augment: "none", "crop" (zero padding of an eighth of the side), "flip", "crop-flip" (also
            called "weak"), "strong" (zoom into a box, flip, brightness, contrast, saturation) or
            "strong-blur" (further zoom, and hue, grey and blur as well, each with a chance).
        size: side in pixels that images are resized to before; None keeps theirs.
        seed: decides order and augmentation.
        rank: this process.
        world: number of processes.
        views: give each image this many fixed augmentations and choose one of them in each
            epoch, so that a frozen network's features can be kept by (row, view); 0 draws fresh
            ones.
        device: where examples go.
        drop_last: leave out an incomplete last batch; by default where there is a full one.
        resident: keep the set on the device; by default where it takes at most 2 GiB.
        workers: decoding processes of the streaming loader; by default one per core, at most 8.
    """
    check_augmentation(augment)
    if batch_size < world:
        raise GendataError(
            "the batch is smaller than the number of processes", found=f"{batch_size} for {world}"
        )
    target = torch.device(device)
    keep = _fits(images, size) if resident is None else resident
    if keep:
        images = decode_all(images, size)
    drop = len(images) >= batch_size if drop_last is None else drop_last
    order = Order(len(images), batch_size, seed, rank, world, views, drop)
    if keep and isinstance(images, ArrayImages):
        return ResidentLoader(images, order, augment, target)
    count = min(os.cpu_count() or 1, MOST_WORKERS) if workers is None else workers
    return StreamLoader(images, order, augment, target, size, count)


def _fits(images: Images, size: int | None) -> bool:
    if isinstance(images, ArrayImages) and size is None:
        return True
    height, width = (size, size) if size else _first_shape(images)
    return len(images) * 3 * height * width <= RESIDENT_BYTES


def _first_shape(images: Images) -> tuple[int, ...]:
    for row in range(len(images)):
        try:
            return tuple(images[row][0].shape[1:])
        except DamagedImage:
            continue
    raise GendataError(f"'{images.name}' holds no image that can be read")
