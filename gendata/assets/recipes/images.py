"""The images that a recipe trains on: the embedded ones, or any set in colour."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from gendata.errors import GendataError
from gendata.images import decode_all, open_images

__all__ = ["TrainingImages", "mirrored", "signed", "training_images"]

ASSETS = Path(__file__).parents[1]


@dataclass(frozen=True)
class TrainingImages:
    """Decoded images with what a card says of them.

    Attributes:
        images: uint8 (N, 1 or 3, H, H); the embedded ones have one channel.
        labels: (N,) int64.
        classes: names in label order.
        described: the reference and the licence, for the card.
    """

    images: Tensor
    labels: Tensor
    classes: list[str]
    described: str

    @property
    def channels(self) -> int:
        """1 for grey, 3 for colour."""
        return self.images.shape[1]

    @property
    def side(self) -> int:
        """Height and width, pixels."""
        return self.images.shape[-1]


def training_images(
    reference: str | None, size: int | None = None, licence: str | None = None
) -> TrainingImages:
    """Opens the embedded grey training images, or any set in colour.

    Args:
        reference: as `gendata.open_images` takes it; None: the embedded training images.
        size: side that the images are resized to, pixels; None: as they are.
        licence: what the card says of a set of one's own.

    Raises:
        GendataError: the images are not square, or no multiple of 8 pixels.
    """
    if reference is None:
        data = np.load(ASSETS / "fashion-mnist" / "train.npz")
        images = torch.from_numpy(data["images"])[:, None]
        labels = torch.from_numpy(data["labels"])
        return TrainingImages(
            images, labels, data["classes"].tolist(), "fashion-mnist:train (MIT)"
        )
    decoded = decode_all(open_images(reference), size)
    height, width = decoded.images.shape[2:]
    if height != width or height % 8:
        raise GendataError(
            f"the networks do not fit the images of {reference}",
            found=f"{width}x{height} pixels",
            expected="squares of a multiple of 8 pixels",
            do="give --size 32",
        )
    described = f"{reference} (licence: {licence or 'not stated'})"
    labels = torch.as_tensor(decoded.labels)
    return TrainingImages(decoded.images, labels, list(decoded.classes), described)


def signed(images: Tensor) -> Tensor:
    """Maps bytes to [-1, 1]."""
    return images.float() / 127.5 - 1


def mirrored(images: Tensor) -> Tensor:
    """Mirrors half of the images (B, C, H, W), drawn at random."""
    chosen = torch.rand(len(images), 1, 1, 1, device=images.device) < 0.5
    return torch.where(chosen, images.flip(3), images)
