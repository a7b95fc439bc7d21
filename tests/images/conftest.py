"""Small image sets on disk and in memory."""

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from gendata.images.memory import ArrayImages


@pytest.fixture
def small() -> ArrayImages:
    """Thirty random 8x6 images of three classes, ten each, in mixed order."""
    generator = torch.Generator().manual_seed(1)
    pixels = torch.randint(0, 256, (30, 3, 8, 6), generator=generator, dtype=torch.uint8)
    return ArrayImages("small", ["cat", "dog", "emu"], pixels, np.arange(30) * 7 % 3)


@pytest.fixture
def square() -> ArrayImages:
    """Fifty random 16x16 images of five classes."""
    generator = torch.Generator().manual_seed(2)
    pixels = torch.randint(0, 256, (50, 3, 16, 16), generator=generator, dtype=torch.uint8)
    return ArrayImages("square", list("abcde"), pixels, np.arange(50) % 5)


@pytest.fixture
def save_tree():
    """Writes a set as class folders of PNG files, without our own exporter."""

    def save(images: ArrayImages, root: Path, suffix: str = "png") -> Path:
        for row, label in enumerate(images.labels):
            folder = root / images.classes[label]
            folder.mkdir(parents=True, exist_ok=True)
            pixels = images.images[row].permute(1, 2, 0).numpy()
            Image.fromarray(pixels).save(folder / f"{row:03d}.{suffix}")
        return root

    return save


@pytest.fixture
def png():
    """Encodes uint8 (3, H, W) as PNG."""

    def encode(image: torch.Tensor) -> bytes:
        buffer = io.BytesIO()
        Image.fromarray(image.permute(1, 2, 0).numpy()).save(buffer, "PNG")
        return buffer.getvalue()

    return encode
