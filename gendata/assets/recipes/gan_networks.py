"""A class-conditional residual GAN for colour images whose side is a power of two, such as 32.

Residual blocks as in Miyato et al. 2018, "Spectral Normalization for Generative Adversarial
Networks", table 4; class-conditional batch normalisation and a projection discriminator as in
Miyato and Koyama 2018, "cGANs with Projection Discriminator". The widths are ours.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.parametrizations import spectral_norm

from gendata.errors import GendataError
from gendata.models.generator import ConditionalNorm

__all__ = ["ResidualDiscriminator", "ResidualGenerator"]


class UpBlock(nn.Module):
    """A residual block that doubles the side."""

    def __init__(self, before: int, after: int, classes: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = ConditionalNorm(before, classes), ConditionalNorm(after, classes)
        self.conv1 = nn.Conv2d(before, after, 3, padding=1)
        self.conv2 = nn.Conv2d(after, after, 3, padding=1)
        self.skip = nn.Conv2d(before, after, 1)

    def forward(self, x: Tensor, labels: Tensor) -> Tensor:
        """Maps (B, before, H, H) and labels (B,) to (B, after, 2 H, 2 H)."""
        y = functional.relu(self.norm1(x, labels))
        y = self.conv1(functional.interpolate(y, scale_factor=2.0, mode="nearest"))
        y = self.conv2(functional.relu(self.norm2(y, labels)))
        return y + functional.interpolate(self.skip(x), scale_factor=2.0, mode="nearest")


class ResidualGenerator(nn.Module):
    """Maps latents (B, z_dim) and labels (B,) to images (B, 3, side, side) in [-1, 1].

    Args:
        classes: class names in label order; they travel with the TorchScript file.
        side: of the images; a multiple of 2 to the number of blocks.
        widths: channels at the smallest side and after each block, which doubles it.
        z_dim: latent size.
    """

    def __init__(
        self,
        classes: Sequence[str],
        side: int = 32,
        widths: Sequence[int] = (256, 128, 64, 32),
        z_dim: int = 128,
    ) -> None:
        super().__init__()
        self.z_dim, self.classes, self.smallest = z_dim, list(classes), smallest(side, widths)
        count = len(self.classes)
        self.project = nn.Linear(z_dim, widths[0] * self.smallest**2)
        pairs = zip(widths[:-1], widths[1:], strict=True)
        self.blocks = nn.ModuleList(UpBlock(before, after, count) for before, after in pairs)
        self.norm = nn.BatchNorm2d(widths[-1])
        self.to_image = nn.Conv2d(widths[-1], 3, 3, padding=1)

    def forward(self, z: Tensor, labels: Tensor) -> Tensor:
        """Generates one image per latent and label."""
        x = self.project(z).unflatten(1, (-1, self.smallest, self.smallest))
        for block in self.blocks:
            x = block(x, labels)
        return torch.tanh(self.to_image(functional.relu(self.norm(x))))


class DownBlock(nn.Module):
    """A residual block under spectral normalisation that halves the side, or keeps it."""

    def __init__(
        self, before: int, after: int, *, first: bool = False, halve: bool = True
    ) -> None:
        super().__init__()
        self.first, self.halve = first, halve
        self.conv1 = spectral_norm(nn.Conv2d(before, after, 3, padding=1))
        self.conv2 = spectral_norm(nn.Conv2d(after, after, 3, padding=1))
        self.skip = spectral_norm(nn.Conv2d(before, after, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Maps (B, before, H, H) to (B, after, H / 2, H / 2)."""
        y = x if self.first else functional.relu(x)  # pixels are no activations
        y = self.conv2(functional.relu(self.conv1(y)))
        if not self.halve:
            return y + self.skip(x)
        return functional.avg_pool2d(y, 2) + self.skip(functional.avg_pool2d(x, 2))


class ResidualDiscriminator(nn.Module):
    """Scores images (B, 3, H, H) with labels (B,): real ones high.

    Args:
        classes: number of classes.
        widths: channels after each block; all but the last halve the side.
    """

    def __init__(self, classes: int, widths: Sequence[int] = (32, 64, 128, 128)) -> None:
        super().__init__()
        last = len(widths) - 1
        before = (3, *widths[:-1])
        self.blocks = nn.Sequential(
            *(
                DownBlock(before[n], widths[n], first=n == 0, halve=n < last)
                for n in range(len(widths))
            )
        )
        self.score = spectral_norm(nn.Linear(widths[-1], 1))
        self.embed = spectral_norm(nn.Embedding(classes, widths[-1]))

    def forward(self, images: Tensor, labels: Tensor) -> Tensor:
        """Returns scores (B,)."""
        features = functional.relu(self.blocks(images)).sum(dim=(2, 3))
        return self.score(features)[:, 0] + (features * self.embed(labels)).sum(dim=1)


def smallest(side: int, widths: Sequence[int]) -> int:
    """The side that the generator starts from.

    Raises:
        GendataError: doubling it once for each block does not end at the side.
    """
    scale = 2 ** (len(widths) - 1)
    if side % scale:
        raise GendataError(
            "the generator's blocks do not fit the images",
            found=f"{len(widths)} channels for {side} pixels",
            expected=f"a side that is a multiple of {scale}",
            do="give other --generator-widths or --size",
        )
    return side // scale
