"""MLP-Mixer as the study of rendered images trains it.

Tolstikhin et al. 2021, "MLP-Mixer: An all-MLP Architecture for Vision"
(https://arxiv.org/abs/2105.01601), in the variant that Tang and Jia 2023 use
(https://arxiv.org/abs/2303.09165): half the width inside the MLPs over tokens, four times the
width inside those over channels, the mean over tokens before the classifier. At ten classes
Mixer-B/16 has 59,119,162 parameters.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from gendata.models.vit import PatchEmbedding

__all__ = ["Mixer", "MixerShape"]


@dataclass(frozen=True)
class MixerShape:
    """What distinguishes one Mixer from another.

    Attributes:
        patch: side of a patch, pixels.
        dim: width of a token.
        depth: number of layers.
    """

    patch: int
    dim: int
    depth: int


class Mixer(nn.Module):
    """An MLP-Mixer; features (B, D) are the mean of the normalised tokens.

    Args:
        shape: its width and depth.
        classes: number of classes.
        side: of the images, pixels: the MLPs over tokens belong to one size.
    """

    def __init__(self, shape: MixerShape, classes: int, side: int) -> None:
        super().__init__()
        dim = shape.dim
        self.embedding = PatchEmbedding(side, shape.patch, dim)
        tokens = self.embedding.count
        self.token_norms = nn.ModuleList(nn.LayerNorm(dim) for _ in range(shape.depth))
        self.token_mlps = nn.ModuleList(_mlp(tokens, dim // 2) for _ in range(shape.depth))
        self.channel_mlps = nn.ModuleList(
            nn.Sequential(nn.LayerNorm(dim), *_mlp(dim, 4 * dim)) for _ in range(shape.depth)
        )
        self.norm = nn.LayerNorm(dim)
        self.linear = nn.Linear(dim, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Returns logits (B, K) for images (B, 3, H, W), normalised."""
        tokens = self.embedding(x)  # (B, T, D)
        layers = zip(self.token_norms, self.token_mlps, self.channel_mlps, strict=True)
        for norm, over_tokens, over_channels in layers:
            tokens = tokens + over_tokens(norm(tokens).transpose(1, 2)).transpose(1, 2)
            tokens = tokens + over_channels(tokens)
        return self.linear(self.norm(tokens).mean(dim=1))

    def get_classifier(self) -> nn.Module:
        """Returns the last layer, as timm's networks do."""
        return self.linear


def _mlp(width: int, hidden: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(width, hidden), nn.GELU(), nn.Linear(hidden, width))
