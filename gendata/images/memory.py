"""Image sets that live decoded in memory, and how a set gets there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from gendata.errors import GendataError
from gendata.images.damage import DamagedImage, Damages, report_damages
from gendata.images.resize import resized
from gendata.images.threads import in_threads
from gendata.types import Images

__all__ = ["ArrayImages", "decode_all"]


class ArrayImages:
    """A labelled set decoded in memory.

    Args:
        name: what the set is called in messages and reports.
        classes: class names in label order.
        images: uint8 (N, 3, H, W).
        labels: (N,) integers, indices into the classes.
        damaged: images that were left out, where the set was read from files.
    """

    def __init__(
        self,
        name: str,
        classes: Sequence[str],
        images: Tensor,
        labels: np.ndarray | Tensor | Sequence[int],
        damaged: Damages = (),
    ) -> None:
        self.name, self.images, self.damaged = name, images, damaged
        self.classes: Sequence[str] = list(classes)
        self.labels = np.asarray(labels, dtype=np.int64)
        if images.dtype != torch.uint8 or images.ndim != 4 or images.shape[1] != 3:
            raise GendataError(
                f"the images of '{name}' are not RGB bytes",
                found=f"{images.dtype} {tuple(images.shape)}",
                expected="torch.uint8 (N, 3, H, W)",
            )
        check_labels(name, self.labels, len(images), len(self.classes))

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return self.images[index], int(self.labels[index])


def check_labels(name: str, labels: np.ndarray, images: int, classes: int) -> None:
    """Checks that every image has a label and every label is a class.

    Raises:
        GendataError: it is not so.
    """
    if labels.shape != (images,):
        raise GendataError(
            f"the labels of '{name}' do not belong to its images",
            found=f"labels of shape {labels.shape}",
            expected=f"({images},)",
        )
    if images and not 0 <= labels.min() <= labels.max() < classes:
        raise GendataError(
            f"'{name}' has labels outside its classes",
            found=f"{labels.min()} to {labels.max()}",
            expected=f"0 to {classes - 1}",
        )


def decode_all(images: Images, size: int | None = None) -> ArrayImages:
    """Decodes a whole set into memory, in order; images that turn out damaged are left out.

    Args:
        images: any set.
        size: side in pixels that the images are resized to; None where all have one size.

    Raises:
        GendataError: the images differ in size and none was given, none is left, or one is
            damaged and the set was opened with `strict`.
    """
    if isinstance(images, ArrayImages):
        if size is None or images.images.shape[2:] == (size, size):
            return images
    pixels: Tensor | None = None
    kept: list[int] = []
    damages: list[DamagedImage] = []
    for row, image in enumerate(_decoded(images, size)):
        if isinstance(image, DamagedImage):
            damages.append(image)
            continue
        if pixels is None:
            pixels = torch.empty((len(images), *image.shape), dtype=torch.uint8)
        if image.shape != pixels.shape[1:]:
            raise sizes_differ(images.name, pixels[0], image)
        pixels[len(kept)] = image
        kept.append(row)
    found = report_damages(images.name, damages)
    if pixels is None:
        raise GendataError(f"'{images.name}' holds no image that can be read")
    damaged = (*getattr(images, "damaged", ()), *found)
    labels = np.asarray(images.labels)[kept]
    return ArrayImages(images.name, images.classes, pixels[: len(kept)], labels, damaged)


def sizes_differ(name: str, first: Tensor, other: Tensor) -> GendataError:
    """The error for a batch of images that cannot be stacked."""
    (height, width), (other_height, other_width) = first.shape[1:], other.shape[1:]
    return GendataError(
        f"the images of '{name}' differ in size",
        found=f"{width}x{height} and {other_width}x{other_height}",
        expected="one size",
        do="give the size that they shall be resized to, for example size=224",
    )


def _decoded(images: Images, size: int | None) -> Iterator[Tensor | DamagedImage]:
    """Yields every image, or the reason why there is none."""

    def decode(row: int) -> Tensor | DamagedImage:
        try:
            return resized(images[row][0], size)
        except DamagedImage as error:
            return error

    return in_threads(decode, len(images), f"decode {Path(images.name).name}")
