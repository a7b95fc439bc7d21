"""Parts of the U-Nets that Karras et al. publish: convolutions, blocks, embeddings.

Karras, Aittala, Aila, Laine 2022, "Elucidating the Design Space of Diffusion-Based Generative
Models", https://arxiv.org/abs/2206.00364 (appendix F.2), which unify DDPM++ and NCSN++ (Song et
al. 2021) and ADM (Dhariwal and Nichol 2021). Modules take their tensors from a checkpoint's
records and are for drawing alone: dropout is left out.
"""

from __future__ import annotations

import math
import re

import torch
from torch import Tensor, nn
from torch.nn import functional

from gendata.errors import GendataError
from gendata.samplers.networks.fields import (
    flag_of,
    module_of,
    number_between,
    parameter_of,
    part_of,
    whole_of,
)
from gendata.samplers.records import Record, brief

__all__ = [
    "Convolution",
    "Dense",
    "FourierEmbedding",
    "GroupNorm",
    "LabelTable",
    "PositionalEmbedding",
    "ResidualBlock",
    "members",
]

MOST_BLOCKS = 1024  # in an encoder or a decoder; the largest published one has 18
LARGEST_KERNEL = 7
LARGEST_FILTER = 8


class Dense(nn.Module):
    """A fully connected layer."""

    def __init__(self, record: Record) -> None:
        super().__init__()
        self.weight = parameter_of(record, "weight", 2)
        self.bias = None if record.get("bias") is None else parameter_of(record, "bias", 1)
        if self.bias is not None and len(self.bias) != len(self.weight):
            raise GendataError("the checkpoint has a layer whose bias does not fit")

    def forward(self, x: Tensor) -> Tensor:
        """Maps (B, inputs) to (B, outputs)."""
        return functional.linear(x, self.weight, self.bias)


