"""LSGM's score network: NCSN++ with BigGAN's residual blocks, in latent space.

Song et al., "Score-Based Generative Modeling through Stochastic Differential Equations" (2021),
https://arxiv.org/abs/2011.13456, Appendix H; Vahdat, Kreis and Kautz (2021),
https://arxiv.org/abs/2106.05931, Appendix G. Parameters have the published names. Attention
stands where the activations are 16 wide. Of the progressive paths, which no published checkpoint
has, the skips are supported and the residual ones are not.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gendata.errors import GendataError
from gendata.samplers.networks.lsgm_parts import Arguments, build_empty, tensor_shape

__all__ = ["ScoreNetwork", "build_score"]

ATTENTION_SIDE = 16
ROOT_HALF = math.sqrt(0.5)


@dataclass(frozen=True)
class ScoreShape:
    """What decides the layers.

    Attributes:
        channels: of the latents.
        side: of the latents, pixels.
        widths: channels of each level, from fine to coarse.
        blocks: residual blocks a level.
        embedding: size of the time embedding.
        fourier: whether it has random frequencies, which the file holds.
        time_scale: what times are multiplied by, for fixed frequencies.
        smooth: whether resampling uses the filter (1, 3, 3, 1) rather than repeats and means.
        output_skip: whether each level adds to the output.
        input_skip: how each level sees the input: "none", "sum" or "cat".
        mixed: whether the network corrects the noise of a standard normal distribution.
    """

    channels: int
    side: int
    widths: tuple[int, ...]
    blocks: int
    embedding: int
    fourier: bool
    time_scale: float
    smooth: bool
    output_skip: bool
    input_skip: str
    mixed: bool


class ScoreNetwork(nn.Module):
    """Predicts the noise in latents (B, C, H, H) at times (B,) between 0 and 1."""

    mixing_logit: nn.Parameter | None

    def __init__(self, shape: ScoreShape) -> None:
        super().__init__()
        self.shape = shape
        mixing = nn.Parameter(torch.empty(1, shape.channels, 1, 1)) if shape.mixed else None
        self.register_parameter("mixing_logit", mixing)
        self.temb_fun = TimeEmbedding(shape)
        self.all_modules = nn.ModuleList(_layers(shape))

    def forward(self, latents: Tensor, times: Tensor) -> Tensor:
        """Predicts the noise, without the mixing of `mixed`."""
        shape, layers = self.shape, iter(self.all_modules)
        time = F.silu(next(layers)(self.temb_fun(times)))
        time = F.silu(next(layers)(time))  # every block begins by this activation
        kept = self._down(latents, time, layers)
        x = next(layers)(kept[-1], time)
        x = next(layers)(x)
        x = next(layers)(x, time)
        output = None
        for level in reversed(range(len(shape.widths))):
            for _ in range(shape.blocks + 1):
                x = next(layers)(torch.cat([x, kept.pop()], dim=1), time)
            if _has_attention(shape, level):
                x = next(layers)(x)
            if shape.output_skip or level == 0:
                here = F.silu(next(layers)(x))
                here = next(layers)(here)
                output = here if output is None else resample(output, "up", shape.smooth) + here
            if level:
                x = next(layers)(x, time)
        assert output is not None
        return output

    def _down(self, latents: Tensor, time: Tensor, layers: Iterator[nn.Module]) -> list[Tensor]:
        """Returns what the way up needs of the way down, the last being the coarsest."""
        shape = self.shape
        pyramid, kept = latents, [next(layers)(latents)]
        for level in range(len(shape.widths)):
            for _ in range(shape.blocks):
                x = next(layers)(kept[-1], time)
                kept.append(next(layers)(x) if _has_attention(shape, level) else x)
            if level + 1 < len(shape.widths):
                x = next(layers)(kept[-1], time)
                if shape.input_skip != "none":
                    pyramid = resample(pyramid, "down", shape.smooth)
                    seen = next(layers)(pyramid)
                    x = seen + x if shape.input_skip == "sum" else torch.cat([seen, x], dim=1)
                kept.append(x)
        return kept


def _layers(shape: ScoreShape) -> Iterator[nn.Module]:
    """Layers in the order in which they are numbered, which is the order of their use."""
    time, last = shape.embedding * 4, len(shape.widths) - 1
    yield FullLinear(shape.embedding, time)
    yield FullLinear(time, time)
    width, kept = shape.widths[0], [shape.widths[0]]
    yield nn.Conv2d(shape.channels, width, 3, padding=1)
    for level, wanted in enumerate(shape.widths):
        for _ in range(shape.blocks):
            yield ResidualBlock(width, wanted, time)
            width = wanted
            if _has_attention(shape, level):
                yield Attention(width)
            kept.append(width)
        if level < last:
            yield ResidualBlock(width, width, time, "down", shape.smooth)
            if shape.input_skip != "none":
                yield Seen(shape.channels, width)
                width *= 2 if shape.input_skip == "cat" else 1
            kept.append(width)
    yield ResidualBlock(width, width, time)
    yield Attention(width)
    yield ResidualBlock(width, width, time)
    for level in range(last, -1, -1):
        for _ in range(shape.blocks + 1):
            yield ResidualBlock(width + kept.pop(), shape.widths[level], time)
            width = shape.widths[level]
        if _has_attention(shape, level):
            yield Attention(width)
        if shape.output_skip or level == 0:
            yield group_norm(width)
            yield nn.Conv2d(width, shape.channels, 3, padding=1)
        if level:
            yield ResidualBlock(width, width, time, "up", shape.smooth)


def _has_attention(shape: ScoreShape, level: int) -> bool:
    return shape.side >> level == ATTENTION_SIDE


class TimeEmbedding(nn.Module):
    """Sines and cosines of times (B,): (B, D)."""

    def __init__(self, shape: ScoreShape) -> None:
        super().__init__()
        self.pairs, self.scale = shape.embedding // 2, shape.time_scale
        if shape.fourier:
            self.w = nn.Parameter(torch.empty(1, self.pairs))

    def forward(self, times: Tensor) -> Tensor:
        if hasattr(self, "w"):
            angles = times[:, None] * (self.w * 2 * math.pi)
        else:
            places = torch.arange(self.pairs, device=times.device)
            frequencies = torch.exp(places * -(math.log(10000) / (self.pairs - 1)))
            angles = (times * self.scale)[:, None] * frequencies
        return torch.cat([angles.sin(), angles.cos()], dim=1)


class ResidualBlock(nn.Module):
    """BigGAN's residual block with the time added in between."""

    def __init__(
        self, width: int, wanted: int, time: int, way: str = "", smooth: bool = False
    ) -> None:
        super().__init__()
        self.way, self.smooth = way, smooth
        self.GroupNorm_0 = group_norm(width)
        self.Conv_0 = nn.Conv2d(width, wanted, 3, padding=1)
        self.Dense_0 = FullLinear(time, wanted)
        self.GroupNorm_1 = group_norm(wanted)
        self.Conv_1 = nn.Conv2d(wanted, wanted, 3, padding=1)
        if width != wanted or way:
            self.Conv_2 = nn.Conv2d(width, wanted, 1)

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        """Takes x (B, C, H, W) and activated time features (B, T)."""
        h = F.silu(self.GroupNorm_0(x))
        if self.way:
            h, x = (resample(each, self.way, self.smooth) for each in (h, x))
        h = self.Conv_0(h) + self.Dense_0(time)[:, :, None, None]
        h = self.Conv_1(F.silu(self.GroupNorm_1(h)))
        if hasattr(self, "Conv_2"):
            x = self.Conv_2(x)
        return (x + h) * ROOT_HALF


