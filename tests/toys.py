"""Tiny image sets and networks, shared by the tests of training and the scripts they start."""

import numpy as np
import torch
from torch import nn

from gendata.images import ArrayImages
from gendata.models.network import Network
from gendata.models.recipe import Recipe

CLASSES = ["left", "middle", "top"]


def toy_images(
    name: str,
    count: int,
    seed: int,
    noise: float = 60.0,
    contrast: float = 200.0,
    brightness: float = 0.0,
) -> ArrayImages:
    """Noisy images (16x16) of a bright left half, middle or top half, in some light."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(count) % 3
    patterns = torch.zeros(3, 3, 16, 16)
    patterns[0, :, :, :8] = patterns[1, :, 4:12] = patterns[2, :, :8] = contrast
    grain = noise * torch.randn(count, 3, 16, 16, generator=generator)
    pixels = patterns[labels] + brightness + grain
    return ArrayImages(name, CLASSES, pixels.clamp(0, 255).to(torch.uint8), labels.numpy())


class PoisonedLabels:
    """A set whose labels and pixels must not be read."""

    name, classes = "poisoned", CLASSES

    @property
    def labels(self) -> np.ndarray:
        raise AssertionError("the labels were read")

    def __len__(self) -> int:
        raise AssertionError("the set was opened")

    def __getitem__(self, index: int) -> None:
        raise AssertionError("an image was read")


class Layers(nn.Sequential):
    """Layers of which the last one classifies."""

    def get_classifier(self) -> nn.Module:
        return self[-1]


def network_without_batch_norm(name: str, classes: int, **options) -> Network:
    """A student whose rows do not see each other; stands in for `build_network`."""
    backbone = Layers(
        nn.Conv2d(3, 8, 3, 2),
        nn.Tanh(),
        nn.AdaptiveAvgPool2d(2),
        nn.Flatten(),
        nn.Linear(32, classes),
    )
    recipe = Recipe(name, (0.5, 0.5, 0.5), (0.25, 0.25, 0.25), None, 16)
    return Network(backbone, recipe)
