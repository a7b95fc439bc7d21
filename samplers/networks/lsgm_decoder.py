"""LSGM's decoder: the generative half of a hierarchical variational autoencoder (NVAE).

Vahdat and Kautz, "NVAE: A Deep Hierarchical Variational Autoencoder" (2020),
https://arxiv.org/abs/2007.03898, Sections 3.1-3.2 and Figures 2-3. Parameters have the published
names; the encoder is left out. Images are the mean of the decoder's distribution.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gendata.errors import GendataError
from gendata.samplers.networks.lsgm_parts import Arguments, build_empty, tensor_shape

__all__ = ["Decoder", "build_decoder", "decoder_tensors"]

PARTS = ("prior_ftr0", "eps_conv.", "dec_tower.", "post_process.", "image_conditional.")
CELLS = {  # how a cell of the tower and one after it are made
    "res_bnswish": ("convolutions", "convolutions"),
    "res_bnswish2": ("pair", "pair"),
    "res_mbconv": ("separable 6", "separable 3"),
    "res_mbconv_attn": ("separable 6", "separable 3"),
    "res_mbconv_attn_half": ("separable 6", "separable 3"),
}
MIXTURES = 10
LARGEST_SIDE = 1024


@dataclass(frozen=True)
class DecoderShape:
    """What decides the layers.

    Attributes:
        first: shape (C, H, H) of the features that decoding starts from.
        widths: channels of each scale, from fine to coarse; the last are those of `first`.
        groups: latent groups a scale, …
        latents: … channels each, …
        scales: … and how many scales have latents.
        cells: cells after each group.
        post_cells: cells of each block after the tower.
        kinds: how cells of the tower and after it are made, as in `CELLS`.
        squeeze: whether cells weigh their channels.
        distribution: of pixels: "normal", "dl", "dml" or "bin".
    """

    first: tuple[int, int, int]
    widths: tuple[int, ...]
    groups: int
    latents: int
    scales: int
    cells: int
    post_cells: int
    kinds: tuple[str, str]
    squeeze: bool
    distribution: str


class Decoder(nn.Module):
    """Turns latents into images."""

    def __init__(self, shape: DecoderShape) -> None:
        super().__init__()
        self.shape = shape
        self.prior_ftr0 = nn.Parameter(torch.empty(shape.first))
        self.eps_conv = nn.ModuleList(
            Convolution(shape.latents, shape.latents, 3)
            for _ in range(shape.groups * shape.scales)
        )
        self.dec_tower = nn.ModuleList(_tower(shape))
        self.post_process = nn.ModuleList(_after(shape))
        outputs = {"bin": 1, "dml": 10 * MIXTURES}.get(shape.distribution, 6)
        self.image_conditional = nn.Sequential(nn.ELU(), Convolution(shape.widths[0], outputs, 3))

    @property
    def resolution(self) -> int:
        """Side of the images, pixels."""
        return self.shape.first[1] << (len(self.shape.widths) - 1)

    @property
    def latent_shapes(self) -> list[tuple[int, int, int]]:
        """Shape (C, H, H) of each group's latents, from coarse to fine."""
        shape = self.shape
        sides = [shape.first[1] << scale for scale in range(shape.scales)]
        return [(shape.latents, side, side) for side in sides for _ in range(shape.groups)]

    def forward(self, latents: list[Tensor]) -> Tensor:
        """Returns images (B, 1 or 3, H, H) in [-1, 1] for each group's latents (B, C, h, h)."""
        x = self.prior_ftr0.expand(len(latents[0]), -1, -1, -1)
        group = 0
        for cell in self.dec_tower:
            if isinstance(cell, Combiner):
                x = cell(x, self.eps_conv[group](latents[group]))
                group += 1
            else:
                x = cell(x)
        for cell in self.post_process:
            x = cell(x)
        outputs = self.image_conditional(x).float()
        return mean_image(outputs, self.shape.distribution).clamp(-1, 1)


def _tower(shape: DecoderShape) -> Iterator[nn.Module]:
    for scale in range(shape.scales):
        width = shape.widths[-1 - scale]
        for _ in range(shape.groups):
            yield Combiner(width, shape.latents)
            for _ in range(shape.cells):
                yield Cell(width, width, shape.kinds[0], shape.squeeze)
        if scale + 1 < shape.scales:
            yield Cell(width, shape.widths[-2 - scale], shape.kinds[0], shape.squeeze, grow=True)


