"""StyleGAN2 generators, also with adaptive discriminator augmentation (ADA): our own network.

Karras et al. 2020, "Analyzing and Improving the Image Quality of StyleGAN"
(https://arxiv.org/abs/1912.04958): blocks that double the resolution, each of two modulated and
demodulated convolutions (section 2.2), joined to the image by skips, residual branches or at the
end alone (figure 7). Names of tensors are those of the PyTorch release of "Training Generative
Adversarial Networks with Limited Data" (https://arxiv.org/abs/2006.06676).

Layers that a file runs in half precision run in float32 here.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from gendata.errors import GendataError
from gendata.samplers.networks.fields import (
    LARGEST_IMAGE,
    misfit,
    module_of,
    number_of,
    tensor_of,
    whole_of,
)
from gendata.samplers.networks.modulation import Mapping, activation_of, dense_of, mapping_of
from gendata.samplers.networks.resampling import Smooth
from gendata.samplers.networks.stylegan2_layers import Block, Colour, Layer, Noise
from gendata.samplers.restricted_pickle import Record, named_tensors

__all__ = ["Generator", "Synthesis", "build", "synthesis_of"]

MOST_TAPS = 32
LARGEST_KERNEL = 7


class Synthesis(nn.Module):
    """From styles to an image.

    Args:
        start: the constant (C, H, H) that every image grows from.
        blocks: one a resolution.
        noise_shapes: side lengths of the noise inputs in their order.
        resolution: side of the images.
        channels: number of colours.
    """

    start: Tensor

    def __init__(
        self,
        start: Tensor,
        blocks: list[Block],
        noise_shapes: list[tuple[int, int]],
        resolution: int,
        channels: int,
    ) -> None:
        super().__init__()
        self.register_buffer("start", start)
        self.blocks = nn.ModuleList(blocks)
        self.noise_shapes = noise_shapes
        self.img_resolution, self.img_channels = resolution, channels
        # A block's colours share the style of the next block's first layer.
        self.counts = [block.count for block in blocks]
        self.num_ws = sum(self.counts) + 1

    def forward(self, styles: list[Tensor], noise: Noise = "const") -> Tensor:
        """Maps `num_ws` styles (B, w_dim) to images (B, C, H, W)."""
        noise = list(noise) if isinstance(noise, list) else noise
        values = self.start.expand(len(styles[0]), -1, -1, -1)
        image, first = None, 0
        for block, count in zip(self.blocks, self.counts, strict=True):
            values, image = block(values, image, styles[first:], noise)
            first += count
        assert image is not None
        return image


class Generator(nn.Module):
    """A StyleGAN2 generator: mapping and synthesis."""

    family = "stylegan2"
    to_bytes = "x*127.5+128"

    def __init__(self, mapping: Mapping, synthesis: Synthesis) -> None:
        super().__init__()
        self.mapping, self.synthesis = mapping, synthesis
        self.z_dim, self.c_dim = mapping.z_dim, mapping.c_dim
        self.img_resolution = synthesis.img_resolution
        self.img_channels = synthesis.img_channels
        self.noise_shapes = synthesis.noise_shapes

    def forward(
        self,
        z: Tensor,
        labels: Tensor | None,
        *,
        psi: float = 1.0,
        cutoff: int | None = None,
        noise: Noise = "const",
    ) -> Tensor:
        """Maps latents (B, z_dim) and labels (B,) to images (B, C, H, W), about [-1, 1].

        Args:
            z: standard normal.
            labels: int64, or None for an unconditional generator.
            psi: truncation: 1 leaves the styles as they are, 0 gives the mean image.
            cutoff: how many styles, from the coarsest, are truncated; None: all.
            noise: "const" (the file's), "none", or a tensor (B, 1, H, W) for each noise input.
        """
        _check_noise(noise, self.noise_shapes)
        styles = self.mapping(z, labels, self.synthesis.num_ws, psi, cutoff)
        return self.synthesis(styles, noise)


def _check_noise(noise: Noise, shapes: list[tuple[int, int]]) -> None:
    """Refuses a word that is none of the kinds of noise, and a wrong number of tensors."""
    if isinstance(noise, str) and noise not in ("const", "none"):
        raise GendataError("unknown noise", found=noise, expected="const, none or tensors")
    if isinstance(noise, list) and len(noise) != len(shapes):
        raise GendataError("wrong number of noise inputs", found=len(noise), expected=len(shapes))


def build(record: Record) -> Generator:
    """Builds the generator of a record; its sizes are those of its tensors.

    Raises:
        GendataError: the record is none of a StyleGAN2 generator.
    """
    named_tensors(record)  # refuses tensors that are repeated without end
    mapping = mapping_of(module_of(record, "mapping"))
    synthesis = synthesis_of(module_of(record, "synthesis"), mapping.w_dim)
    generator = Generator(mapping, synthesis).eval().requires_grad_(False)
    return generator.to(memory_format=torch.channels_last)  # as convolutions run fastest


def synthesis_of(record: Record, w_dim: int) -> Synthesis:
    """Builds a recorded synthesis network."""
    names = sorted(
        (name for name in record.modules() if name[:1] == "b" and name[1:].isdecimal()),
        key=lambda name: int(name[1:]),
    )
    if not names or len(names) > math.log2(LARGEST_IMAGE):
        raise misfit(record, "its blocks", ", ".join(names)[:80] or "none", "b4, b8, …")
    records = [module_of(record, name) for name in names]
    start = tensor_of(records[0], "const", None, None, None).clone()
    width = start.shape[1]
    blocks: list[Block] = []
    shapes: list[tuple[int, int]] = []
    channels = _colours_of(records[-1])
    depth = len(start)
    for name, each in zip(names, records, strict=True):
        side = width * 2 ** len(blocks)
        if name != f"b{side}" or side > LARGEST_IMAGE or start.shape[1] != start.shape[2]:
            raise misfit(record, "its blocks", ", ".join(names)[:80], f"b{side} next")
        block = _block_of(each, depth, w_dim, side, channels, first=not blocks)
        shapes += [(side, side)] * block.noises
        depth = block.outputs
        blocks.append(block)
    if blocks[-1].colour is None:
        raise misfit(records[-1], "it makes no image")
    return Synthesis(start, blocks, shapes, side, channels)


def _colours_of(record: Record) -> int:
    return len(tensor_of(module_of(record, "torgb"), "bias", None))


def _block_of(
    record: Record, depth: int, w_dim: int, side: int, channels: int, first: bool
) -> Block:
    """Builds a recorded block of a side; its architecture is told by the modules it has."""
    modules = record.modules()
    branch = None if first else modules.get("skip")
    gain = 1.0 if branch is None else math.sqrt(0.5)  # the sum of two branches keeps its variance
    layers = []
    for name in ("conv1",) if first else ("conv0", "conv1"):
        doubles = name == "conv0"
        layer = _layer_of(
            module_of(record, name), depth, w_dim, side, 1.0 if doubles else gain, doubles
        )
        depth = layer.energy.shape[1]
        layers.append(layer)
    weight = taps = None
    if branch is not None:
        weight = tensor_of(branch, "weight", depth, layers[0].energy.shape[0], 1, 1)
        weight = weight * (gain / math.sqrt(weight.shape[1]))
        taps = _taps_of(branch)
    colour = _colour_of(modules["torgb"], depth, w_dim, channels) if "torgb" in modules else None
    return Block(layers, colour, weight, taps, None if first else _taps_of(record), channels)


def _layer_of(
    record: Record, depth: int, w_dim: int, side: int, gain: float, doubles: bool
) -> Layer:
    weight = tensor_of(record, "weight", None, depth, None, None)
    kernel = weight.shape[2]
    if kernel != weight.shape[3] or kernel % 2 == 0 or kernel > LARGEST_KERNEL:
        raise misfit(record, "its kernel", tuple(weight.shape[2:]), "odd and square")
    whole_of(record, "up", 1 + doubles, 1 + doubles, 1 + doubles)
    noise, strength = None, 0.0
    if record.get("noise_strength") is not None and record.get("use_noise") is not False:
        strength = number_of(record, "noise_strength") or 0.0
        noise = tensor_of(record, "noise_const", side, side) * strength
    return Layer(
        dense_of(module_of(record, "affine"), w_dim, depth),
        weight,
        tensor_of(record, "bias", len(weight)),
        activation_of(record),
        Smooth(_taps_of(record), len(weight), kernel) if doubles else None,
        noise,
        strength,
        gain,
        number_of(record, "conv_clamp"),
    )


def _colour_of(record: Record, depth: int, w_dim: int, channels: int) -> Colour:
    weight = tensor_of(record, "weight", channels, depth, 1, 1).flatten(1)
    gain = 1 / math.sqrt(depth)
    return Colour(
        dense_of(module_of(record, "affine"), w_dim, depth, gain),
        weight.clone(),
        tensor_of(record, "bias", channels).clone(),
        number_of(record, "conv_clamp"),
    )


def _taps_of(record: Record) -> Tensor:
    """Returns the filter of a module: (T,) where it is separable, else (Th, Tw)."""
    value = record.get("resample_filter")
    axes = value.ndim if isinstance(value, Tensor) else 0
    taps = tensor_of(record, "resample_filter", *[None] * max(axes, 1))
    if taps.ndim > 2 or max(taps.shape) > MOST_TAPS:
        raise misfit(record, "its filter", tuple(taps.shape), f"at most {MOST_TAPS} taps")
    return taps
