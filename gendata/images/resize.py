"""Bringing images to one size."""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import interpolate

__all__ = ["resized"]


def resized(image: Tensor, size: int | None) -> Tensor:
    """Resizes the shorter side to `size` (bilinear, antialiased) and cuts out the centre square.

    Args:
        image: uint8 (3, H, W).
        size: side in pixels; None returns the image as it is.
    """
    if size is None or image.shape[1:] == (size, size):
        return image
    height, width = image.shape[1:]
    scale = size / min(height, width)
    target = (max(size, round(height * scale)), max(size, round(width * scale)))
    image = interpolate(image[None], target, mode="bilinear", antialias=True)[0]
    top, left = (target[0] - size) // 2, (target[1] - size) // 2
    return image[:, top : top + size, left : left + size].contiguous()
