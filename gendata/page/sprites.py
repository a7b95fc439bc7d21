"""Rows of small images as one PNG each, embedded in the page."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

__all__ = ["Sprite", "sprite_of"]

LARGEST_TILE = 64  # pixels: larger images are shown as thumbnails of this size
SHOWN_TILE = 56  # CSS pixels, about; small images are enlarged by a whole factor to stay crisp


@dataclass(frozen=True)
class Sprite:
    """Some images side by side.

    Attributes:
        address: a `data:` URI of the PNG.
        width: CSS pixels.
        height: CSS pixels.
        slots: how many images fit; the last ones may be empty.
        gap: space between two images as a share of the width.
    """

    address: str
    width: int
    height: int
    slots: int
    gap: float


def sprite_of(images: Sequence[Any], slots: int) -> Sprite:
    """Lays images, each uint8 (3, H, W), side by side on a transparent ground.

    Args:
        images: arrays or tensors, at most `slots`; their sizes may differ.
        slots: how many the row has room for, so that the rows of a grid share one scale.
    """
    pixels = [np.asarray(image).transpose(1, 2, 0) for image in images]
    longest = max((max(picture.shape[:2]) for picture in pixels), default=LARGEST_TILE)
    tile = min(longest, LARGEST_TILE)
    gap = max(1, tile // 14)
    canvas = Image.new("RGBA", (slots * (tile + gap) - gap, tile))
    for slot, picture in enumerate(pixels):
        thumbnail = _fitted(Image.fromarray(np.ascontiguousarray(picture)), tile)
        left = slot * (tile + gap) + (tile - thumbnail.width) // 2
        canvas.paste(thumbnail, (left, (tile - thumbnail.height) // 2))
    scale = max(1, round(SHOWN_TILE / tile))
    return Sprite(
        _address(canvas if _coloured(pixels) else canvas.convert("LA")),
        canvas.width * scale,
        canvas.height * scale,
        slots,
        gap / canvas.width,
    )


def _fitted(image: Image.Image, tile: int) -> Image.Image:
    factor = tile / max(image.size)
    if factor >= 1:
        return image
    size = (max(1, round(image.width * factor)), max(1, round(image.height * factor)))
    return image.resize(size, Image.Resampling.LANCZOS)


def _coloured(pixels: Sequence[np.ndarray]) -> bool:
    return any((picture != picture[..., :1]).any() for picture in pixels)


def _address(image: Image.Image) -> str:
    file = io.BytesIO()
    image.save(file, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode("ascii")
