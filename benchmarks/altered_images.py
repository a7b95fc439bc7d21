"""Real images with a gap that is known, because it was made: blurred, cut up, without some modes.

Each takes images uint8 (N, 3, H, W) and a dose, and returns as many of the same shape.
"""

from __future__ import annotations

import io

import numpy as np
import torch
from PIL import Image
from torchvision.transforms.v2.functional import gaussian_blur

__all__ = ["blurred", "compressed", "faded", "noisy", "shuffled", "tinted"]


def blurred(images: np.ndarray, sigma: float) -> np.ndarray:
    """Gaussian blur of a standard deviation in pixels."""
    side = 2 * int(np.ceil(3 * sigma)) + 1
    levels = gaussian_blur(torch.from_numpy(images).float(), [side, side], [sigma, sigma])
    return _bytes(levels.numpy())


def faded(images: np.ndarray, share: float) -> np.ndarray:
    """Takes a share of the colour, between 0 and 1, away; 1 leaves grey."""
    grey = images.mean(axis=1, keepdims=True)
    return _bytes(grey + (images - grey) * (1 - share))


def tinted(images: np.ndarray, share: float) -> np.ndarray:
    """Makes red brighter by a share and blue darker by it."""
    return _bytes(images * np.array([1 + share, 1, 1 - share]).reshape(1, 3, 1, 1))


def noisy(images: np.ndarray, deviation: float, *, seed: int = 0) -> np.ndarray:
    """Adds normal noise of a standard deviation in levels to each channel."""
    generator = np.random.default_rng(seed)
    return _bytes(images + generator.normal(scale=deviation, size=images.shape))


def compressed(images: np.ndarray, quality: float) -> np.ndarray:
    """Stores and reads each image as JPEG of a quality, without subsampling of colours."""
    read = []
    for image in images:
        file = io.BytesIO()
        pixels = Image.fromarray(image.transpose(1, 2, 0))
        pixels.save(file, "JPEG", quality=int(quality), subsampling=0)
        read.append(np.asarray(Image.open(file)).transpose(2, 0, 1))
    return np.stack(read)


def shuffled(images: np.ndarray, tiles: float, share: float = 1.0, *, seed: int = 0) -> np.ndarray:
    """Cuts a share of the images into tiles x tiles and puts them together in a random order."""
    generator = np.random.default_rng(seed)
    count, channels, height, width = images.shape
    side = int(tiles)
    rows, columns = height // side, width // side
    found = images.copy()
    for place in generator.permutation(count)[: round(share * count)]:
        inside = images[place, :, : rows * side, : columns * side]
        cut = inside.reshape(channels, side, rows, side, columns).transpose(1, 3, 0, 2, 4)
        cut = cut.reshape(side * side, channels, rows, columns)[generator.permutation(side**2)]
        put = cut.reshape(side, side, channels, rows, columns).transpose(2, 0, 3, 1, 4)
        found[place, :, : rows * side, : columns * side] = put.reshape(inside.shape)
    return found


def _bytes(levels: np.ndarray) -> np.ndarray:
    return np.clip(np.round(levels), 0, 255).astype(np.uint8)
