"""Random crops, flips, zooms and colours of whole batches of bytes, on any device.

An image's augmentation depends on a key, its row and a counter (the epoch, or the view) alone,
and all arithmetic on pixels is on integers, so that no batch, process or device changes a pixel.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from gendata.errors import GendataError

__all__ = ["AUGMENTATIONS", "augment", "check_augmentation", "padded", "uniforms"]

AUGMENTATIONS: dict[str, frozenset[str]] = {
    "none": frozenset(),
    "crop": frozenset({"crop"}),
    "flip": frozenset({"flip"}),
    "crop-flip": frozenset({"crop", "flip"}),
    "weak": frozenset({"crop", "flip"}),
    "strong": frozenset({"zoom", "flip", "colour"}),
}
ZOOM_AREA, ZOOM_RATIO = (0.2, 1.0), (3 / 4, 4 / 3)
COLOUR_STRENGTH = 0.4  # factors between 0.6 and 1.4
ONE = 256  # the integer that stands for 1 in fixed-point weights


def check_augmentation(name: str) -> None:
    """Checks that an augmentation exists.

    Raises:
        GendataError: it does not; the others are listed.
    """
    if name not in AUGMENTATIONS:
        raise GendataError(
            f"unknown augmentation '{name}'", expected=f"one of {', '.join(AUGMENTATIONS)}"
        )


def uniforms(key: int, rows: np.ndarray, counters: np.ndarray, count: int) -> np.ndarray:
    """Hashes (key, row, counter) to numbers in [0, 1), float64 (B, count), with SplitMix64.

    References:
        Steele, Lea, Flood (2014), "Fast splittable pseudorandom number generators".
    """
    step = np.uint64(0x9E3779B97F4A7C15)
    state = _mix(np.uint64(key) + rows.astype(np.uint64) * step)
    state = _mix(state + counters.astype(np.uint64) * step)
    states = _mix(state[:, None] + np.arange(1, count + 1, dtype=np.uint64) * step)
    return (states >> np.uint64(11)) * 2.0**-53


def _mix(state: np.ndarray) -> np.ndarray:
    state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return state ^ (state >> np.uint64(31))


def padded(images: Tensor, name: str) -> Tensor:
    """Adds the black border that random crops of an augmentation need, 4 pixels at 32x32.

    Args:
        images: uint8 (N, 3, H, W).
        name: the augmentation.

    Returns:
        uint8 (N, 3, H + 2p, W + 2p), contiguous; `images` themselves where nothing is cropped.
    """
    if "crop" not in AUGMENTATIONS[name]:
        return images
    border = _border(min(images.shape[2:]))
    return torch.nn.functional.pad(images, [border] * 4).contiguous()


def _border(side: int) -> int:
    return max(1, round(side / 8))


def augment(
    name: str,
    store: Tensor,
    places: Tensor,
    shape: tuple[int, int],
    draws: np.ndarray,
) -> Tensor:
    """Takes images out of a store and augments them.

    Args:
        name: the augmentation.
        store: uint8 (N, 3, H', W') as `padded` returns it, on any device.
        places: (B,) int64, positions in the store, on its device.
        shape: height and width of the images, without the border.
        draws: float64 (B, 10) from `uniforms`.

    Returns:
        uint8 (B, 3, H, W) on the store's device.
    """
    steps = AUGMENTATIONS[name]
    if "crop" in steps:
        images = _cropped(store, places, shape, draws[:, 0], draws[:, 1])
    else:
        images = store.index_select(0, places)
    if "zoom" in steps:
        images = _zoomed(images, draws[:, 3:7])
    if "flip" in steps:
        flipped = torch.from_numpy(np.flatnonzero(draws[:, 2] < 0.5)).to(images.device)
        images[flipped] = images[flipped].flip(-1)
    if "colour" in steps:
        images = _coloured(images, draws[:, 7:10])
    return images


def _cropped(
    store: Tensor, places: Tensor, shape: tuple[int, int], down: np.ndarray, right: np.ndarray
) -> Tensor:
    """Cuts one window of each image in a single indexing operation.

    Every window of the store is an entry of one overlapping view, numbered by its first byte.
    """
    (height, width), (rows, columns) = shape, store.shape[2:]
    last = (2 * rows + height - 1) * columns + width - 1
    view = store.view(-1).as_strided(
        (store.numel() - last, 3, height, width), (1, rows * columns, columns, 1)
    )
    top = (down * (rows - height + 1)).astype(np.int64)
    left = (right * (columns - width + 1)).astype(np.int64)
    offsets = torch.from_numpy(top * columns + left).to(places.device)
    return view.index_select(0, places * (3 * rows * columns) + offsets)


def _zoomed(images: Tensor, draws: np.ndarray) -> Tensor:
    """Enlarges a random box of each image to the whole (bilinear, in fixed point)."""
    (low, high), (narrow, wide) = ZOOM_AREA, np.log(ZOOM_RATIO)
    area = low + draws[:, 0] * (high - low)
    ratio = np.exp(narrow + draws[:, 1] * (wide - narrow))
    height, width = np.minimum(np.sqrt(area / ratio), 1), np.minimum(np.sqrt(area * ratio), 1)
    top, left = draws[:, 2] * (1 - height), draws[:, 3] * (1 - width)
    images = _stretched(images, 2, top, height)
    return _stretched(images, 3, left, width)


def _stretched(images: Tensor, dim: int, start: np.ndarray, length: np.ndarray) -> Tensor:
    """Resamples one axis: output pixel i lies at (start + length (i + 1/2) / side) side - 1/2."""
    side = images.shape[dim]
    centres = start[:, None] * side + length[:, None] * (np.arange(side) + 0.5) - 0.5
    fixed = np.rint(np.clip(centres, 0, side - 1) * ONE).astype(np.int64)
    shape = [len(images), 1, 1, 1]
    shape[dim] = side

    def at(places: np.ndarray) -> Tensor:
        index = torch.from_numpy(places).to(images.device).view(shape).expand_as(images)
        return images.gather(dim, index).to(torch.int32)

    lower = fixed // ONE
    weight = torch.from_numpy((fixed % ONE).astype(np.int32)).to(images.device).view(shape)
    mixed = at(lower) * (ONE - weight) + at(np.minimum(lower + 1, side - 1)) * weight
    return ((mixed + ONE // 2) >> 8).to(torch.uint8)


def _coloured(images: Tensor, draws: np.ndarray) -> Tensor:
    """Scales brightness, contrast about the mean grey, and saturation about each pixel's grey."""
    factors = np.rint((1 + COLOUR_STRENGTH * (2 * draws - 1)) * ONE).astype(np.int32)
    brightness, contrast, saturation = (
        torch.from_numpy(column.copy()).to(images.device).view(-1, 1, 1, 1) for column in factors.T
    )
    pixels = _blended(torch.zeros_like(images, dtype=torch.int32), images, brightness)
    grey = _grey(pixels)
    mean = (2 * grey.sum((1, 2, 3), keepdim=True) + grey[0].numel()) // (2 * grey[0].numel())
    pixels = _blended(mean.to(torch.int32), pixels, contrast)
    return _blended(_grey(pixels), pixels, saturation).to(torch.uint8)


def _blended(base: Tensor, pixels: Tensor, factor: Tensor) -> Tensor:
    blend = base * (ONE - factor) + pixels.to(torch.int32) * factor
    return ((blend + ONE // 2) >> 8).clamp_(0, 255)


def _grey(pixels: Tensor) -> Tensor:
    """Luma by ITU-R BT.601 in 256ths, (B, 1, H, W)."""
    red, green, blue = pixels.unbind(1)
    return ((77 * red + 150 * green + 29 * blue + ONE // 2) >> 8).unsqueeze(1)
