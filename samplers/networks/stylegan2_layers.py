"""The layers of StyleGAN2: modulated convolutions, colours, and the blocks they form.

Karras et al. 2020, "Analyzing and Improving the Image Quality of StyleGAN"
(https://arxiv.org/abs/1912.04958), section 2.2 and figure 7. Instead of a kernel for every image
we scale the inputs by the styles and the outputs by the demodulation, the same by linearity
(equations 1 to 3), so that a batch is one convolution.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from gendata.samplers.networks.modulation import EPSILON, Activation, Dense
from gendata.samplers.networks.resampling import Smooth, Upsample

__all__ = ["Block", "Colour", "Layer", "Noise"]

Noise = str | list[Tensor]
TINY = 1e-30  # keeps a layer of zeros from a division by zero


class Layer(nn.Module):
    """A modulated convolution, noise, bias, activation and clamp.

    Args:
        affine: from the style (B, w_dim) to the scales of the inputs (B, I).
        weight: (O, I, K, K).
        bias: (O,).
        activation: follows it.
        smooth: the filter after doubling; None where the resolution stays.
        noise: constant noise (H, W) times its strength, or None.
        strength: what fresh noise is multiplied by.
        gain: extra factor of the output.
        clamp: bound of the output before the extra factor, or None.
    """

    weight: Tensor
    energy: Tensor
    bias: Tensor
    noise: Tensor | None

    def __init__(
        self,
        affine: Dense,
        weight: Tensor,
        bias: Tensor,
        activation: Activation,
        smooth: Smooth | None,
        noise: Tensor | None,
        strength: float,
        gain: float,
        clamp: float | None,
    ) -> None:
        super().__init__()
        self.affine, self.activation, self.smooth = affine, activation, smooth
        total = activation.gain * gain
        # What comes before a homogeneous activation is as good a place for its gain as any.
        self.before = total if activation.is_homogeneous else 1.0
        self.after = 1.0 if activation.is_homogeneous else total
        self.clamp = None if clamp is None else clamp * gain
        # Sums of at most 1 times the largest input, so that half precision does not overflow; the
        # demodulation takes the factor out again.
        peak = weight.abs().amax().clamp_min(TINY) * math.sqrt(weight[0].numel())
        self.register_buffer("energy", weight.square().sum(dim=(2, 3)).T.contiguous())
        self.factor = float(peak) * self.before
        weight = weight / peak
        # A doubling layer is a transposed convolution, whose weight is (I, O, K, K).
        self.register_buffer("weight", (weight.transpose(0, 1) if smooth else weight).contiguous())
        self.register_buffer("bias", (bias * self.before)[None, :, None, None])
        self.register_buffer("noise", None if noise is None else noise * self.before)
        self.strength = strength * self.before

    def forward(self, values: Tensor, style: Tensor, noise: Noise) -> Tensor:
        """Maps (B, I, H, W) to (B, O, H, W), or twice that side."""
        scales, sizes = self._modulation(style)
        values = values * scales[:, :, None, None]
        if self.smooth is None:
            values = functional.conv2d(values, self.weight, padding=self.weight.shape[2] // 2)
        else:
            values = self.smooth(functional.conv_transpose2d(values, self.weight, stride=2))
        values = torch.addcmul(self.bias, values, sizes[:, :, None, None])
        if self.noise is not None and isinstance(noise, list):
            values = values.add_(noise.pop(0), alpha=self.strength)
        elif self.noise is not None and noise == "const":
            values = values.add_(self.noise)
        values = self.activation(values)
        values = values if self.after == 1.0 else values * self.after
        return values if self.clamp is None else values.clamp_(-self.clamp, self.clamp)

    def _modulation(self, style: Tensor) -> tuple[Tensor, Tensor]:
        """Returns factors of the inputs (B, I), at most 1, and of the outputs (B, O)."""
        with torch.autocast(style.device.type, enabled=False):  # squares outgrow half precision
            scales = self.affine(style)
            sizes = torch.rsqrt(scales.square() @ self.energy + EPSILON)
            largest = scales.abs().amax(dim=1, keepdim=True).clamp_min(TINY)
            return scales / largest, sizes * largest * self.factor


class Colour(nn.Module):
    """From features to colours: a modulated convolution by one pixel, without demodulation.

    Args:
        affine: from the style to the scales of the inputs (B, I), its gain included.
        weight: (C, I).
        bias: (C,).
        clamp: bound of the output, or None.
    """

    weight: Tensor
    bias: Tensor

    def __init__(self, affine: Dense, weight: Tensor, bias: Tensor, clamp: float | None) -> None:
        super().__init__()
        self.affine, self.clamp = affine, clamp
        self.register_buffer("weight", weight)
        self.register_buffer("bias", bias)

    def forward(self, values: Tensor, style: Tensor) -> Tensor:
        """Maps (B, I, H, W) to (B, C, H, W)."""
        batch, _, height, width = values.shape
        weight = self.weight * self.affine(style)[:, None]  # (B, C, I)
        pixels = torch.baddbmm(self.bias[:, None], weight, values.flatten(2))
        if self.clamp is not None:
            pixels = pixels.clamp_(-self.clamp, self.clamp)
        return pixels.view(batch, len(self.bias), height, width)


class Block(nn.Module):
    """The layers of one resolution.

    Args:
        layers: one where the constant stands, else two.
        colour: to colours, or None.
        branch: the residual branch's convolution by one pixel (O, I, 1, 1), or None.
        taps: the filter for image and branch.
        channels: number of colour channels.
    """

    branch: Tensor | None

    def __init__(
        self,
        layers: list[Layer],
        colour: Colour | None,
        branch: Tensor | None,
        branch_taps: Tensor | None,
        image_taps: Tensor | None,
        channels: int,
    ) -> None:
        super().__init__()
        self.layers, self.colour = nn.ModuleList(layers), colour
        self.count, self.outputs = len(layers), layers[-1].energy.shape[1]
        self.noises = sum(layer.noise is not None for layer in layers)
        self.register_buffer("branch", branch)
        self.double_branch = self.double_image = None
        if branch is not None and branch_taps is not None:
            self.double_branch = Upsample(branch_taps, len(branch))
        if image_taps is not None:
            self.double_image = Upsample(image_taps, channels)

    def forward(
        self, values: Tensor, image: Tensor | None, styles: list[Tensor], noise: Noise
    ) -> tuple[Tensor, Tensor | None]:
        """Returns features and, where there is one yet, the image; consumes no style."""
        inputs = values
        for layer, style in zip(self.layers, styles, strict=False):
            values = layer(values, style, noise)
        if self.branch is not None and self.double_branch is not None:
            values = values + self.double_branch(functional.conv2d(inputs, self.branch))
        if image is not None and self.double_image is not None:
            image = self.double_image(image)
        if self.colour is not None:
            pixels = self.colour(values, styles[self.count])
            image = pixels if image is None else image + pixels
        return values, image
