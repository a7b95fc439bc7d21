"""What is behind the rendered objects, and how linear light becomes bytes.

Objects come as linear light, premultiplied by the share of each pixel that they cover. A
background is added in linear light too, as a camera would see both: blending bytes darkens edges.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn.functional import interpolate

from gendata.errors import GendataError
from gendata.images import open_images
from gendata.images.fingerprint import image_set_digest
from gendata.images.imagefolder import image_files
from gendata.images.lazy import FileSource, inspected
from gendata.render.parameters import Background, Vector
from gendata.types import Images

__all__ = ["Photos", "composite", "cut_square", "from_srgb", "open_photos", "to_srgb"]

LEVELS = 2**16 - 1  # steps of the table: near black, where sRGB is steepest, 20 of them a byte


class Photos:
    """An image set as backgrounds.

    Args:
        images: any labelled image set; the labels do not matter.
    """

    def __init__(self, images: Images) -> None:
        self.images = images

    def __len__(self) -> int:
        """Counts the photos."""
        return len(self.images)

    def cut(self, background: Background, resolution: int) -> np.ndarray:
        """Returns the part of a photo that a background shows: linear light, (H, H, 3) float32.

        Raises:
            GendataError: the set has no such photo.
        """
        if background.photo is None or not 0 <= background.photo < len(self.images):
            raise GendataError(
                f"{self.images.name} has no photo {background.photo}",
                expected=f"0…{len(self.images) - 1}",
            )
        photo = self.images[background.photo][0].permute(1, 2, 0).numpy()
        return cut_square(photo, background.crop, background.mirrored, resolution)

    def settings(self) -> dict[str, Any]:
        """What images with these backgrounds depend on: the photos' number and a digest."""
        return {"photos": len(self.images), "sha256": image_set_digest(self.images)}


def open_photos(reference: str, download: bool = False) -> Photos:
    """Opens photos for backgrounds: a folder of nothing but photos, or any other image set.

    Args:
        reference: a folder, or whatever `gendata.open_images` takes.
        download: fetch a known set that is not on this machine.

    Raises:
        GendataError: there are no photos.
    """
    folder = Path(reference).expanduser()
    flat = folder.is_dir() and not any(
        each.is_dir() and each.name[0] != "." for each in folder.iterdir()
    )
    files = image_files(folder) if flat else []
    if files:  # photos have no classes, and so need no folders of them
        labels = np.zeros(len(files), np.int64)
        images: Images = inspected(folder.name, ["photo"], labels, FileSource(files), strict=False)
    else:
        images = open_images(reference, download=download)
    if not len(images):
        raise GendataError(f"'{reference}' holds no photos")
    return Photos(images)


def composite(colour: np.ndarray, background: Background, photos: Photos | None) -> np.ndarray:
    """Puts rendered objects before their background.

    Args:
        colour: (H, H, 4) float32, linear and premultiplied.
        background: what is behind; "environment" is in the colours already.
        photos: those that a background may name.

    Returns:
        uint8 (H, H, 3), sRGB.

    Raises:
        GendataError: a photo is asked for that is not there, or an unknown kind.
    """
    light, uncovered = colour[..., :3], 1 - colour[..., 3:]
    if background.kind == "colour":
        light = light + uncovered * np.array(background.colour, np.float32)
    elif background.kind == "photo":
        if photos is None:
            raise GendataError("there are no photos for backgrounds", do="give background.photos")
        light = light + uncovered * photos.cut(background, len(colour))
    elif background.kind not in ("none", "environment"):
        raise GendataError("unknown kind of background", found=background.kind)
    return to_srgb(light)


def cut_square(photo: np.ndarray, crop: Vector, mirrored: bool, resolution: int) -> np.ndarray:
    """Cuts a square out of a photo and resizes it, in linear light.

    Args:
        photo: uint8 (H, W, 3), sRGB.
        crop: left, top and side, as `Background` has them.
        mirrored: swap left and right.
        resolution: side of the result, pixels.

    Returns:
        Linear light, (resolution, resolution, 3) float32.
    """
    height, width = photo.shape[:2]
    side = max(1, round(crop[2] * min(height, width)))
    left, top = round(crop[0] * (width - side)), round(crop[1] * (height - side))
    square = from_srgb(photo[top : top + side, left : left + side])
    if mirrored:
        square = square[:, ::-1]
    if side == resolution:
        return square
    planes = torch.from_numpy(np.ascontiguousarray(square.transpose(2, 0, 1)))[None]
    size = (resolution, resolution)
    resized = interpolate(planes, size, mode="bilinear", antialias=True)
    return resized[0].permute(1, 2, 0).numpy()


def to_srgb(light: np.ndarray) -> np.ndarray:
    """Turns linear light, any shape, into sRGB bytes (IEC 61966-2-1); what is over 1 is white."""
    steps = np.clip(light, 0, 1) * np.float32(LEVELS) + np.float32(0.5)
    return _bytes_by_level()[steps.astype(np.uint16)]


def from_srgb(pixels: np.ndarray) -> np.ndarray:
    """Turns sRGB bytes, any shape, into linear light, float32."""
    return _light_by_byte()[pixels]


@cache
def _bytes_by_level() -> np.ndarray:
    light = np.arange(LEVELS + 1) / LEVELS
    curve = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    return np.round(255 * curve).astype(np.uint8)


@cache
def _light_by_byte() -> np.ndarray:
    value = np.arange(256) / 255
    curve = np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)
    return curve.astype(np.float32)