def _after(shape: DecoderShape) -> Iterator[nn.Module]:
    for scale in range(shape.scales - 1, len(shape.widths) - 1):
        width, wanted = shape.widths[-1 - scale], shape.widths[-2 - scale]
        yield Cell(width, wanted, shape.kinds[1], shape.squeeze, grow=True)
        for _ in range(shape.post_cells - 1):
            yield Cell(wanted, wanted, shape.kinds[1], shape.squeeze)


class Convolution(nn.Module):
    """A convolution whose filters have learned norms (weight normalisation)."""

    bias: nn.Parameter | None

    def __init__(self, width: int, wanted: int, side: int, bias: bool = True) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(wanted, width, side, side))
        self.log_weight_norm = nn.Parameter(torch.empty(wanted, 1, 1, 1))
        self.register_parameter("bias", nn.Parameter(torch.empty(wanted)) if bias else None)

    def forward(self, x: Tensor) -> Tensor:
        norm = self.weight.square().sum(dim=(1, 2, 3), keepdim=True).sqrt()
        weight = self.log_weight_norm.exp() * self.weight / (norm + 1e-5)
        return F.conv2d(x, weight, self.bias, padding=weight.shape[2] // 2)


class BatchNorm(nn.Module):
    """Batch normalisation by stored statistics, then swish where `active`."""

    def __init__(self, width: int, active: bool = True) -> None:
        super().__init__()
        self.active = active
        self.weight, self.bias = (nn.Parameter(torch.empty(width)) for _ in range(2))
        self.register_buffer("running_mean", torch.empty(width))
        self.register_buffer("running_var", torch.empty(width))

    def forward(self, x: Tensor) -> Tensor:
        mean, variance = self.get_buffer("running_mean"), self.get_buffer("running_var")
        x = F.batch_norm(x, mean, variance, self.weight, self.bias, eps=1e-5)
        return F.silu(x) if self.active else x


class Combiner(nn.Module):
    """Joins features and latents."""

    def __init__(self, width: int, latents: int) -> None:
        super().__init__()
        self.conv = Convolution(width + latents, width, 1)

    def forward(self, x: Tensor, latents: Tensor) -> Tensor:
        return self.conv(torch.cat([x, latents], dim=1))


class Cell(nn.Module):
    """A residual cell; one that grows doubles the sides."""

    def __init__(
        self, width: int, wanted: int, kind: str, squeeze: bool, grow: bool = False
    ) -> None:
        super().__init__()
        if grow:
            self.skip = nn.Sequential(
                nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True),
                Convolution(width, wanted, 1, bias=False),
            )
        self._ops = nn.ModuleList(_operations(kind, width, wanted, grow))
        self.se = SqueezeExcite(wanted) if squeeze else None

    def forward(self, x: Tensor) -> Tensor:
        h = x
        for operation in self._ops:
            h = operation(h)
        if self.se is not None:
            h = self.se(h)
        return (self.skip(x) if hasattr(self, "skip") else x) + 0.1 * h


def _operations(kind: str, width: int, wanted: int, grow: bool) -> list[nn.Module]:
    if kind == "convolutions":
        return [SwishConvolution(width, wanted, grow), SwishConvolution(wanted, wanted, False)]
    if kind == "pair":
        return [SwishPair(width, wanted, grow)]
    return [Separable(width, wanted, int(kind.split()[1]), grow)]


