"""Denoisers D(x; sigma) around a network F: the EDM, VP, VE and iDDPM preconditioning.

Karras, Aittala, Aila, Laine 2022, "Elucidating the Design Space of Diffusion-Based Generative
Models", https://arxiv.org/abs/2206.00364, equation 7 and table 1:
D(x; sigma) = c_skip x + c_out F(c_in x; c_noise).
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.func import functional_call

from gendata.errors import GendataError
from gendata.samplers.networks.dhariwal_unet import DhariwalUnet
from gendata.samplers.networks.fields import (
    check_size,
    module_of,
    number_between,
    parameter_of,
    whole_of,
)
from gendata.samplers.networks.song_unet import SongUnet
from gendata.samplers.networks.unet_blocks import ResidualBlock
from gendata.samplers.records import Record, brief

__all__ = [
    "Coefficients",
    "Denoiser",
    "EdmScaling",
    "IddpmScaling",
    "VeScaling",
    "VpScaling",
    "build",
]

LARGEST_SIDE = 2048
NETWORKS = {"SongUNet": SongUnet, "DhariwalUNet": DhariwalUnet}


class Coefficients(NamedTuple):
    """What table 1 calls c_skip, c_out, c_in and c_noise, for each sigma."""

    skip: Tensor
    out: Tensor
    into: Tensor
    noise: Tensor


class EdmScaling(nn.Module):
    """The authors' own: unit variance at the network's input and of its target.

    Args:
        sigma_data: standard deviation of the training images.
    """

    def __init__(self, sigma_data: float) -> None:
        super().__init__()
        self.sigma_data = sigma_data

    def forward(self, sigma: Tensor) -> Coefficients:
        """Returns the coefficients for sigma, float32 of any shape."""
        total = sigma**2 + self.sigma_data**2
        return Coefficients(
            skip=self.sigma_data**2 / total,
            out=sigma * self.sigma_data / total.sqrt(),
            into=1 / total.sqrt(),
            noise=sigma.log() / 4,
        )

    def round_sigma(self, sigma: Tensor) -> Tensor:
        """Returns the nearest noise levels that the network knows: these."""
        return sigma


class VpScaling(nn.Module):
    """Variance preserving, of Song et al. 2021 and DDPM.

    Args:
        beta_d: how fast the noise grows.
        beta_min: how fast it grows at first.
        steps: number of steps of the network's time.
    """

    def __init__(self, beta_d: float, beta_min: float, steps: int) -> None:
        super().__init__()
        self.beta_d, self.beta_min, self.steps = beta_d, beta_min, steps

    def forward(self, sigma: Tensor) -> Coefficients:
        """Returns the coefficients for sigma, float32 of any shape."""
        root = (self.beta_min**2 + 2 * self.beta_d * (1 + sigma**2).log()).sqrt()
        return Coefficients(
            skip=torch.ones_like(sigma),
            out=-sigma,
            into=1 / (sigma**2 + 1).sqrt(),
            noise=(self.steps - 1) * ((root - self.beta_min) / self.beta_d),
        )

    def round_sigma(self, sigma: Tensor) -> Tensor:
        """Returns the nearest noise levels that the network knows: these."""
        return sigma


class VeScaling(nn.Module):
    """Variance exploding, of Song et al. 2021."""

    def forward(self, sigma: Tensor) -> Coefficients:
        """Returns the coefficients for sigma, float32 of any shape."""
        one = torch.ones_like(sigma)
        return Coefficients(skip=one, out=sigma, into=one, noise=(0.5 * sigma).log())

    def round_sigma(self, sigma: Tensor) -> Tensor:
        """Returns the nearest noise levels that the network knows: these."""
        return sigma


class IddpmScaling(nn.Module):
    """Improved DDPM, of Nichol and Dhariwal 2021, which knows discrete noise levels alone.

    Args:
        levels: (M + 1,) float32, the noise levels u_j, falling to 0 at the last.
    """

    levels: Tensor

    def __init__(self, levels: Tensor) -> None:
        super().__init__()
        self.register_buffer("levels", levels)

    def forward(self, sigma: Tensor) -> Coefficients:
        """Returns the coefficients for sigma, float32 of any shape."""
        return Coefficients(
            skip=torch.ones_like(sigma),
            out=-sigma,
            into=1 / (sigma**2 + 1).sqrt(),
            noise=len(self.levels) - 2 - self._nearest(sigma).float(),
        )

    def round_sigma(self, sigma: Tensor) -> Tensor:
        """Returns the nearest noise levels that the network knows."""
        return self.levels.to(sigma.device)[self._nearest(sigma)].to(sigma.dtype)

    def _nearest(self, sigma: Tensor) -> Tensor:
        levels = self.levels.to(sigma.device)
        return (sigma.float()[..., None] - levels).abs().argmin(dim=-1)


class Denoiser(nn.Module):
    """D(x; sigma): the expected image, given a noisy one and its noise level.

    Attributes:
        side: height and width of the images.
        channels: colours of the images.
        classes: number of classes; 0: unconditional.
        least_sigma: lowest noise level that the network knows.
        most_sigma: highest.
        kind: class of the preconditioning and of the network.
    """

    def __init__(self, record: Record) -> None:
        super().__init__()
        self.scaling = _scaling(record)
        self.side = whole_of(record, "img_resolution", 1, LARGEST_SIDE)
        self.channels = whole_of(record, "img_channels", 1, 64)
        self.classes = whole_of(record, "label_dim", 0, 2**31)
        self.least_sigma = number_between(record, "sigma_min", 0, float("inf"))
        self.most_sigma = number_between(record, "sigma_max", 0, float("inf"))
        inner = module_of(record, "model")
        if inner.name not in NETWORKS:
            raise GendataError(
                "the checkpoint holds an unknown network",
                found=brief(inner.name),
                expected=" or ".join(NETWORKS),
            )
        self.kind = (record.name, inner.name)
        self.model = NETWORKS[inner.name](inner)
        self.dtype = torch.float32

    def cast(self, dtype: torch.dtype) -> Denoiser:
        """Makes the network compute in another precision; noise and label stay in float32."""
        self.dtype = dtype
        for name, part in self.model.named_children():
            if not name.startswith("map_"):
                part.to(dtype)
        for part in self.model.modules():
            if isinstance(part, ResidualBlock):
                part.affine.float()
        return self

    def forward(self, x: Tensor, sigma: Tensor, labels: Tensor | None) -> Tensor:
        """Denoises x (B, C, H, W) at sigma (B,) for labels (B,), in float32."""
        x, sigma = x.float(), sigma.float()[:, None, None, None]
        skip, out, into, noise = self.scaling(sigma)
        raw = self.model((into * x).to(self.dtype), noise.flatten(), labels).float()
        # iDDPM's network also predicts a variance, which the sampler has no use for.
        return skip * x + out * raw[:, : self.channels]

    def round_sigma(self, sigma: Tensor) -> Tensor:
        """Returns the nearest noise levels that the network knows."""
        return self.scaling.round_sigma(sigma)


def build(record: Record, most_bytes: int) -> Denoiser:
    """Builds a published denoiser in float32, ready to draw.

    Args:
        record: the recorded EDMPrecond, VPPrecond, VEPrecond or iDDPMPrecond.
        most_bytes: size of its file, which its tensors cannot exceed.

    Raises:
        GendataError: the record is no such network, or its parts do not fit together.
    """
    check_size(record, most_bytes)
    denoiser = Denoiser(record)
    table = denoiser.model.map_label
    classes = 0 if table is None else len(table.rows)
    if classes != denoiser.classes:
        raise GendataError(
            "the checkpoint's classes do not fit",
            found=f"{classes} in its table",
            expected=denoiser.classes,
        )
    _check_shapes(denoiser)
    denoiser.requires_grad_(False).eval()
    for place in (*denoiser.parameters(), *denoiser.buffers()):
        place.data = place.data.to(torch.float32, copy=True)  # off the file's read-only bytes
    return denoiser


def _check_shapes(denoiser: Denoiser) -> None:
    """Runs the network on shapes alone, without memory or time, so that misfits show now."""
    model = denoiser.model
    shells = {
        name: torch.empty(value.shape, device="meta")
        for name, value in (*model.named_parameters(), *model.named_buffers())
    }
    shape = (2, denoiser.channels, denoiser.side, denoiser.side)
    labels = torch.zeros(2, dtype=torch.int64, device="meta") if denoiser.classes else None
    inputs = (torch.empty(shape, device="meta"), torch.empty(2, device="meta"), labels)
    try:
        found = tuple(functional_call(model, shells, inputs).shape)
    except (RuntimeError, IndexError, TypeError, ValueError) as error:
        raise GendataError(
            "the checkpoint's layers do not fit together",
            found=str(error).strip().split("\n")[0][:200],
        ) from error
    wanted = denoiser.channels * (2 if isinstance(denoiser.scaling, IddpmScaling) else 1)
    if found != (2, wanted, denoiser.side, denoiser.side):
        raise GendataError(
            "the checkpoint's network returns other images than it takes",
            found=found[1:],
            expected=(wanted, denoiser.side, denoiser.side),
        )


def _scaling(record: Record) -> EdmScaling | VpScaling | VeScaling | IddpmScaling:
    if record.name == "EDMPrecond":
        return EdmScaling(number_between(record, "sigma_data", 1e-6, 1e6))
    if record.name == "VPPrecond":
        return VpScaling(
            number_between(record, "beta_d", 1e-6, 1e6),
            number_between(record, "beta_min", 0, 1e6),
            whole_of(record, "M", 2, 10**9),
        )
    if record.name == "VEPrecond":
        return VeScaling()
    if record.name == "iDDPMPrecond":
        levels = parameter_of(record, "u", 1).detach().float()
        if len(levels) != whole_of(record, "M", 2, 10**9) + 1:
            raise GendataError("the checkpoint's noise levels do not fit", found=len(levels))
        return IddpmScaling(levels)
    raise GendataError(
        "the checkpoint holds no EDM network",
        found=brief(record.name) or "nothing",
        expected="EDMPrecond, VPPrecond, VEPrecond or iDDPMPrecond",
    )