class GroupNorm(nn.Module):
    """Group normalisation with the file's own number of groups."""

    def __init__(self, record: Record) -> None:
        super().__init__()
        self.weight, self.bias = parameter_of(record, "weight", 1), parameter_of(record, "bias", 1)
        self.groups = whole_of(record, "num_groups", 1, len(self.weight))
        self.epsilon = number_between(record, "eps", 0, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Normalises (B, C, H, W)."""
        return functional.group_norm(x, self.groups, self.weight, self.bias, self.epsilon)


class Convolution(nn.Module):
    """A convolution, a resampling by two with a low-pass filter, or the one after the other.

    Upsampling interpolates with 4 times the filter; downsampling filters and takes every second
    pixel. In the encoder of NCSN++ the filter comes after the convolution ("fused"): the two are
    composed into one kernel here, once.
    """

    filter: Tensor | None

    def __init__(self, record: Record) -> None:
        super().__init__()
        self.up, self.down = flag_of(record, "up"), flag_of(record, "down")
        has_weight = record.get("weight") is not None
        self.weight = parameter_of(record, "weight", 4) if has_weight else None
        self.bias = None if record.get("bias") is None else parameter_of(record, "bias", 1)
        self.register_buffer("filter", _filter(record) if self.up or self.down else None)
        sides = set() if self.weight is None else set(self.weight.shape[2:])
        if not sides <= {1, 3, 5, LARGEST_KERNEL} or len(sides) > 1 or (self.up and self.down):
            raise GendataError("the checkpoint has a convolution of unknown form", found=sides)
        self.padding, self.stride = max(sides, default=0) // 2, 1
        if (
            self.weight is not None
            and self.filter is not None
            and flag_of(record, "fused_resample", False)
        ):
            self._compose(self.weight, self.filter)
        # The box filter is a plain repetition or mean of pixels.
        box = torch.full((2, 2), 0.25)
        self.is_box = self.filter is not None and torch.equal(self.filter, box)

    def _compose(self, weight: Tensor, kernel: Tensor) -> None:
        if not self.down:
            raise GendataError("the checkpoint has a fused upsampling, which no network uses")
        self.padding += (kernel.shape[0] - 1) // 2
        single = weight.detach().float().flatten(0, 1)[:, None]  # (O * I, 1, K, K)
        composed = functional.conv_transpose2d(single, kernel[None, None])
        composed = composed.view(*weight.shape[:2], *composed.shape[2:])
        self.weight = nn.Parameter(composed, requires_grad=False)
        self.filter, self.stride = None, 2

    def forward(self, x: Tensor) -> Tensor:
        """Maps (B, C, H, W) to (B, D, H, W), twice or half the size where it resamples."""
        if self.filter is not None:
            x = self._resample(x, self.filter)
        if self.weight is None:
            return x if self.bias is None else x + self.bias[:, None, None]
        is_pointwise = self.weight.shape[2:] == (1, 1)
        if is_pointwise and x.is_contiguous(memory_format=torch.channels_last):
            # On channels that lie last this is a matrix product, and quicker as one.
            pixels = functional.linear(x.permute(0, 2, 3, 1), self.weight.flatten(1), self.bias)
            return pixels.permute(0, 3, 1, 2)
        return functional.conv2d(
            x, self.weight, self.bias, stride=self.stride, padding=self.padding
        )

    def _resample(self, x: Tensor, kernel: Tensor) -> Tensor:
        if self.is_box:
            if self.up:
                return functional.interpolate(x, scale_factor=2, mode="nearest")
            return functional.avg_pool2d(x, 2)
        channels, padding = x.shape[1], (kernel.shape[0] - 1) // 2
        kernels = kernel.to(x.dtype).expand(channels, 1, -1, -1)
        if self.up:
            return functional.conv_transpose2d(
                x, kernels * 4, stride=2, padding=padding, groups=channels
            )
        return functional.conv2d(x, kernels, stride=2, padding=padding, groups=channels)


def _filter(record: Record) -> Tensor:
    kernel = parameter_of(record, "resample_filter", 4).detach().float()[0, 0]
    if kernel.shape[0] != kernel.shape[1] or not 2 <= kernel.shape[0] <= LARGEST_FILTER:
        raise GendataError(
            "the checkpoint has a resampling filter of unknown form", found=tuple(kernel.shape)
        )
    return kernel.clone()


class Attention(nn.Module):
    """Self-attention over the pixels, several heads (figure in appendix F.2)."""

    def __init__(self, record: Record, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm = GroupNorm(module_of(record, "norm2"))
        combined, output = module_of(record, "qkv"), module_of(record, "proj")
        weight, bias = parameter_of(combined, "weight", 4), parameter_of(combined, "bias", 1)
        if len(weight) % (3 * heads) or weight.shape[2:] != (1, 1) or len(bias) != len(weight):
            raise GendataError("the checkpoint's attention does not fit", found=weight.shape)
        # The file interleaves queries, keys and values within a head; here they lie apart.
        self.qkv_weight = _apart(weight.flatten(1), heads)
        self.qkv_bias = _apart(bias, heads)
        final = parameter_of(output, "weight", 4)
        self.out_weight = nn.Parameter(final.flatten(1), requires_grad=False)
        self.out_bias = parameter_of(output, "bias", 1)

    def forward(self, x: Tensor) -> Tensor:
        """Returns what is to be added to (B, C, H, W)."""
        batch, channels, height, width = x.shape
        tokens = self.norm(x).permute(0, 2, 3, 1).reshape(batch, height * width, channels)
        combined = functional.linear(tokens, self.qkv_weight, self.qkv_bias)
        parts = combined.view(batch, height * width, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        mixed = functional.scaled_dot_product_attention(*parts)  # (B, heads, H * W, C / heads)
        mixed = mixed.transpose(1, 2).reshape(batch, height * width, -1)
        mixed = functional.linear(mixed, self.out_weight, self.out_bias)
        return mixed.view(batch, height, width, -1).permute(0, 3, 1, 2)


def _apart(rows: Tensor, heads: int) -> nn.Parameter:
    """Sorts rows (heads * C * 3, …) to (3 * heads * C, …)."""
    grouped = rows.detach().reshape(heads, -1, 3, *rows.shape[1:])
    return nn.Parameter(grouped.movedim(2, 0).flatten(0, 2), requires_grad=False)


class ResidualBlock(nn.Module):
    """The block of all three architectures, conditioned on an embedding of noise and label.

    DDPM++ and NCSN++ add the embedding; ADM scales and shifts by it.
    """

    def __init__(self, record: Record) -> None:
        super().__init__()
        self.norm0, self.norm1 = (
            GroupNorm(module_of(record, "norm0")),
            GroupNorm(module_of(record, "norm1")),
        )
        self.conv0 = Convolution(module_of(record, "conv0"))
        self.conv1 = Convolution(module_of(record, "conv1"))
        self.affine = Dense(module_of(record, "affine"))
        skip = part_of(record, "skip")
        self.skip = None if skip is None else Convolution(skip)
        self.is_adaptive = flag_of(record, "adaptive_scale")
        self.scale = number_between(record, "skip_scale", 0, 1)
        heads = whole_of(record, "num_heads", 0, len(self.norm1.weight))
        self.attention = Attention(record, heads) if heads else None

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:
        """Maps (B, C, H, W) and (B, E) to (B, D, H, W), twice or half the size."""
        hidden = self.conv0(functional.silu(self.norm0(x), inplace=True))
        condition = self.affine(embedding).to(x.dtype)[:, :, None, None]
        if self.is_adaptive:
            scale, shift = condition.chunk(2, dim=1)
            hidden = torch.addcmul(shift, self.norm1(hidden), scale + 1)
        else:
            hidden = self.norm1(hidden.add_(condition))
        hidden = self.conv1(functional.silu(hidden, inplace=True))
        x = self._scaled(hidden.add_(x if self.skip is None else self.skip(x)))
        return x if self.attention is None else self._scaled(self.attention(x).add_(x))

    def _scaled(self, fresh: Tensor) -> Tensor:
        return fresh if self.scale == 1 else fresh.mul_(self.scale)


class PositionalEmbedding(nn.Module):
    """Sines and cosines of a number, of geometrically falling frequencies (DDPM++, ADM)."""

    frequencies: Tensor

    def __init__(self, record: Record, channels: int) -> None:
        super().__init__()
        half, highest = channels // 2, whole_of(record, "max_positions", 1, 2**31)
        steps = half - flag_of(record, "endpoint")
        if channels % 2 or steps < 1:
            raise GendataError("the checkpoint's noise embedding does not fit", found=channels)
        exponents = torch.arange(half, dtype=torch.float32) / steps
        self.register_buffer("frequencies", (1 / highest) ** exponents)

    def forward(self, noise: Tensor) -> Tensor:
        """Maps (B,) to (B, channels): cosines, then sines."""
        return _waves(noise, self.frequencies)


class FourierEmbedding(nn.Module):
    """Sines and cosines of a number, of the file's random frequencies (NCSN++)."""

    frequencies: Tensor

    def __init__(self, record: Record) -> None:
        super().__init__()
        frequencies = parameter_of(record, "freqs", 1).detach().float()
        self.register_buffer("frequencies", 2 * math.pi * frequencies)

    def forward(self, noise: Tensor) -> Tensor:
        """Maps (B,) to (B, channels): cosines, then sines."""
        return _waves(noise, self.frequencies)


def _waves(noise: Tensor, frequencies: Tensor) -> Tensor:
    angles = noise[:, None] * frequencies
    return torch.cat([angles.cos(), angles.sin()], dim=1)


class LabelTable(nn.Module):
    """One embedding per class: what a layer gives for its one-hot label, computed once.

    Args:
        record: the layer, weight (E, classes).
        gain: what the label is multiplied with beforehand.
    """

    rows: Tensor

    def __init__(self, record: Record, gain: float) -> None:
        super().__init__()
        layer = Dense(record)
        rows = layer.weight.detach().float().t() * gain
        rows = rows if layer.bias is None else rows + layer.bias.detach().float()
        self.register_buffer("rows", rows.contiguous())

    def forward(self, labels: Tensor) -> Tensor:
        """Maps (B,) int64 to (B, E)."""
        return functional.embedding(labels, self.rows)


def members(record: Record, name: str, roles: str) -> dict[str, tuple[str, Record]]:
    """Returns the parts of an encoder or decoder in their order: by name, role and record.

    Args:
        record: the network.
        name: "enc" or "dec".
        roles: regular expression of what may follow the resolution in a part's name.
    """
    parts = module_of(record, name).modules()
    found = {
        key: re.fullmatch(rf"[0-9]{{1,5}}x[0-9]{{1,5}}_({roles})[0-9]{{0,4}}", key)
        for key in parts
    }
    unknown = [key for key, match in found.items() if match is None]
    if unknown or not 0 < len(parts) <= MOST_BLOCKS:
        raise GendataError(
            f"the checkpoint's {brief(record.name)} has parts that are unknown in '{name}'",
            found=brief(unknown[0]) if unknown else f"{len(parts)} parts",
        )
    return {key: (match[1], parts[key]) for key, match in found.items() if match}
