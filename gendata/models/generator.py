"""A small class-conditional GAN generator for images of 28x28 grey pixels."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["ConditionalGenerator"]


class ConditionalNorm(nn.Module):
    """Batch normalisation whose scale and shift are looked up by class.

    De Vries et al. 2017, "Modulating early visual processing by language".
    """

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(channels, affine=False)
        self.scale = nn.Embedding(classes, channels)
        self.shift = nn.Embedding(classes, channels)
        nn.init.ones_(self.scale.weight)
        nn.init.zeros_(self.shift.weight)

    def forward(self, x: Tensor, labels: Tensor) -> Tensor:
        """Normalises (B, C, H, W) by the statistics of the batch, or the stored ones in eval."""
        return (
            self.norm(x) * self.scale(labels)[..., None, None]
            + self.shift(labels)[..., None, None]
        )


class ConditionalGenerator(nn.Module):
    """Maps latents (B, z_dim) and labels (B,) to images (B, 1, 28, 28) in [-1, 1].

    Args:
        z_dim: latent size.
        classes: number of classes.
        widths: channels at 7x7, 14x14 and 28x28.
    """

    def __init__(
        self, z_dim: int = 64, classes: int = 10, widths: tuple[int, int, int] = (128, 64, 32)
    ) -> None:
        super().__init__()
        self.z_dim, self.classes, self.widths = z_dim, classes, widths
        first, second, third = widths
        self.embed = nn.Embedding(classes, z_dim)
        self.project = nn.Linear(2 * z_dim, first * 7 * 7)
        self.norms = nn.ModuleList(ConditionalNorm(width, classes) for width in widths)
        self.to_14 = nn.Conv2d(first, second, 3, padding=1)
        self.to_28 = nn.Conv2d(second, third, 3, padding=1)
        self.to_image = nn.Conv2d(third, 1, 3, padding=1)

    def forward(self, z: Tensor, labels: Tensor) -> Tensor:
        """Generates one image per latent and label."""
        x = self.project(torch.cat([z, self.embed(labels)], dim=1)).unflatten(1, (-1, 7, 7))
        for norm, convolution in zip(
            self.norms, (self.to_14, self.to_28, self.to_image), strict=True
        ):
            x = functional.relu(norm(x, labels))
            if convolution is not self.to_image:
                x = functional.interpolate(x, scale_factor=2, mode="nearest")
            x = convolution(x)
        return torch.tanh(x)
