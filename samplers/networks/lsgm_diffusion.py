"""The diffusions of LSGM in latent space, and the velocity of their probability-flow ODE.

Vahdat, Kreis and Kautz, "Score-based Generative Modeling in Latent Space" (2021),
https://arxiv.org/abs/2106.05931, Appendix B: dz = f(t) z dt + g(t) dw for t from 0 (latents) to 1
(noise). The authors compute the coefficients in float32; here they are float64, with the
differences from 1 kept exact, which matters near t = 0.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from gendata.errors import GendataError
from gendata.samplers.networks.lsgm_ode import LANES
from gendata.samplers.networks.lsgm_parts import Arguments

__all__ = ["Diffusion", "build_diffusion"]

KINDS = ("vpsde", "geometric_sde", "sub_vpsde", "vesde")


@dataclass(frozen=True)
class Diffusion:
    """One of the four: coefficients at times (B,), each (B,).

    Attributes:
        kind: "vpsde", "sub_vpsde" (linear beta), "geometric_sde" or "vesde" (geometric variance).
        start_variance: sigma_0^2, the variance at t = 0.
        low: beta at t = 0, or sigma_min^2.
        high: beta at t = 1, or sigma_max^2.
    """

    kind: str
    start_variance: float
    low: float
    high: float

    @property
    def prior_deviation(self) -> float:
        """Standard deviation of the noise that sampling starts from."""
        return math.sqrt(self.high) if self.kind == "vesde" else 1.0

    def drift(self, t: Tensor) -> Tensor:
        """f(t)."""
        if self.kind == "vesde":
            return torch.zeros_like(t)
        return -0.5 * (self.diffusion(t) if self.kind == "geometric_sde" else self._beta(t))

    def diffusion(self, t: Tensor) -> Tensor:
        """g(t)^2."""
        if self.kind == "vpsde":
            return self._beta(t)
        if self.kind == "sub_vpsde":
            return self._beta(t) * -torch.expm1(-2 * self._integral(t))
        growth = self._geometric(t) * math.log(self.high / self.low)
        if self.kind == "vesde":
            return growth
        return growth / (1 - self.start_variance + self.low - self._geometric(t))

    def variance(self, t: Tensor) -> Tensor:
        """sigma_t^2."""
        start = self.start_variance
        if self.kind == "vpsde":
            return start - (1 - start) * torch.expm1(-self._integral(t))
        if self.kind == "sub_vpsde":
            integral = self._integral(t)
            return torch.expm1(-integral).square() + start * torch.exp(-integral)
        return self.low * torch.expm1(t * math.log(self.high / self.low)) + start

    def normal_prediction(self, states: Tensor, t: Tensor) -> Tensor:
        """The noise in states (B, …) if latents were standard normal: what the network corrects.

        Section 3.2, "mixing normal and neural score functions".
        """
        return _per_image(self._normal, t, states) * states

    def _normal(self, t: Tensor) -> Tensor:
        deviation = self.variance(t).sqrt()
        if self.kind == "sub_vpsde":
            integral = self._integral(t)
            return deviation / (torch.expm1(-integral).square() + torch.exp(-integral))
        if self.kind == "vesde":
            return deviation / (self._geometric(t) - self.low + 1)
        return deviation

    def velocity(self, states: Tensor, noise: Tensor, t: Tensor) -> Tensor:
        """dx/dt of the probability flow, for the noise predicted in states (B, …)."""
        drift = _per_image(self.drift, t, states)
        return drift * states + _per_image(self._noise, t, states) * noise

    def _noise(self, t: Tensor) -> Tensor:
        return 0.5 * self.diffusion(t) / self.variance(t).sqrt()

    def _beta(self, t: Tensor) -> Tensor:
        return self.low + (self.high - self.low) * t

    def _integral(self, t: Tensor) -> Tensor:
        """Integral of beta from 0 to t."""
        return self.low * t + 0.5 * (self.high - self.low) * t * t

    def _geometric(self, t: Tensor) -> Tensor:
        return self.low * torch.exp(t * math.log(self.high / self.low))


def _per_image(coefficient: Callable[[Tensor], Tensor], t: Tensor, states: Tensor) -> Tensor:
    """Computes a coefficient at times (B,) to the same bits wherever a time stands: (B, 1, …)."""
    values = coefficient(t[:, None].expand(-1, LANES).contiguous())[:, 0]
    return values.view(-1, *[1] * (states.ndim - 1))


def build_diffusion(arguments: Arguments) -> Diffusion:
    """Reads the diffusion from a checkpoint's arguments."""
    kind = arguments.choice("sde_type", KINDS)
    names = ("sigma2_min", "sigma2_max")
    if kind in ("vpsde", "sub_vpsde"):
        names = ("beta_start", "beta_end")
    low, high = (arguments.number(name) for name in names)
    start = arguments.number("sigma2_0")
    if not (0 <= low < high < 1e6 and 0 <= start < 1) or (low == 0 and "beta_end" not in names):
        raise GendataError(
            f"the arguments of {arguments.path} describe no diffusion",
            found=f"sigma2_0 {start}, {names[0]} {low}, {names[1]} {high}",
            expected=f"sigma2_0 from 0 to 1, {names[0]} below {names[1]}",
        )
    diffusion = Diffusion(kind, start, low, high)
    if kind == "geometric_sde" and 1 - start + low - high <= 0:
        raise GendataError(
            f"the arguments of {arguments.path} describe no diffusion",
            found=f"sigma2_max {high}",
            expected="below 1",
        )
    return diffusion