class Attention(nn.Module):
    """Self-attention with one head over all places."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.GroupNorm_0 = group_norm(width)
        for place in range(4):
            self.add_module(f"NIN_{place}", PlaceLinear(width))

    def forward(self, x: Tensor) -> Tensor:
        places = self.GroupNorm_0(x).flatten(2).transpose(1, 2)[:, None]  # (B, 1, H * W, C)
        query, key, value = (self.get_submodule(f"NIN_{i}")(places) for i in range(3))
        h = self.get_submodule("NIN_3")(F.scaled_dot_product_attention(query, key, value))
        return (x + h[:, 0].transpose(1, 2).reshape(x.shape)) * ROOT_HALF


class PlaceLinear(nn.Module):
    """A linear map of channels, the last dimension, with the weight as (from, to)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.W, self.b = nn.Parameter(torch.empty(width, width)), nn.Parameter(torch.empty(width))

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.W.t(), self.b)


class FullLinear(nn.Linear):
    """A linear map that stays in float32 where the network runs in mixed precision."""

    def forward(self, x: Tensor) -> Tensor:
        with torch.autocast(x.device.type, enabled=False):
            return super().forward(x.float())


class Seen(nn.Module):
    """The shrunken input as features."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.Conv_0 = nn.Conv2d(channels, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.Conv_0(x)


def group_norm(width: int) -> nn.GroupNorm:
    """Group normalisation as NCSN++ has it."""
    return nn.GroupNorm(min(width // 4, 32), width, eps=1e-6)


def resample(x: Tensor, way: str, smooth: bool) -> Tensor:
    """Doubles ("up") or halves ("down") the sides of x (B, C, H, W).

    Smooth: by the filter (1, 3, 3, 1) in both directions, zeros outside; else repeats and means.
    """
    if not smooth:
        return F.avg_pool2d(x, 2) if way == "down" else F.interpolate(x, scale_factor=2.0)
    kernel = _kernel(x.shape[1], way, x.device).to(x.dtype)
    move = F.conv2d if way == "down" else F.conv_transpose2d
    return move(x, kernel, stride=2, padding=1, groups=x.shape[1])


@cache
def _kernel(width: int, way: str, device: torch.device) -> Tensor:
    """The filter for each channel: (C, 1, 4, 4), which sums to 1, or to 4 on the way up."""
    row = torch.tensor([1.0, 3.0, 3.0, 1.0], device=device) / (8 if way == "down" else 4)
    return torch.outer(row, row).expand(width, 1, 4, 4).contiguous()


def build_score(
    arguments: Arguments, tensors: Mapping[str, Tensor], channels: int, side: int
) -> ScoreNetwork:
    """Builds an empty score network for latents (B, channels, side, side).

    Args:
        arguments: the checkpoint's.
        tensors: its score network's; the widths of the levels are read from their shapes.
        channels: of the latents.
        side: of the latents, pixels.
    """
    arguments.choice("dae_arch", ["ncsnpp"])
    levels = arguments.whole("num_scales_dae", 1, 8)
    if side % 2 ** (levels - 1):
        raise GendataError(
            f"the arguments of {arguments.path} describe no network of LSGM",
            found=f"latents {side} wide on {levels} levels",
            expected="sides that can be halved at every level but the last",
        )
    output_skip = arguments.choice("progressive", ["none", "output_skip"], "none")
    input_skip = arguments.choice("progressive_input", ["none", "input_skip"], "none")
    if input_skip == "input_skip":
        input_skip = arguments.choice("progressive_combine", ["sum", "cat"], "sum")
    fourier = arguments.choice("embedding_type", ["positional", "fourier"], "positional")
    shape = ScoreShape(
        channels=channels,
        side=side,
        widths=(1,) * levels,
        blocks=arguments.whole("num_cell_per_scale_dae", 1, 64),
        embedding=arguments.whole("embedding_dim", 4, 4096),
        fourier=fourier == "fourier",
        time_scale=arguments.number("embedding_scale", 1.0),
        smooth=arguments.flag("fir", False),
        output_skip=output_skip == "output_skip",
        input_skip=input_skip,
        mixed=arguments.flag("mixed_prediction", "mixing_logit" in tensors),
    )
    widths = _widths(shape, tensors)
    shape = ScoreShape(**{**vars(shape), "widths": widths})
    return build_empty(lambda: ScoreNetwork(shape), levels * shape.blocks * 2, len(tensors))


def _widths(shape: ScoreShape, tensors: Mapping[str, Tensor]) -> tuple[int, ...]:
    """Reads each level's channels off the first convolution of its first block."""
    widths, place = [], 3
    for level in range(len(shape.widths)):
        widths.append(tensor_shape(tensors, f"all_modules.{place}.Conv_0.weight", 4)[0])
        place += shape.blocks * (2 if _has_attention(shape, level) else 1)
        place += 1 if shape.input_skip == "none" else 2
    return tuple(widths)
