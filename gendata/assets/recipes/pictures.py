"""A picture of what a generator in training draws, always from the same latents."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from gendata.files import publish

__all__ = ["fixed_noise", "grid", "write_samples"]

ROWS = 8


def fixed_noise(classes: int, *shape: int) -> tuple[Tensor, Tensor]:
    """Noise (ROWS * classes, *shape) and labels, one column a class; no global draw is used."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(classes).repeat(ROWS)
    return torch.randn(len(labels), *shape, generator=generator), labels


def grid(images: Tensor, columns: int) -> Tensor:
    """Lays images (N, C, H, W) in [-1, 1] in rows; returns bytes (rows H, columns W, 3)."""
    pixels = (images.float().cpu().clamp(-1, 1) * 127.5 + 127.5).round().to(torch.uint8)
    pixels = pixels.expand(-1, 3, -1, -1)
    rows = [torch.cat(list(row), dim=2) for row in pixels.split(columns)]
    return torch.cat(rows, dim=1).permute(1, 2, 0)


def write_samples(folder: Path, classes: int, draw: Callable[[], Tensor], step: int) -> None:
    """Writes what `draw` draws as samples-STEP.png, a column for each class."""
    with torch.no_grad():
        picture = Image.fromarray(grid(draw(), classes).contiguous().numpy())
    publish(folder / f"samples-{step:07d}.png", partial(picture.save, format="PNG"))
