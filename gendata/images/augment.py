"""Random crops, flips, zooms, colours and blurs of whole batches of bytes, on any device.

An image's augmentation depends on a key, its row and a counter (the epoch, or the view) alone,
and all arithmetic on pixels is on integers, so that no batch, process or device changes a pixel.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from gendata.errors import GendataError

__all__ = ["AUGMENTATIONS", "DRAWS", "augment", "check_augmentation", "padded", "uniforms"]

DRAWS = 15  # random numbers an augmentation may use per image

AUGMENTATIONS: dict[str, frozenset[str]] = {
    "none": frozenset(),
    "crop": frozenset({"crop"}),
    "flip": frozenset({"flip"}),
    "crop-flip": frozenset({"crop", "flip"}),
    "weak": frozenset({"crop", "flip"}),
    "strong": frozenset({"zoom", "flip", "colour"}),
    # What Tang and Jia 2023 (https://arxiv.org/abs/2303.09165) call strong: torchvision's random
    # resized crop, flip, colour jitter (0.4, 0.4, 0.2, 0.1) of 4 in 5 images, grey of 1 in 5, blur
    # of every other one. Ours jitters in a fixed order, and blurs in proportion to the image.
    "strong-blur": frozenset({"far-zoom", "flip", "jitter", "grey", "blur"}),
}
ZOOM_AREA, FAR_ZOOM_AREA, ZOOM_RATIO = (0.2, 1.0), (0.08, 1.0), (3 / 4, 4 / 3)
COLOUR_STRENGTH = 0.4  # factors between 0.6 and 1.4
JITTER, HUE_SHIFT = (0.4, 0.4, 0.2), 0.1  # of brightness, contrast, saturation; in turns
JITTERED, GREYED, BLURRED = 0.8, 0.2, 0.5  # shares of the images
BLUR_SIGMA, BLUR_SIDE = (0.1, 2.0), 224  # pixels of such a side, in proportion for others
BLUR_ONE = 1 << 12  # the integer that stands for 1 in the weights of a blur
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
        draws: float64 (B, DRAWS) from `uniforms`.

    Returns:
        uint8 (B, 3, H, W) on the store's device.
    """
    steps = AUGMENTATIONS[name]
    if "crop" in steps:
        images = _cropped(store, places, shape, draws[:, 0], draws[:, 1])
    else:
        images = store.index_select(0, places)
    if "zoom" in steps or "far-zoom" in steps:
        area = ZOOM_AREA if "zoom" in steps else FAR_ZOOM_AREA
        images = _zoomed(images, draws[:, 3:7], area)
    if "flip" in steps:
        flipped = torch.from_numpy(np.flatnonzero(draws[:, 2] < 0.5)).to(images.device)
        images[flipped] = images[flipped].flip(-1)
    if "colour" in steps:
        images = _coloured(images, 1 + COLOUR_STRENGTH * (2 * draws[:, 7:10] - 1))
    for step, share, column, change in CHANCES:
        rows = np.flatnonzero(draws[:, column] < share)
        if step in steps and len(rows):
            places = torch.from_numpy(rows).to(images.device)
            images[places] = change(images.index_select(0, places), draws[rows])
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


def _zoomed(images: Tensor, draws: np.ndarray, areas: tuple[float, float]) -> Tensor:
    """Enlarges a random box of each image to the whole (bilinear, in fixed point)."""
    (low, high), (narrow, wide) = areas, np.log(ZOOM_RATIO)
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


def _coloured(images: Tensor, amounts: np.ndarray) -> Tensor:
    """Scales brightness, contrast about the mean grey, and saturation about each pixel's grey."""
    factors = np.rint(amounts * ONE).astype(np.int32)
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


def _jittered(images: Tensor, draws: np.ndarray) -> Tensor:
    """Changes brightness, contrast, saturation and hue, in this order."""
    images = _coloured(images, 1 + np.array(JITTER) * (2 * draws[:, 7:10] - 1))
    return _turned(images, HUE_SHIFT * (2 * draws[:, 11] - 1))


def _turned(images: Tensor, turns: np.ndarray) -> Tensor:
    """Turns each image's hue, by value and chroma in sextants of the colour wheel.

    Channel n of a colour of hue h, value V and chroma C is V - C min(k, 4 - k) within 0 and 1,
    with k = (n + h) mod 6 and n = 5, 3, 1 (Smith 1978, "Color gamut transform pairs").
    """
    red, green, blue = images.to(torch.int32).unbind(1)
    value = torch.maximum(torch.maximum(red, green), blue)
    chroma = value - torch.minimum(torch.minimum(red, green), blue)
    apart = chroma.clamp(min=1)

    def sextants(first: Tensor, second: Tensor, offset: int) -> Tensor:
        return torch.div((first - second) * ONE, apart, rounding_mode="floor") + offset * ONE

    hue = torch.where(
        value == red,
        sextants(green, blue, 0),
        torch.where(value == green, sextants(blue, red, 2), sextants(red, green, 4)),
    )
    shift = torch.from_numpy(np.rint(6 * ONE * turns).astype(np.int32)).to(images.device)
    channels = []
    for n in (5, 3, 1):
        k = torch.remainder(hue + shift.view(-1, 1, 1) + n * ONE, 6 * ONE)
        share = torch.minimum(k, 4 * ONE - k).clamp(0, ONE)
        channels.append(value - ((chroma * share + ONE // 2) >> 8))
    return torch.stack(channels, dim=1).to(torch.uint8)


def _greyed(images: Tensor, draws: np.ndarray) -> Tensor:
    """Gives all channels the luma."""
    return _grey(images.to(torch.int32)).to(torch.uint8).expand_as(images)


def _blurred(images: Tensor, draws: np.ndarray) -> Tensor:
    """Blurs each image with a Gaussian of its own width, one axis after the other."""
    low, high = BLUR_SIGMA
    side = min(images.shape[2:]) / BLUR_SIDE
    sigmas = (low + draws[:, 14] * (high - low)) * side
    reach = int(np.ceil(3 * high * side))
    offsets = np.arange(-reach, reach + 1)
    weights = np.exp(-0.5 * (offsets / sigmas[:, None]) ** 2)
    fixed = np.rint(BLUR_ONE * weights / weights.sum(axis=1, keepdims=True)).astype(np.int32)
    fixed[:, reach] += BLUR_ONE - fixed.sum(axis=1)  # so that a plain image stays as it is
    taps = torch.from_numpy(fixed).to(images.device)
    for dim in (2, 3):
        images = _filtered(images, dim, taps, reach)
    return images


def _filtered(images: Tensor, dim: int, taps: Tensor, reach: int) -> Tensor:
    """Weighs the neighbours along one axis; beyond the border the outermost pixel goes on."""
    side = images.shape[dim]
    places = torch.arange(side, device=images.device)
    total = torch.full_like(images, BLUR_ONE // 2, dtype=torch.int32)
    for number, offset in enumerate(range(-reach, reach + 1)):
        neighbours = images.index_select(dim, (places + offset).clamp(0, side - 1))
        total += neighbours.to(torch.int32) * taps[:, number].view(-1, 1, 1, 1)
    return (total >> 12).to(torch.uint8)


# Changes that a share of the images undergoes, by the step's name and the draw that decides.
CHANCES = (
    ("jitter", JITTERED, 10, _jittered),
    ("grey", GREYED, 12, _greyed),
    ("blur", BLURRED, 13, _blurred),
)
