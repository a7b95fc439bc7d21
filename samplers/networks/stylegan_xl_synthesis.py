"""The alias-free synthesis network of StyleGAN-XL, as lists of recorded layers describe it.

Karras et al. 2021, "Alias-Free Generative Adversarial Networks"
(https://arxiv.org/abs/2106.12423): Fourier features (section 3.2 and appendix F), modulated
convolutions, and a leaky ReLU between a low-pass filter that raises the sampling rate and one
that lowers it again (figure 4b, appendix C). Sauer et al. 2022, "StyleGAN-XL"
(https://arxiv.org/abs/2202.00273) cut the last layers off and append others for a larger image,
so nothing here follows from the resolution: sizes, rates and filters are those of each layer.

Where we compute the same in another way:
- a batch is one convolution: inputs are scaled by the style, outputs by the demodulation;
- a filter along one axis is a narrow band matrix, applied in blocks of rows by matrix products;
  a radial filter, which is not separable, is a sum of few separable ones (its eigenvectors);
- constant gains (of the filters, of the activation, of the tracked magnitude) are multiplied
  into the weights and filters once;
- activations lie as (B, H, W, C), which suits all of these.
Layers that a file runs in half precision run in float32 here.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from gendata.samplers.networks.modulation import Dense

__all__ = [
    "FourierFeatures",
    "Layer",
    "Resample",
    "band_blocks",
    "filtered_leaky_relu",
    "modulated_convolution",
    "separable_terms",
]

EPSILON = 1e-8
BLOCK_ROWS = 16  # on a CPU, narrow blocks save work
MOST_ROWS = 128  # on an accelerator, wide ones save launches
NEGLIGIBLE = 1e-7  # of a filter's largest eigenvalue: below the rounding of float32
Block = tuple[int, int, Tensor]


def separable_terms(taps: Tensor) -> tuple[Tensor, Tensor]:
    """Splits a filter into separable ones: taps[i, j] = sum over t of rows[t, i] columns[t, j].

    Args:
        taps: a separable filter (K,), or any (K, K).

    Returns:
        Rows and columns, both (T, K).
    """
    if taps.ndim == 1:
        return taps[None], taps[None]
    left, values, right = torch.linalg.svd(taps.double())
    kept = values > NEGLIGIBLE * values[0]
    kept[0] = True
    roots = values[kept].sqrt()[:, None]
    return (left.T[kept] * roots).float(), (right[kept] * roots).float()


def band_blocks(
    taps: Tensor, up: int, down: int, before: int, size: int, out_size: int, count: int
) -> list[Block]:
    """Writes "insert zeros, pad, convolve, keep every n-th" as blocks of a matrix.

    Args:
        taps: filters (T, K), convolution kernels.
        up: samples in the place of one, all but the first zeros.
        down: one of so many samples is kept.
        before: zeros in front of the upsampled signal; negative: so many samples are cut off.
        size: length of the input.
        out_size: length of the output.
        count: rows of a block.

    Returns:
        (first, end, matrix (T, R, end - first)) for R outputs after R outputs: what inputs
        first…end contribute.
    """
    turned = taps.cpu().flip(1)
    last = turned.shape[1] - 1
    blocks = []
    for start in range(0, out_size, count):
        rows = torch.arange(start, min(start + count, out_size))
        first = -((before - start * down) // up)  # rounded up
        end = (int(rows[-1]) * down + last - before) // up + 1
        first = min(max(first, 0), size - 1)
        end = min(max(end, first + 1), size)
        tap = torch.arange(first, end) * up + before - rows[:, None] * down  # (R, end - first)
        inside = (tap >= 0) & (tap <= last)
        matrix = torch.where(inside, turned[:, tap.clamp(0, last)], 0.0)
        blocks.append((first, end, matrix))
    return blocks


class Resample(nn.Module):
    """Resamples images (B, H, W, C) along both axes by one filter.

    Args:
        taps: filter, (K,) or (K, K).
        up: factor of upsampling.
        down: factor of downsampling.
        before: zeros in front of the upsampled rows and columns.
        size: side of the input.
        out_size: side of the output.
        gain: factor of the output.
    """

    rows: Tensor
    columns: Tensor

    def __init__(
        self, taps: Tensor, up: int, down: int, before: int, size: int, out_size: int, gain: float
    ) -> None:
        super().__init__()
        rows, columns = separable_terms(taps)
        self.register_buffer("rows", rows * gain)  # along one axis alone: a factor of the image
        self.register_buffer("columns", columns)
        self.terms, self.out_size = len(rows), out_size
        self.geometry = (up, down, before, size, out_size)
        self.prepared: dict[tuple[torch.device, torch.dtype], tuple[list[Block], ...]] = {}

    def forward(self, images: Tensor) -> Tensor:
        """Maps (B, H, W, C) to (B, H', W', C)."""
        batch, height, width, channels = images.shape
        lines = images.reshape(batch * height, width, channels)
        across, along = self._blocks(images)
        if len(across) == len(along) == 1:
            return self._columns(lines, across[0], along, batch)[0]
        out = images.new_empty(batch, self.out_size, self.out_size, channels)
        right = 0
        for block in across:
            left, top = right, 0
            for part in self._columns(lines, block, along, batch):
                right = left + part.shape[2]
                out[:, top : top + part.shape[1], left:right] = part
                top += part.shape[1]
        return out

    def _columns(
        self, lines: Tensor, block: Block, along: list[Block], batch: int
    ) -> list[Tensor]:
        """Resamples lines (B H, W, C) to some columns of the image, in parts (B, H', W', C)."""
        channels = lines.shape[2]
        columns = _product(block, lines)  # (B H, T W', C)
        width = columns.shape[1] // self.terms
        columns = columns.view(batch, -1, width * channels)  # (B, H T, W' C)
        parts = [_product(each, columns) for each in along]
        return [part.view(batch, -1, width, channels) for part in parts]

    def _blocks(self, images: Tensor) -> tuple[list[Block], ...]:
        """Matrices across and along images, made when a device first needs them."""
        key = (images.device, images.dtype)
        if key not in self.prepared:
            count = BLOCK_ROWS if images.device.type == "cpu" else MOST_ROWS
            # Outside of inference mode, so that later calls may track gradients.
            with torch.inference_mode(False):
                across = [
                    (first, end, matrix.flatten(0, 1).to(*key))
                    for first, end, matrix in band_blocks(self.columns, *self.geometry, count)
                ]
                # Columns: for every row of the image, the results of all the terms.
                along = [
                    (
                        first * self.terms,
                        end * self.terms,
                        matrix.permute(1, 2, 0).flatten(1).to(*key),
                    )
                    for first, end, matrix in band_blocks(self.rows, *self.geometry, count)
                ]
            self.prepared[key] = (across, along)
        return self.prepared[key]


def _product(block: Block, lines: Tensor) -> Tensor:
    first, end, matrix = block
    return torch.bmm(matrix.expand(len(lines), -1, -1), lines[:, first:end])


def filtered_leaky_relu(
    values: Tensor,
    up: nn.Module | None,
    down: nn.Module | None,
    slope: float,
    clamp: float | None,
) -> Tensor:
    """Applies a leaky ReLU at a higher sampling rate; overwrites `values` where there is none.

    Args:
        values: (B, H, W, C), the bias added; the activation's gain belongs into `up`.
        up: raises the rate, or None.
        down: lowers it, or None.
        slope: of the negative side.
        clamp: bound of the result of the activation, or None.
    """
    values = values if up is None else up(values)
    values = values if slope == 1 else functional.leaky_relu_(values, slope)
    values = values if clamp is None else values.clamp_(-clamp, clamp)
    return values if down is None else down(values)


def modulated_convolution(
    values: Tensor, weight: Tensor, scales: Tensor, energy: Tensor | None, bias: Tensor
) -> Tensor:
    """Convolves with a kernel whose inputs are scaled for each image.

    Args:
        values: (B, H, W, I).
        weight: (O, I, K, K); the image is padded by K - 1 zeros on every side.
        scales: (B, I).
        energy: sums of squares (I, O) of the kernels, by which results are brought to unit
            variance (demodulation); None: they are not.
        bias: (O,).

    Returns:
        (B, H + K - 1, W + K - 1, O).
    """
    values = values * scales[:, None, None]
    kernel = weight.shape[2]
    if kernel == 1:
        values = functional.linear(values, weight[:, :, 0, 0])
    else:
        images = functional.conv2d(values.permute(0, 3, 1, 2), weight, padding=kernel - 1)
        values = images.permute(0, 2, 3, 1)
    if energy is None:
        return values + bias
    sizes = torch.rsqrt(scales.square() @ energy + EPSILON)
    return torch.addcmul(bias, values, sizes[:, None, None])


class Layer(nn.Module):
    """A modulated convolution and its filtered nonlinearity.

    Args:
        affine: from the style (B, w_dim) to the scales of the inputs (B, I).
        weight: (O, I, K, K).
        bias: (O,).
        magnitude: mean square of the inputs, as tracked in training.
        is_colour: the last layer: neither demodulated nor bent.
        up: filter before the nonlinearity, or None; its gain holds that of the nonlinearity.
        down: filter after it, or None.
        clamp: bound of the nonlinearity, or None.
    """

    weight: Tensor
    bias: Tensor
    energy: Tensor | None

    def __init__(
        self,
        affine: Dense,
        weight: Tensor,
        bias: Tensor,
        magnitude: float,
        is_colour: bool,
        up: nn.Module | None,
        down: nn.Module | None,
        clamp: float | None,
    ) -> None:
        super().__init__()
        self.affine, self.up, self.down, self.clamp = affine, up, down, clamp
        self.is_colour = is_colour
        energy = None
        if is_colour:
            weight = weight / math.sqrt(weight[0].numel())
        else:
            weight = weight * weight.square().mean(dim=(1, 2, 3), keepdim=True).rsqrt()
            energy = weight.square().sum(dim=(2, 3)).T.contiguous()
        weight = weight / math.sqrt(magnitude)
        self.register_buffer("weight", weight.contiguous(memory_format=torch.channels_last))
        self.register_buffer("energy", energy)
        self.register_buffer("bias", bias.clone())

    def forward(self, values: Tensor, style: Tensor) -> Tensor:
        """Maps (B, H, W, I) to (B, H', W', O)."""
        scales = self.affine(style)
        if not self.is_colour:
            # Of one image alone, so that no image depends on the others of its batch; the
            # demodulation takes the factor out again, but for its epsilon.
            scales = scales * scales.square().mean(dim=1, keepdim=True).rsqrt()
        values = modulated_convolution(values, self.weight, scales, self.energy, self.bias)
        slope = 1.0 if self.is_colour else 0.2
        return filtered_leaky_relu(values, self.up, self.down, slope, self.clamp)


class FourierFeatures(nn.Module):
    """The input of the synthesis: waves, shifted and turned by the style.

    Args:
        affine: from the style to (rotation's cosine and sine, shift by x and y).
        weight: (C, C), from waves to features.
        frequencies: (C, 2), in waves a unit length.
        phases: (C,), in waves.
        size: side of the features.
        sampling_rate: samples a unit length.
        bandwidth: frequencies above it fade until half the sampling rate.
    """

    weight: Tensor
    frequencies: Tensor
    phases: Tensor
    places: Tensor

    def __init__(
        self,
        affine: Dense,
        weight: Tensor,
        frequencies: Tensor,
        phases: Tensor,
        size: int,
        sampling_rate: float,
        bandwidth: float,
    ) -> None:
        super().__init__()
        self.affine = affine
        # A rotation leaves the frequencies' norms, so their amplitudes are constant.
        excess = frequencies.norm(dim=1) - bandwidth
        amplitudes = (1 - excess / (sampling_rate / 2 - bandwidth)).clamp(0, 1)
        self.register_buffer("weight", weight * amplitudes / math.sqrt(len(weight)))
        self.register_buffer("frequencies", frequencies * math.tau)
        self.register_buffer("phases", phases * math.tau)
        places = (torch.arange(size) + 0.5 - size / 2) / sampling_rate
        self.register_buffer("places", places)

    def forward(self, style: Tensor) -> Tensor:
        """Maps (B, w_dim) to features (B, H, H, C)."""
        cosine, sine, shift_x, shift_y = self._pose(style)
        x, y = self.frequencies.T[:, None]  # (1, C) each
        turned_x, turned_y = x * cosine + y * sine, y * cosine - x * sine
        phases = self.phases - turned_x * shift_x - turned_y * shift_y
        # sin(a + b) from the sines and cosines along each axis.
        across = (self.places[:, None] * turned_x[:, None] + phases[:, None])[:, None]
        along = (self.places[:, None] * turned_y[:, None])[:, :, None]
        waves = along.sin() * across.cos() + along.cos() * across.sin()
        return functional.linear(waves, self.weight)

    def _pose(self, style: Tensor) -> tuple[Tensor, ...]:
        """Cosine and sine of the rotation, and the shift before it, (B, 1) each."""
        pose = self.affine(style)
        pose = pose / pose[:, :2].norm(dim=1, keepdim=True)
        return pose.split(1, dim=1)
