"""Slow restatements of the parts of EDM's networks, with the names that are published."""

import math

import torch
from torch import nn


def random_weight(*shape):
    fan_in = max(math.prod(shape[1:]), 1)
    return nn.Parameter(torch.randn(*shape) * (fan_in**-0.5 if len(shape) > 1 else 0.2))


class Linear(nn.Module):
    def __init__(self, inputs, outputs, bias=True):
        super().__init__()
        self.in_features, self.out_features = inputs, outputs
        self.weight = random_weight(outputs, inputs)
        self.bias = random_weight(outputs) if bias else None

    def forward(self, x):
        y = torch.stack([(row * x).sum(1) for row in self.weight], dim=1)
        return y if self.bias is None else y + self.bias


class GroupNorm(nn.Module):
    def __init__(self, channels, eps):
        super().__init__()
        self.num_groups, self.eps = min(32, channels // 4), eps
        self.weight, self.bias = (
            nn.Parameter(1 + 0.2 * torch.randn(channels)),
            random_weight(channels),
        )

    def forward(self, x):
        groups = []
        for group in x.chunk(self.num_groups, dim=1):
            mean = group.mean((1, 2, 3), keepdim=True)
            variance = ((group - mean) ** 2).mean((1, 2, 3), keepdim=True)
            groups.append((group - mean) / (variance + self.eps).sqrt())
        return torch.cat(groups, 1) * self.weight[:, None, None] + self.bias[:, None, None]


def correlate(x, weight, padding):
    """Sums shifted images, one for each entry of the kernel."""
    side = weight.shape[-1]
    x = nn.functional.pad(x, [padding] * 4)
    height, width = x.shape[2] - side + 1, x.shape[3] - side + 1
    return sum(
        torch.einsum("bihw,oi->bohw", x[:, :, i : i + height, j : j + width], weight[:, :, i, j])
        for i in range(side)
        for j in range(side)
    )


def per_channel(taps, channels):
    return torch.eye(channels).to(taps)[:, :, None, None] * taps


class Conv2d(nn.Module):
    def __init__(self, inputs, outputs, side, taps=(1, 1), up=False, down=False, fused=False):
        super().__init__()
        self.in_channels, self.out_channels = inputs, outputs
        self.up, self.down, self.fused_resample = up, down, fused
        self.weight = random_weight(outputs, inputs, side, side) if side else None
        self.bias = random_weight(outputs) if side else None
        row = torch.tensor(taps, dtype=torch.float32)
        kernel = row[:, None] * row / row.sum() ** 2
        self.register_buffer("resample_filter", kernel[None, None] if up or down else None)

    def forward(self, x):
        taps = None if self.resample_filter is None else self.resample_filter[0, 0]
        padding = 0 if self.weight is None else self.weight.shape[-1] // 2
        if self.fused_resample and self.down:
            reach = (len(taps) - 1) // 2
            x = correlate(x, self.weight, padding + reach)
            x = correlate(x, per_channel(taps, x.shape[1]), 0)[:, :, ::2, ::2]
            return x + self.bias[:, None, None]
        if self.up:
            x = self.doubled(x, taps)
        if self.down:
            x = correlate(x, per_channel(taps, x.shape[1]), (len(taps) - 1) // 2)[:, :, ::2, ::2]
        if self.weight is not None:
            x = correlate(x, self.weight, padding) + self.bias[:, None, None]
        return x

    def doubled(self, x, taps):
        """Spreads each pixel over the filter's taps."""
        height, width, reach = 2 * x.shape[2], 2 * x.shape[3], (len(taps) - 1) // 2
        spread = x.new_zeros(*x.shape[:2], height - 2 + len(taps), width - 2 + len(taps))
        for i in range(len(taps)):
            for j in range(len(taps)):
                spread[:, :, i : i + height - 1 : 2, j : j + width - 1 : 2] += 4 * taps[i, j] * x
        return spread[:, :, reach : reach + height, reach : reach + width]


class UNetBlock(nn.Module):
    def __init__(self, inputs, outputs, style, up=False, down=False, attention=False):
        super().__init__()
        adaptive, eps, taps = style["adaptive"], style["eps"], style["taps"]
        self.in_channels, self.out_channels = inputs, outputs
        self.num_heads = (outputs // 64 if adaptive else 1) if attention else 0
        self.skip_scale, self.adaptive_scale = 1 if adaptive else math.sqrt(0.5), adaptive
        resampling = {"taps": taps, "up": up, "down": down}
        self.norm0, self.norm1 = GroupNorm(inputs, eps), GroupNorm(outputs, eps)
        self.conv0 = Conv2d(inputs, outputs, 3, **resampling)
        self.affine = Linear(style["embedding"], outputs * (1 + adaptive))
        self.conv1 = Conv2d(outputs, outputs, 3)
        self.skip = None
        if inputs != outputs or up or down:
            side = 1 if inputs != outputs or not adaptive else 0
            self.skip = Conv2d(inputs, outputs, side, **resampling)
        if self.num_heads:
            self.norm2 = GroupNorm(outputs, eps)
            self.qkv, self.proj = Conv2d(outputs, 3 * outputs, 1), Conv2d(outputs, outputs, 1)

    def forward(self, x, embedding):
        y = self.conv0(swish(self.norm0(x)))
        condition = self.affine(embedding)[:, :, None, None]
        if self.adaptive_scale:
            scale, shift = condition[:, : y.shape[1]], condition[:, y.shape[1] :]
            y = swish(self.norm1(y) * (1 + scale) + shift)
        else:
            y = swish(self.norm1(y + condition))
        x = (self.conv1(y) + (x if self.skip is None else self.skip(x))) * self.skip_scale
        return (x + self.proj(self.attended(x))) * self.skip_scale if self.num_heads else x

    def attended(self, x):
        rows = self.qkv(self.norm2(x)).flatten(2)
        heads = []
        for head in rows.chunk(self.num_heads, dim=1):
            query, key, value = head[:, 0::3], head[:, 1::3], head[:, 2::3]  # (B, C, H * W)
            scores = (query.transpose(1, 2) @ key) / math.sqrt(key.shape[1])
            weights = scores.exp() / scores.exp().sum(-1, keepdim=True)
            heads.append(value @ weights.transpose(1, 2))
        return torch.cat(heads, 1).view_as(x)


def swish(x):
    return x / (1 + torch.exp(-x))


class PositionalEmbedding(nn.Module):
    def __init__(self, num_channels, endpoint):
        super().__init__()
        self.num_channels, self.max_positions, self.endpoint = num_channels, 10000, endpoint

    def forward(self, noise):
        half = self.num_channels // 2
        angles = [noise * 10000 ** (-i / (half - self.endpoint)) for i in range(half)]
        return torch.stack([a.cos() for a in angles] + [a.sin() for a in angles], dim=1)


class FourierEmbedding(nn.Module):
    def __init__(self, num_channels):
        super().__init__()
        self.register_buffer("freqs", torch.randn(num_channels // 2) * 2)

    def forward(self, noise):
        angles = [2 * math.pi * noise * frequency for frequency in self.freqs]
        return torch.stack([a.cos() for a in angles] + [a.sin() for a in angles], dim=1)
