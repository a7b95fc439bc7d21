"""Encoders that cost nothing, and a stand-in for the TorchScript file of Inception-v3."""

import torch
from torch import nn

from gendata.features.encoders import Encoder
from gendata.features.extract import EncoderCard

CPU = torch.device("cpu")


def encoder_of(encode, feature_dim, name="tiny", **parts) -> Encoder:
    """An encoder on the CPU around a function of images (B, 3, H, W), uint8 unless prepared."""
    card = EncoderCard(name, "none", None, feature_dim, "test")
    return Encoder(card, encode, CPU, **parts)


def channel_statistics(images) -> torch.Tensor:
    """Mean and standard deviation of the channels, (B, 6), whatever the size of the images."""
    flat = images.double().flatten(2)
    return torch.cat([flat.mean(2), flat.std(2)], dim=1)


class Layers(nn.Module):
    """(B, 3, 299, 299) in about [-1, 1] to (B, 2048, 1, 1), as the real file's `layers`."""

    def __init__(self, channels: int = 32) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(3, channels, 5, stride=4)
        self.pool = nn.AdaptiveAvgPool2d(8)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.pool(torch.relu(self.convolution(x))).flatten(1)[:, :, None, None]


class InceptionLike(nn.Module):
    """A module with the one part that clean-fid uses."""

    def __init__(self, channels: int = 32) -> None:
        super().__init__()
        self.layers = Layers(channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layers(x)


def save_inception_like(path, channels: int = 32) -> None:
    """Writes such a module, with weights that are always the same."""
    with torch.random.fork_rng():
        torch.manual_seed(3)
        torch.jit.script(InceptionLike(channels)).save(str(path))
