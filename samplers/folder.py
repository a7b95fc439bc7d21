"""Any image set as a sampler: the images of a generator that was run elsewhere, filtered here."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from gendata.errors import GendataError, UnusableImages
from gendata.images import DamagedImage, open_images
from gendata.images.fingerprint import image_set_digest
from gendata.images.resize import resized
from gendata.models.device import resolve_device
from gendata.registry import samplers
from gendata.types import Card, Images

__all__ = ["FolderSampler", "load_folder"]


class FolderSampler:
    """An image set as a `gendata.types.FiniteSampler`: a seed is a row number.

    Args:
        images: the set.
        resolution: side that images are resized to, pixels; None: they are squares of one size.
        name: the reference it was loaded from.
        device: where the images are wanted.
    """

    def __init__(
        self, images: Images, resolution: int | None, name: str, device: torch.device
    ) -> None:
        self.images, self.name, self.device = images, name, device
        self.classes, self.labels = images.classes, images.labels
        self.resolution = resolution or min(images[0][0].shape[1:])
        self._resizes = resolution is not None
        self.card = Card(
            title=images.name,
            origin=name.partition(":")[2],
            sha256=image_set_digest(images, self._image),
            settings={"resolution": self.resolution, "images": len(images)},
        )

    def sample(self, labels: Tensor | None, seeds: Tensor) -> Tensor:
        """Returns uint8 (B, 3, H, W): the images of rows `seeds`.

        Raises:
            GendataError: a row is not in the set, its label is another than the one given, or
                its image has another size and no resolution was asked for.
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
                pixels[place] = resized(self._image(row), self.resolution)
            except DamagedImage:
                bad[place] = True
        if bad.any():
            raise UnusableImages("damaged", pixels.to(self.device), bad.to(self.device))
        return pixels.to(self.device)

    def _image(self, row: int) -> Tensor:
        image = self.images[row][0]
        height, width = image.shape[1:]
        if not self._resizes and (height, width) != (self.resolution, self.resolution):
            raise GendataError(
                f"the images of {self.name} are not squares of one size",
                found=f"{width}x{height} in row {row}",
                expected=f"{self.resolution}x{self.resolution}",
                do="give the option resolution, the side that all are cut and resized to",
            )
        return image


@samplers.register("folder")
def load_folder(
    ref: str,
    *,
    device: str | torch.device = "auto",
    resolution: int | None = None,
    download: bool = False,
    **options: Any,
) -> FolderSampler:
    """Loads an image set as a sampler.

    Args:
        ref: any reference that `gendata.open_images` takes.
        device: "auto", "cpu", "cuda", …
        resolution: side in pixels that the shorter side is resized to, the centre square cut
            out; None: the images are squares of one size, and stay as they are.
        download: fetch a known set that is not on this machine.
        **options: those of `gendata.open_images`.
    """
    images = open_images(ref, download=download, **options)
    if not len(images):
        raise GendataError(f"'{ref}' holds no images")
    if resolution is not None and not (isinstance(resolution, int) and resolution >= 1):
        raise GendataError(
            "bad option resolution", found=resolution, expected="a whole number of pixels"
        )
    return FolderSampler(images, resolution, f"folder:{ref}", resolve_device(device))
