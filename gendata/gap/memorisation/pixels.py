"""The pixels of an image set, as far as copies are looked for: thumbnails and digests.

Images are decoded in threads and dropped again, so that a set may be larger than memory.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor

from gendata.gap.measures.thumbnails import pixel_digests, thumbnails_of
from gendata.images.threads import in_threads
from gendata.types import Images

__all__ = ["Pixels", "pixels_of", "read_pixels"]


@dataclass(frozen=True)
class Pixels:
    """What `gendata.gap.memorisation.measure` keeps of N images.

    Attributes:
        thumbnails: (N, 768) float32; see `gendata.gap.measures.thumbnails`.
        digests: (N,) text, equal where all pixels are.
        mirrored: (N,) text, the digests of the mirror images.
    """

    thumbnails: np.ndarray
    digests: np.ndarray
    mirrored: np.ndarray

    def __len__(self) -> int:
        return len(self.thumbnails)


def read_pixels(images: Images, rows: np.ndarray | None = None) -> Pixels:
    """Reads a set, or some rows (N,) of it in their order, such as the rows that have features.

    Raises:
        DamagedImage: one of them cannot be read.
    """
    wanted = np.arange(len(images)) if rows is None else rows
    read = partial(_pixels_of_row, images, wanted)
    return _joined(list(in_threads(read, len(wanted), f"compare pixels of {images.name}")))


def pixels_of(images: Tensor) -> Pixels:
    """The same of images uint8 (N, 3, H, W) in memory."""
    flipped = pixel_digests(images.flip(3))
    return Pixels(thumbnails_of(images), pixel_digests(images), flipped)


def _pixels_of_row(images: Images, wanted: np.ndarray, place: int) -> Pixels:
    return pixels_of(torch.as_tensor(images[int(wanted[place])][0])[None])


def _joined(parts: list[Pixels]) -> Pixels:
    return Pixels(
        np.concatenate([part.thumbnails for part in parts]),
        np.concatenate([part.digests for part in parts]),
        np.concatenate([part.mirrored for part in parts]),
    )
