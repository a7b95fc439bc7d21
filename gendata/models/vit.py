"""The Vision Transformer as the study of rendered images trains it.

Dosovitskiy et al. 2021, "An Image is Worth 16x16 Words: Transformers for Image Recognition at
Scale" (https://arxiv.org/abs/2010.11929), in the variant that Tang and Jia 2023 use
(https://arxiv.org/abs/2303.09165): queries, keys and values without bias, one normalisation before
the classifier and none after the last layer, dropout behind the embedding, the attention and both
layers of each MLP, position embedding and class token drawn from N(0, 1). At ten classes
ViT-B/16 has 85,778,698 parameters.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["PatchEmbedding", "ViT", "ViTShape"]


@dataclass(frozen=True)
class ViTShape:
    """What distinguishes one Vision Transformer from another.

    Attributes:
        patch: side of a patch, pixels.
        dim: width of a token.
        depth: number of layers.
        heads: of the attention; they divide the width.
        hidden: width inside an MLP.
        dropout: share of activations that training sets to zero.
    """

    patch: int
    dim: int
    depth: int
    heads: int
    hidden: int
    dropout: float = 0.1


class PatchEmbedding(nn.Module):
    """Cuts images into squares and maps each to a token.

    Args:
        side: of the images, pixels.
        patch: side of a square, pixels; it divides the side.
        dim: width of a token.
    """

    def __init__(self, side: int, patch: int, dim: int) -> None:
        super().__init__()
        if side % patch:
            raise ValueError(f"images of {side} pixels cannot be cut into patches of {patch}")
        self.patch, self.count = patch, (side // patch) ** 2
        self.linear = nn.Linear(3 * patch * patch, dim)

    def forward(self, x: Tensor) -> Tensor:
        """Maps (B, 3, H, W) to tokens (B, T, D), row by row."""
        patches = functional.unfold(x, self.patch, stride=self.patch)  # (B, 3 p p, T)
        return self.linear(patches.transpose(1, 2))


class Attention(nn.Module):
    """Multi-head self-attention over the tokens, equations 5 to 8."""

    def __init__(self, shape: ViTShape) -> None:
        super().__init__()
        self.heads, self.dropout = shape.heads, shape.dropout
        self.norm = nn.LayerNorm(shape.dim)
        self.qkv = nn.Linear(shape.dim, 3 * shape.dim, bias=False)
        self.out = nn.Linear(shape.dim, shape.dim)

    def forward(self, x: Tensor) -> Tensor:
        """Maps tokens (B, T, D) to tokens (B, T, D)."""
        rows, tokens, width = x.shape
        parts = self.qkv(self.norm(x)).view(rows, tokens, 3, self.heads, width // self.heads)
        query, key, value = parts.permute(2, 0, 3, 1, 4)  # each (B, heads, T, D / heads)
        dropout = self.dropout if self.training else 0.0
        mixed = functional.scaled_dot_product_attention(query, key, value, dropout_p=dropout)
        joined = mixed.transpose(1, 2).reshape(rows, tokens, width)
        return functional.dropout(self.out(joined), self.dropout, self.training)


class ViT(nn.Module):
    """A Vision Transformer; features (B, D) are the normalised class token's.

    Args:
        shape: its widths and depth.
        classes: number of classes.
        side: of the images, pixels: position embeddings belong to one size.
    """

    def __init__(self, shape: ViTShape, classes: int, side: int) -> None:
        super().__init__()
        self.embedding = PatchEmbedding(side, shape.patch, shape.dim)
        self.class_token = nn.Parameter(torch.randn(1, 1, shape.dim))
        self.positions = nn.Parameter(torch.randn(1, self.embedding.count + 1, shape.dim))
        self.dropout = nn.Dropout(shape.dropout)
        self.attentions = nn.ModuleList(Attention(shape) for _ in range(shape.depth))
        self.mlps = nn.ModuleList(
            nn.Sequential(
                nn.LayerNorm(shape.dim),
                nn.Linear(shape.dim, shape.hidden),
                nn.GELU(),
                nn.Dropout(shape.dropout),
                nn.Linear(shape.hidden, shape.dim),
                nn.Dropout(shape.dropout),
            )
            for _ in range(shape.depth)
        )
        self.norm = nn.LayerNorm(shape.dim)
        self.linear = nn.Linear(shape.dim, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Returns logits (B, K) for images (B, 3, H, W), normalised."""
        tokens = self.embedding(x)
        tokens = torch.cat([self.class_token.expand(len(x), -1, -1), tokens], dim=1)
        tokens = self.dropout(tokens + self.positions)
        for attention, mlp in zip(self.attentions, self.mlps, strict=True):
            tokens = tokens + attention(tokens)
            tokens = tokens + mlp(tokens)
        return self.linear(self.norm(tokens[:, 0]))

    def get_classifier(self) -> nn.Module:
        """Returns the last layer, as timm's networks do."""
        return self.linear
