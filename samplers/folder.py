"""Any image set as a sampler: the images of a generator that was run elsewhere, filtered here."""

from __future__ import annotations

import hashlib
from typing import Any

import torch
from torch import Tensor

from gendata.errors import GendataError, UnusableImages
from gendata.images import DamagedImage, open_images
from gendata.images.resize import resized
from gendata.models.device import resolve_device
from gendata.registry import samplers
from gendata.types import Card, Images

__all__ = ["FolderSampler", "load_folder"]


class FolderSampler:
    """An image set as a `gendata.types.FiniteSampler`: a seed is a row number.

    Args:
        images: the set.
        resolution: side that images are resized to, pixels.
        name: the reference it was loaded from.
        device: where the images are wanted.
    """

    def __init__(self, images: Images, resolution: int, name: str, device: torch.device) -> None:
        self.images, self.resolution, self.name, self.device = images, resolution, name, device
        self.classes, self.labels = images.classes, images.labels
        self.card = Card(
            title=images.name,
            origin=name.partition(":")[2],
            settings={
                "resolution": resolution,
                "images": len(images),
                "labels_sha256": hashlib.sha256(images.labels.tobytes()).hexdigest(),
            },
        )

    def sample(self, labels: Tensor | None, seeds: Tensor) -> Tensor:
        """Returns uint8 (B, 3, H, W): the images of rows `seeds`.

        Raises:
            GendataError: a row is not in the set, or its label is another than the one given.
            UnusableImages: some images turn out damaged.
        """
        rows = seeds.tolist()
        if rows and not 0 <= min(rows) <= max(rows) < len(self.images):
            raise GendataError(
                f"a row is not in {self.name}",
                found=f"rows from {min(rows)} to {max(rows)}",
                expected=f"0…{len(self.images) - 1}",
            )
        if labels is not None and self.labels[rows].tolist() != labels.tolist():
            raise GendataError(
                f"the labels are not those of the rows of {self.name}",
                do="give None: the labels of a finite set are known",
            )
        pixels = torch.zeros(len(rows), 3, self.resolution, self.resolution, dtype=torch.uint8)
        bad = torch.zeros(len(rows), dtype=torch.bool)
        for place, row in enumerate(rows):
            try:
                pixels[place] = resized(self.images[row][0], self.resolution)
            except DamagedImage:
                bad[place] = True
        if bad.any():
            raise UnusableImages("damaged", pixels.to(self.device), bad.to(self.device))
        return pixels.to(self.device)


@samplers.register("folder")
def load_folder(
    ref: str,
    *,
    device: str | torch.device = "auto",
    resolution: int | None = None,
    **options: Any,
) -> FolderSampler:
    """Loads an image set as a sampler.

    Args:
        ref: any reference that `gendata.open_images` takes.
        device: "auto", "cpu", "cuda", …
        resolution: side in pixels that the shorter side is resized to, the centre square cut
            out; None: the shorter side of the first image.
        **options: those of `gendata.open_images`.
    """
    images = open_images(ref, **options)
    if not len(images):
        raise GendataError(f"'{ref}' holds no images")
    if resolution is None:
        resolution = min(images[0][0].shape[1:])
    if not isinstance(resolution, int) or resolution < 1:
        raise GendataError("bad option resolution", found=resolution, expected="at least 1")
    return FolderSampler(images, resolution, f"folder:{ref}", resolve_device(device))
