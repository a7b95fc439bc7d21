"""The one rule by which every picture becomes RGB bytes.

1. 16-bit values are divided by 257 and rounded, so that 65535 becomes 255.
2. A palette is looked up; a transparent colour or entry becomes an alpha of 0.
3. Alpha is composited on white: (a v + (255 - a) 255) / 255, rounded, without gamma.
4. Grey is repeated; CMYK and other colour spaces are converted as Pillow does, without profiles.
5. The EXIF orientation is applied.

Of an animation the first frame counts. Floating-point and 32-bit pixels have no agreed white and
are refused.
"""

from __future__ import annotations

from typing import BinaryIO

import numpy as np
import torch
from PIL import Image
from torch import Tensor

__all__ = ["decode", "to_rgb"]

ORIENTATION = 0x0112


def decode(file: BinaryIO) -> Tensor:
    """Decodes an image file to uint8 (3, H, W).

    Raises:
        Exception: whatever Pillow raises on a file that it cannot read to its end.
    """
    with Image.open(file) as image:
        pixels = _pixels(image, file)
        orientation = image.getexif().get(ORIENTATION, 1)
    upright = _upright(to_rgb(pixels), orientation)
    return torch.from_numpy(np.ascontiguousarray(upright.transpose(2, 0, 1)))


def to_rgb(pixels: np.ndarray) -> np.ndarray:
    """Converts grey, grey + alpha, RGB or RGBA to RGB.

    Args:
        pixels: uint8 or uint16 (..., H, W, C), C from 1 to 4.

    Returns:
        uint8 (..., H, W, 3).
    """
    if pixels.dtype != np.uint8:
        pixels = ((pixels.astype(np.uint32) + 128) // 257).astype(np.uint8)
    if pixels.shape[-1] in (2, 4):
        colour, alpha = pixels[..., :-1].astype(np.uint32), pixels[..., -1:].astype(np.uint32)
        pixels = ((colour * alpha + 255 * (255 - alpha) + 127) // 255).astype(np.uint8)
    return np.repeat(pixels, 3, axis=-1) if pixels.shape[-1] == 1 else pixels


def _pixels(image: Image.Image, file: BinaryIO) -> np.ndarray:
    """Reads the pixels as to_rgb wants them: (H, W, C), uint8 or uint16."""
    if image.mode == "F" or (image.mode == "I" and image.format not in ("PNG", "PPM")):
        raise ValueError(f"pixels of mode {image.mode} have no agreed white")
    if image.mode.startswith("I"):
        grey = np.asarray(image).astype(np.uint16)[..., None]
        return _with_alpha(grey, image.info.get("transparency"))
    if _is_deep(image):
        return _with_alpha(_deep_pixels(image, file), image.info.get("transparency"))
    return np.atleast_3d(np.asarray(_plain(image)))


def _plain(image: Image.Image) -> Image.Image:
    """Brings an 8-bit image to one of the modes L, LA, RGB and RGBA."""
    if "transparency" in image.info or image.mode in ("PA", "La", "RGBa"):
        image.load()
        return image.convert("LA").convert("RGBA") if image.mode == "La" else image.convert("RGBA")
    if image.mode == "1":
        return image.convert("L")
    if image.mode in ("L", "LA", "RGB", "RGBA"):
        image.load()
        return image
    return image.convert("RGB")


def _is_deep(image: Image.Image) -> bool:
    """Tells whether the file holds 16-bit colour, which Pillow would cut to the high bytes."""
    tiles = getattr(image, "tile", [])
    rawmodes = [tile[3] if isinstance(tile[3], str) else tile[3][0] for tile in tiles if tile[3]]
    return any(isinstance(rawmode, str) and ";16" in rawmode for rawmode in rawmodes)


def _deep_pixels(image: Image.Image, file: BinaryIO) -> np.ndarray:
    if image.format != "PNG":
        raise ValueError(f"16-bit colour is read from PNG only, not from {image.format}")
    from torchvision.io import ImageReadMode, decode_png

    file.seek(0)
    content = torch.frombuffer(bytearray(file.read()), dtype=torch.uint8)
    return decode_png(content, ImageReadMode.UNCHANGED).permute(1, 2, 0).numpy()


def _with_alpha(pixels: np.ndarray, key: int | tuple[int, ...] | None) -> np.ndarray:
    """Adds an alpha of 0 where a 16-bit image has its transparent colour."""
    if key is None or pixels.shape[-1] in (2, 4):
        return pixels
    opaque = (pixels != np.asarray(key, dtype=pixels.dtype)).any(axis=-1, keepdims=True)
    alpha = opaque * np.asarray(np.iinfo(pixels.dtype).max, dtype=pixels.dtype)
    return np.concatenate([pixels, alpha], axis=-1)


def _upright(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """Undoes an EXIF orientation, 1 to 8, of pixels (H, W, 3)."""
    if orientation in (5, 6, 7, 8):
        pixels = pixels.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return pixels