class SwishConvolution(nn.Module):
    """Batch normalisation, swish, growth, convolution."""

    def __init__(self, width: int, wanted: int, grow: bool) -> None:
        super().__init__()
        self.grow = grow
        self.bn_act, self.conv_0 = BatchNorm(width), Convolution(width, wanted, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.bn_act(x)
        return self.conv_0(F.interpolate(x, scale_factor=2.0) if self.grow else x)


class SwishPair(nn.Module):
    """The same twice; the first convolution is plain."""

    def __init__(self, width: int, wanted: int, grow: bool) -> None:
        super().__init__()
        self.grow = grow
        self.bn_act_0, self.bn_act_1 = BatchNorm(width), BatchNorm(wanted)
        self.conv_0 = nn.Conv2d(width, wanted, 3, padding=1, bias=False)
        self.conv_1 = Convolution(wanted, wanted, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.bn_act_0(x)
        x = self.conv_0(F.interpolate(x, scale_factor=2.0) if self.grow else x)
        return self.conv_1(self.bn_act_1(x))


class Separable(nn.Module):
    """Mobile inverted residual: widen, convolve each channel 5x5, narrow."""

    def __init__(self, width: int, wanted: int, widening: int, grow: bool) -> None:
        super().__init__()
        wide = width * widening
        layers: list[nn.Module] = [nn.UpsamplingNearest2d(scale_factor=2)] if grow else []
        layers += [
            Wrapped(bn=BatchNorm(width, active=False)),
            Wrapped(conv=nn.Sequential(nn.Conv2d(width, wide, 1, bias=False), BatchNorm(wide))),
            Wrapped(
                conv=nn.Sequential(
                    nn.Conv2d(wide, wide, 5, padding=2, groups=wide, bias=False), BatchNorm(wide)
                )
            ),
            nn.Conv2d(wide, wanted, 1, bias=False),
            Wrapped(bn=BatchNorm(wanted, active=False)),
        ]
        self.conv = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x)


class Wrapped(nn.Module):
    """One layer under a name, as the checkpoints nest theirs."""

    def __init__(self, **layer: nn.Module) -> None:
        super().__init__()
        ((self.inner, module),) = layer.items()
        self.add_module(self.inner, module)

    def forward(self, x: Tensor) -> Tensor:
        return self.get_submodule(self.inner)(x)


class SqueezeExcite(nn.Module):
    """Weighs channels by a small network of their means."""

    def __init__(self, width: int) -> None:
        super().__init__()
        hidden = max(width // 16, 4)
        self.se = nn.Sequential(
            nn.Linear(width, hidden), nn.ReLU(), nn.Linear(hidden, width), nn.Sigmoid()
        )

    def forward(self, x: Tensor) -> Tensor:
        return x * self.se(x.mean(dim=(2, 3)))[:, :, None, None]


def mean_image(outputs: Tensor, distribution: str) -> Tensor:
    """Mean (B, 1 or 3, H, W) of the decoder's distribution, around [-1, 1].

    Args:
        outputs: (B, C, H, W), as the last layer returns them.
        distribution: "bin" (Bernoulli), "normal", "dl" (discretised logistic), or "dml", a
            mixture of discretised logistics, whose green and blue depend on the colours before
            them (Salimans et al., "PixelCNN++", 2017, Section 2.2).
    """
    if distribution == "bin":
        return 2 * outputs.sigmoid() - 1
    if distribution == "normal":
        return 5 * torch.tanh(outputs[:, :3] / 5)
    if distribution == "dl":
        return outputs[:, :3]
    weights = outputs[:, :MIXTURES].softmax(dim=1)[:, None]
    parts = outputs[:, MIXTURES:].unflatten(1, (3, 3 * MIXTURES))  # (B, 3, 30, H, W)
    red, green, blue = (weights * parts[:, :, :MIXTURES]).sum(dim=2).unbind(dim=1)
    slopes = (weights * parts[:, :, 2 * MIXTURES :].tanh()).sum(dim=2)
    red = red.clamp(-1, 1)
    green = (green + slopes[:, 0] * red).clamp(-1, 1)
    blue = (blue + slopes[:, 1] * red + slopes[:, 2] * green).clamp(-1, 1)
    return torch.stack([red, green, blue], dim=1)


def decoder_tensors(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Leaves out what belongs to the encoder."""
    return {name: value for name, value in tensors.items() if name.startswith(PARTS)}


def build_decoder(arguments: Arguments, tensors: Mapping[str, Tensor]) -> Decoder:
    """Builds an empty decoder for a checkpoint's arguments and tensors."""
    first = tensor_shape(tensors, "prior_ftr0", 3)
    scales = arguments.whole("num_latent_scales", 1, 8)
    blocks = arguments.whole("num_postprocess_blocks", 1, 8)
    if first[1] != first[2] or first[1] << (scales + blocks - 1) > LARGEST_SIDE:
        raise GendataError(
            f"the checkpoint {arguments.path} does not fit LSGM",
            found=f"features {first} that are doubled {scales + blocks - 1} times",
            expected=f"squares of at most {LARGEST_SIDE} pixels a side",
        )
    width = arguments.whole("num_channels_dec", 1, 65536)
    multipliers = arguments.numbers("channel_mult", scales + blocks, (1, 2))
    distribution = arguments.choice("decoder_dist", ["normal", "dl", "dml", "bin"])
    shape = DecoderShape(
        first=(first[0], first[1], first[2]),
        widths=tuple(int(width * each) for each in multipliers),
        groups=arguments.whole("num_groups_per_scale", 1, 256),
        latents=arguments.whole("num_latent_per_group", 1, 65536),
        scales=scales,
        cells=arguments.whole("num_cell_per_cond_dec", 0, 64),
        post_cells=arguments.whole("num_postprocess_cells", 1, 64),
        kinds=CELLS[arguments.choice("arch_instance", list(CELLS))],
        squeeze=arguments.flag("use_se"),
        distribution=distribution,
    )
    layers = shape.groups * scales * (shape.cells + 1) + blocks * shape.post_cells
    return build_empty(lambda: Decoder(shape), layers, len(tensors))
