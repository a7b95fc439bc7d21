"""Differentiable augmentation of real and generated images alike.

Zhao et al. 2020, "Differentiable Augmentation for Data-Efficient GAN Training": colour,
translation by up to an eighth of the side, and a blank square of half the side.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

__all__ = ["augmented", "blanked", "recoloured", "translated"]


def augmented(images: Tensor) -> Tensor:
    """Recolours, translates and blanks images (B, C, H, W) in [-1, 1], each by its own draw."""
    side = images.shape[-1]
    return blanked(translated(recoloured(images), side // 8), side // 2)


def recoloured(images: Tensor) -> Tensor:
    """Changes brightness by -0.5 to 0.5, saturation 0 to 2 times, contrast 0.5 to 1.5 times."""
    brightness, saturation, contrast = torch.rand(3, len(images), 1, 1, 1, device=images.device)
    images = images + (brightness - 0.5)
    grey = images.mean(dim=1, keepdim=True)
    images = grey + (images - grey) * (2 * saturation)
    level = images.mean(dim=(1, 2, 3), keepdim=True)
    return level + (images - level) * (contrast + 0.5)


def translated(images: Tensor, most: int) -> Tensor:
    """Moves each image by up to `most` pixels both ways; what comes in is zero."""
    batch, _, height, width = images.shape
    device = images.device
    padded = functional.pad(images, (most,) * 4).permute(0, 2, 3, 1)
    draw = torch.randint(2 * most + 1, (2, batch, 1), device=device)
    rows = draw[0] + torch.arange(height, device=device)
    columns = draw[1] + torch.arange(width, device=device)
    which = torch.arange(batch, device=device)[:, None, None]
    return padded[which, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


def blanked(images: Tensor, side: int) -> Tensor:
    """Sets one square in each image to zero; its centre is any pixel, so it may reach outside."""
    batch, _, height, width = images.shape
    device = images.device
    y = torch.arange(height, device=device) - torch.randint(height, (batch, 1), device=device)
    x = torch.arange(width, device=device) - torch.randint(width, (batch, 1), device=device)
    inside_y, inside_x = ((-side // 2 <= part) & (part < side - side // 2) for part in (y, x))
    inside = inside_y[:, :, None] & inside_x[:, None, :]
    return images * ~inside[:, None]
