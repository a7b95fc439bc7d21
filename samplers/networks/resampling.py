"""Resampling by finite filters: zeros are inserted, the image is padded and convolved.

The alignment is that of StyleGAN2 (https://arxiv.org/abs/1912.04958, appendix B): an image of
side H becomes one of side 2 H, for filters of odd and of even length. Filters are true
convolution kernels (the first tap meets the newest pixel), as the published files hold them.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["Smooth", "Upsample", "plane_of"]

UP = 2


def plane_of(taps: Tensor) -> Tensor:
    """Returns a filter as a plane: a separable one, of one axis, is multiplied out."""
    return torch.outer(taps, taps) if taps.ndim == 1 else taps


class Upsample(nn.Module):
    """Doubles images: zeros between the pixels, then the filter.

    Args:
        taps: filter (T,) or (Th, Tw).
        channels: number of channels of the images.
    """

    kernel: Tensor

    def __init__(self, taps: Tensor, channels: int) -> None:
        super().__init__()
        plane = plane_of(taps) * UP**2
        self.register_buffer("kernel", plane.expand(channels, 1, -1, -1).contiguous())
        # Pixels that a full transposed convolution has too much: (left, right), (top, bottom).
        ends = [_surplus(size) for size in (plane.shape[1], plane.shape[0])]
        self.crop = [min(max(min(pair), 0) for pair in ends)] * 2
        self.rest = [self.crop[0] - side for pair in ends for side in pair]

    def forward(self, images: Tensor) -> Tensor:
        """Maps (B, C, H, W) to (B, C, 2 H, 2 W)."""
        channels = images.shape[1]
        images = functional.conv_transpose2d(
            images, self.kernel, stride=UP, padding=self.crop, groups=channels
        )
        return functional.pad(images, self.rest) if any(self.rest) else images


def _surplus(size: int) -> tuple[int, int]:
    before = size - 1 - (size + UP - 1) // 2
    return before, size - UP - before


class Smooth(nn.Module):
    """The filter after a transposed convolution of stride 2 by a kernel of odd side.

    Args:
        taps: filter (T,) or (Th, Tw).
        channels: number of channels of the images.
        side: side of the kernel before it.
    """

    kernel: Tensor

    def __init__(self, taps: Tensor, channels: int, side: int) -> None:
        super().__init__()
        plane = plane_of(taps) * UP**2
        # A convolution is a correlation with the kernel turned around.
        self.register_buffer("kernel", plane.flip(0, 1).expand(channels, 1, -1, -1).contiguous())
        height, width = plane.shape
        self.margins = [*_margins(width, side), *_margins(height, side)]
        self.even = self.margins[0] if len(set(self.margins)) == 1 else 0
        if self.even < 0:
            self.even = 0
        self.margins = [margin - self.even for margin in self.margins]

    def forward(self, images: Tensor) -> Tensor:
        """Maps (B, C, 2 H - 2 + side, …) to (B, C, 2 H, …)."""
        if any(self.margins):
            images = functional.pad(images, self.margins)
        return functional.conv2d(images, self.kernel, padding=self.even, groups=images.shape[1])


def _margins(size: int, side: int) -> tuple[int, int]:
    """Pixels to add before and after, so that 2 H remain of 2 H - 2 + side."""
    before = (size + UP - 1) // 2 + side // 2 - (side - 1)
    return before, size + 1 - side - before
