"""FastGAN's generator as Projected GAN trains it: full and lite, class-conditional or not.

Liu, Zhu, Song and Elgammal, 2021, Towards Faster and Stabilized GAN Training (arXiv 2101.04775);
the class-conditional one and the lite blocks are Projected GAN's: Sauer, Chitta, Müller and
Geiger, 2021, Projected GANs Converge Faster (arXiv 2111.01007).

The files name no width and no variant, so both are read off the tensors, block by block (the
first release mixed full and lite blocks). Three things differ from the published code, none of
which changes an image beyond rounding:

- weights are divided by their spectral norm, and evaluation-mode batch normalisation is folded
  into them, once, when they are loaded;
- a nearest-neighbour upsampling and the 3x3 convolution behind it are one transposed convolution
  (4/9 of the multiplications);
- blocks above the resolution of the image, which the files hold untrained, are left out.

The published code draws new noise at every call, and ignores the noise mode. Here noise comes in
as tensors, and "const" and "none" both leave it out, since there is no noise in these files.
Truncation does not exist for FastGAN: psi and cutoff are ignored, as published.

The published code fails for images below 128 pixels, which have no path in it. Files made by
patched versions follow the same rule here: the last block is the one at the image's resolution.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gendata.errors import GendataError
from gendata.samplers.networks.fields import misfit, module_of, tensor_of, whole_of
from gendata.samplers.restricted_pickle import Record

__all__ = ["FastGan"]

RESOLUTIONS = (8, 16, 32, 64, 128, 256, 512, 1024)
EXCITED_BY = {64: 4, 128: 8, 256: 16, 512: 32}  # skip-layer excitation: from which resolution
EPSILON = 1e-5  # of batch normalisation
LATENT_EPSILON = 1e-8
# A kernel behind a nearest-neighbour upsampling by two, as a kernel of a transposed convolution:
# the columns are the three taps, the rows the four places where one input pixel lands.
UPSAMPLED_TAPS = ((0.0, 0.0, 1.0), (0.0, 1.0, 1.0), (1.0, 1.0, 0.0), (1.0, 0.0, 0.0))


def kernel_of(record: Record, *shape: int | None, output: int = 0) -> Tensor:
    """Returns the weight of a layer as float64, divided by its spectral norm where it has one.

    Miyato et al. 2018 (arXiv 1802.05957): sigma = uᵀ W v with the stored vectors, where W has a
    row for each output, the dimension `output` of the weight.
    """
    if record.get("weight_orig") is None:
        return tensor_of(record, "weight", *shape).double()
    weight = tensor_of(record, "weight_orig", *shape).double()
    matrix = weight.movedim(output, 0).flatten(1)
    left = tensor_of(record, "weight_u", matrix.shape[0]).double()
    right = tensor_of(record, "weight_v", matrix.shape[1]).double()
    sigma = (left @ matrix @ right).item()
    if not math.isfinite(sigma) or sigma == 0:
        raise misfit(record, "its spectral norm", sigma, "a number other than 0")
    return weight / sigma


def normalisation_of(record: Record, channels: int, conditional: bool) -> tuple[Tensor, Tensor]:
    """Returns batch normalisation in evaluation mode as a factor and a summand (channels,).

    A conditional one gains and shifts by class afterwards.
    """
    prefix = "stored" if conditional else "running"
    mean = tensor_of(record, f"{prefix}_mean", channels).double()
    factor = (tensor_of(record, f"{prefix}_var", channels).double() + EPSILON).rsqrt()
    if conditional:
        return factor, -mean * factor
    factor = factor * tensor_of(record, "weight", channels)
    return factor, tensor_of(record, "bias", channels) - mean * factor


class Affine(nn.Module):
    """Maps (B, inputs) to (B, outputs)."""

    weight: Tensor
    bias: Tensor

    def __init__(self, record: Record, inputs: int, outputs: int, summand: float) -> None:
        super().__init__()
        self.register_buffer("weight", kernel_of(record, outputs, inputs).float())
        self.register_buffer("bias", tensor_of(record, "bias", outputs) + summand)

    def forward(self, features: Tensor) -> Tensor:
        """Returns the linear map as a factor or summand of feature maps, (B, outputs, 1, 1)."""
        return F.linear(features, self.weight, self.bias)[:, :, None, None]


class Layer(nn.Module):
    """A 3x3 convolution, noise, (class-conditional) batch normalisation, a gated linear unit.

    Args:
        convolution: its record.
        normalisation: its record.
        noise: the record of the noise's strength, where there is noise.
        inputs: number of channels that come in.
        z_dim: size of the embedded labels; 0 if unconditional.
        upsamples: whether the sides are doubled first.
    """

    weight: Tensor
    bias: Tensor
    strength: Tensor

    def __init__(
        self,
        convolution: Record,
        normalisation: Record,
        noise: Record | None,
        inputs: int,
        z_dim: int,
        upsamples: bool,
    ) -> None:
        super().__init__()
        kernel = kernel_of(convolution, None, inputs, 3, 3)
        outputs = halved(convolution, len(kernel))
        factor, shift = normalisation_of(normalisation, 2 * outputs, conditional=z_dim > 0)
        kernel = kernel * factor[:, None, None, None]
        if upsamples:
            taps = torch.tensor(UPSAMPLED_TAPS, dtype=kernel.dtype)
            kernel = torch.einsum("ti,sj,ocij->cots", taps, taps, kernel)
        self.outputs, self.upsamples = outputs, upsamples
        strength = torch.zeros(1) if noise is None else tensor_of(noise, "weight", 1)
        # Noise of strength zero, as training starts with, need not be drawn.
        self.noisy = bool(strength != 0)
        self.register_buffer("weight", kernel.float())
        self.register_buffer("bias", shift.float())
        self.register_buffer("strength", (strength * factor).float()[:, None, None])
        if z_dim:
            self.gain = Affine(module_of(normalisation, "gain"), z_dim, 2 * outputs, 1)
            self.shift = Affine(module_of(normalisation, "bias"), z_dim, 2 * outputs, 0)
        self.conditional = z_dim > 0

    def forward(self, maps: Tensor, embedded: Tensor | None, noises: Iterator[Tensor]) -> Tensor:
        """Maps (B, inputs, H, H) to (B, outputs, H or 2H, H or 2H); takes its noise if any."""
        if self.upsamples:
            maps = F.conv_transpose2d(maps, self.weight, self.bias, stride=2, padding=1)
        else:
            maps = F.conv2d(maps, self.weight, self.bias, padding=1)
        if self.noisy and (noise := next(noises, None)) is not None:
            maps = torch.addcmul(maps, self.strength, noise)
        if self.conditional:
            maps = torch.addcmul(self.shift(embedded), maps, self.gain(embedded))
        return F.glu(maps, dim=1)


class UpBlock(nn.Module):
    """Doubles the sides: two layers, or one in a lite block.

    Args:
        record: its record.
        inputs: number of channels that come in.
        z_dim: size of the embedded labels; 0 if unconditional.
    """

    def __init__(self, record: Record, inputs: int, z_dim: int) -> None:
        super().__init__()
        self.layers, self.noises = nn.ModuleList(), 0
        for convolution, normalisation, noise in self._names(record, z_dim > 0):
            layer = Layer(
                module_of(record, convolution),
                module_of(record, normalisation),
                None if noise is None else module_of(record, noise),
                inputs,
                z_dim,
                upsamples=not self.layers,
            )
            self.layers.append(layer)
            inputs, self.noises = layer.outputs, self.noises + layer.noisy
        self.outputs = inputs

    @staticmethod
    def _names(record: Record, conditional: bool) -> list[tuple[str, str, str | None]]:
        """Names convolution, normalisation and noise of each layer."""
        if conditional:
            if "conv1" in record.modules():  # both layers share the strength of the noise
                return [("conv1", "bn1", "noise"), ("conv2", "bn2", "noise")]
            return [("conv", "bn", None)]
        if "5" in record.modules():
            return [("1", "3", "2"), ("5", "7", "6")]
        return [("1", "2", None)]

    def forward(self, maps: Tensor, embedded: Tensor | None, noises: Iterator[Tensor]) -> Tensor:
        """Maps (B, inputs, H, H) to (B, outputs, 2H, 2H)."""
        for layer in self.layers:
            maps = layer(maps, embedded, noises)
        return maps


class Excitation(nn.Module):
    """Skip-layer excitation: weighs channels by what coarse maps show (FastGAN, section 3.1)."""

    first: Tensor
    second: Tensor

    def __init__(self, record: Record, inputs: int, outputs: int) -> None:
        super().__init__()
        main = module_of(record, "main")
        first = kernel_of(module_of(main, "1"), outputs, inputs, 4, 4)
        second = kernel_of(module_of(main, "3"), outputs, outputs, 1, 1)
        self.register_buffer("first", first.flatten(1).float())
        self.register_buffer("second", second.flatten(1).float())

    def forward(self, coarse: Tensor) -> Tensor:
        """Maps (B, inputs, H, H) to factors in (0, 1), (B, outputs, 1, 1)."""
        pooled = F.adaptive_avg_pool2d(coarse, 4).flatten(1)
        hidden = F.silu(F.linear(pooled, self.first))
        return F.linear(hidden, self.second).sigmoid()[:, :, None, None]


class FastGan(nn.Module):
    """FastGAN's generator as Projected GAN trains it.

    Args:
        generator: its record.

    Raises:
        GendataError: the record is none of a FastGAN.
    """

    family = "projected-gan"
    to_bytes = "x*127.5+128"
    truncates = False
    start: Tensor
    start_bias: Tensor
    embedding: Tensor
    last: Tensor
    last_bias: Tensor

    def __init__(self, generator: Record) -> None:
        super().__init__()
        record = module_of(generator, "synthesis")
        self.img_resolution = whole_of(record, "img_resolution", 8, RESOLUTIONS[-1])
        if self.img_resolution not in RESOLUTIONS:
            raise misfit(record, "its resolution", self.img_resolution, "a power of two")
        self._add_start(module_of(module_of(record, "init"), "init"))
        self._add_embedding(generator, record)
        channels = self._add_blocks(record)
        last = module_of(record, "to_big")
        self.register_buffer("last", kernel_of(last, None, channels, 3, 3).float())
        self.img_channels = len(self.last)
        self.register_buffer("last_bias", tensor_of(last, "bias", self.img_channels).clone())

    def _add_start(self, record: Record) -> None:
        """Reads the first layer: a transposed convolution of a single pixel is a matrix."""
        convolution = module_of(record, "0")
        kernel = kernel_of(convolution, None, None, 4, 4, output=1)
        self.z_dim, self.start_channels = len(kernel), halved(convolution, kernel.shape[1])
        factor, shift = normalisation_of(module_of(record, "1"), kernel.shape[1], False)
        kernel = kernel * factor[:, None, None]
        self.register_buffer("start", kernel.flatten(1).float())
        self.register_buffer("start_bias", shift.repeat_interleave(16).float())

    def _add_embedding(self, generator: Record, record: Record) -> None:
        """Reads the labels' embedding: a table of 1000 rows, of which the first are in use.

        A generator without one is unconditional, whatever number of classes the file names.
        """
        self.c_dim = 0
        if "embed" in record.modules():
            table = tensor_of(module_of(record, "embed"), "weight", None, self.z_dim)
            self.c_dim = whole_of(generator, "c_dim", 1, len(table))
            self.register_buffer("embedding", table[: self.c_dim].clone())

    def _add_blocks(self, record: Record) -> int:
        """Reads the blocks up to the resolution; returns the last one's number of channels."""
        self.blocks, self.excitations = nn.ModuleDict(), nn.ModuleDict()
        self.noise_shapes: list[tuple[int, int]] = []
        channels = {4: self.start_channels}
        for side in RESOLUTIONS[: RESOLUTIONS.index(self.img_resolution) + 1]:
            embedded = self.z_dim if self.c_dim else 0
            block = UpBlock(module_of(record, f"feat_{side}"), channels[side // 2], embedded)
            self.blocks[str(side)], channels[side] = block, block.outputs
            self.noise_shapes += [(side, side)] * block.noises
            if side in EXCITED_BY:
                excitation = module_of(record, f"se_{side}")
                coarse = channels[EXCITED_BY[side]]
                self.excitations[str(side)] = Excitation(excitation, coarse, block.outputs)
        return block.outputs

    def forward(
        self,
        z: Tensor,
        labels: Tensor | None,
        *,
        psi: float = 1.0,
        cutoff: int | None = None,
        noise: str | Sequence[Tensor] = "const",
    ) -> Tensor:
        """Draws images (B, C, H, H), float32 around [-1, 1].

        Args:
            z: standard normal (B, z_dim).
            labels: (B,) int64; unused by an unconditional generator.
            psi: ignored, as published.
            cutoff: ignored, as published.
            noise: standard normal (B, 1, H, H) for each of `noise_shapes`; "const" or "none": no
                noise.
        """
        noises = iter(self._check_noise(noise))
        if self.c_dim and labels is None:
            raise GendataError("a class-conditional generator needs labels")
        embedded = self.embedding[labels] if self.c_dim else None
        z = z * (z.square().mean(dim=1, keepdim=True) + LATENT_EPSILON).rsqrt()
        maps = F.linear(z, self.start.T, self.start_bias).unflatten(1, (-1, 4, 4))
        maps = F.glu(maps.contiguous(memory_format=torch.channels_last), dim=1)
        coarse = {4: maps}
        for name, block in self.blocks.items():
            maps, side = block(maps, embedded, noises), int(name)
            if side in EXCITED_BY:
                maps = maps * self.excitations[name](coarse.pop(EXCITED_BY[side]))
            if side in EXCITED_BY.values():
                coarse[side] = maps
        return F.conv2d(maps, self.last, self.last_bias, padding=1).contiguous()

    def _check_noise(self, noise: str | Sequence[Tensor]) -> Sequence[Tensor]:
        if noise in ("const", "none"):
            return ()
        if isinstance(noise, str) or len(noise) != len(self.noise_shapes):
            raise GendataError(
                "the noise does not fit the generator",
                found=repr(noise) if isinstance(noise, str) else f"{len(noise)} tensors",
                expected=f"const, none or {len(self.noise_shapes)} tensors",
            )
        return noise


def halved(record: Record, channels: int) -> int:
    """Halves a number of channels, as a gated linear unit does."""
    if channels % 2:
        raise misfit(record, "an odd number of channels before a gate", channels)
    return channels // 2
