"""BigGAN-deep (Brock et al. 2019, appendix B), with the parameter names of its PyTorch release.

Everything that no latent changes is worked out once: weights are divided by their spectral norms,
the statistics of batch normalisation are picked for the truncation, and the colour layer keeps the
three channels that are an image. All conditional gains of the network are one matrix product.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from gendata.errors import GendataError

__all__ = ["Generator", "build"]

START = 4  # side of the first feature maps
REDUCTION = 4  # a block's bottleneck has a quarter of its input channels
MOST_DOUBLINGS = 9  # 2048 pixels


class Weights:
    """A state dict by name, each tensor checked before use.

    Args:
        tensors: the state dict.
    """

    def __init__(self, tensors: Mapping[str, Tensor]) -> None:
        self.tensors = tensors

    def take(self, name: str, *shape: int | None) -> Tensor:
        """Returns a tensor in float32; None stands for any size."""
        tensor = self.tensors.get(name)
        fits = (
            tensor is not None
            and tensor.ndim == len(shape)
            and all(want in (None, have) for want, have in zip(shape, tensor.shape, strict=True))
        )
        if tensor is None or not fits:
            raise GendataError(
                f"the weights do not fit BigGAN-deep at {name}",
                found="nothing" if tensor is None else tuple(tensor.shape),
                expected=f"({', '.join('any' if size is None else str(size) for size in shape)})",
            )
        return tensor.detach().float()

    def normalised(self, name: str, *shape: int | None) -> Tensor:
        """Returns a weight over its spectral norm u·Wv (Miyato et al. 2018, eq. 19)."""
        if f"{name}.weight" in self.tensors:  # the norm has been worked into it
            return self.take(f"{name}.weight", *shape)
        weight = self.take(f"{name}.weight_orig", *shape)
        left = self.take(f"{name}.weight_u", len(weight))
        right = self.take(f"{name}.weight_v", weight[0].numel())
        return weight / torch.dot(left, weight.flatten(1) @ right)


class Convolution(nn.Module):
    """A convolution with "same" padding, its weight spectrally normalised.

    Args:
        weights: the file's.
        name: of the layer.
        inputs: channels in.
        outputs: channels out.
        side: of the kernel.
        bias: whether there is one.
        kept: how many output channels are wanted; None: all.
    """

    def __init__(
        self,
        weights: Weights,
        name: str,
        inputs: int,
        outputs: int,
        side: int = 1,
        *,
        bias: bool = True,
        kept: int | None = None,
    ) -> None:
        super().__init__()
        self.padding = side // 2
        weight = weights.normalised(name, outputs, inputs, side, side)[:kept].clone()
        self.weight = nn.Parameter(weight, requires_grad=False)
        self.bias = (
            nn.Parameter(weights.take(f"{name}.bias", outputs)[:kept].clone(), requires_grad=False)
            if bias
            else None
        )

    def forward(self, x: Tensor) -> Tensor:
        """Convolves (B, C, H, W)."""
        return functional.conv2d(x, self.weight, self.bias, padding=self.padding)


class Attention(nn.Module):
    """Self-attention over positions, keys and values pooled by 2 (Zhang et al. 2019, section 3).

    Args:
        weights: the file's.
        name: of the layer.
        channels: in and out.
    """

    def __init__(self, weights: Weights, name: str, channels: int) -> None:
        super().__init__()
        few, half = channels // 8, channels // 2
        self.query = Convolution(weights, f"{name}.snconv1x1_theta", channels, few, bias=False)
        self.key = Convolution(weights, f"{name}.snconv1x1_phi", channels, few, bias=False)
        self.value = Convolution(weights, f"{name}.snconv1x1_g", channels, half, bias=False)
        self.out = Convolution(weights, f"{name}.snconv1x1_o_conv", half, channels, bias=False)
        self.gamma = nn.Parameter(weights.take(f"{name}.gamma", 1).clone(), requires_grad=False)

    def forward(self, x: Tensor) -> Tensor:
        """Adds to x (B, C, H, W) what its positions attend to."""
        queries = self.query(x).flatten(2).transpose(1, 2)
        keys = functional.max_pool2d(self.key(x), 2).flatten(2).transpose(1, 2)
        values = functional.max_pool2d(self.value(x), 2).flatten(2).transpose(1, 2)
        # Unlike a transformer's, these logits are not scaled by the root of the key size.
        found = functional.scaled_dot_product_attention(queries, keys, values, scale=1.0)
        return x + self.gamma * self.out(found.transpose(1, 2).reshape(len(x), -1, *x.shape[2:]))


class Normalisation(nn.Module):
    """Batch normalisation with statistics for every truncation from 0 to 1.

    Args:
        weights: the file's.
        name: of the layer.
        channels: in and out.
        eps: added to the variance.
    """

    means: Tensor
    variances: Tensor
    mean: Tensor
    deviation: Tensor

    def __init__(self, weights: Weights, name: str, channels: int, eps: float) -> None:
        super().__init__()
        self.eps = eps
        self.register_buffer("means", weights.take(f"{name}.running_means", None, channels))
        self.register_buffer(
            "variances", weights.take(f"{name}.running_vars", len(self.means), channels)
        )
        if len(self.means) < 2:
            raise GendataError(f"{name} has statistics for {len(self.means)} truncations")
        self.use_truncation(1.0)

    def use_truncation(self, truncation: float) -> None:
        """Picks the statistics of a truncation in (0, 1].

        Between two steps the release weighs the lower one by the distance to it, so the farther
        one weighs more; published samples were made that way, and so are these.
        """
        last = len(self.means) - 1
        share, step = math.modf(truncation / (1.0 / last))
        low, high = min(int(step), last), min(int(step) + 1, last)
        if share == 0:
            mean, variance = self.means[low], self.variances[low]
        else:
            mean = self.means[low] * share + self.means[high] * (1 - share)
            variance = self.variances[low] * share + self.variances[high] * (1 - share)
        self.register_buffer("mean", mean.clone())
        self.register_buffer("deviation", torch.sqrt(variance + self.eps))

    def forward(self, x: Tensor, gain: Tensor, offset: Tensor) -> Tensor:
        """Normalises (B, C, H, W), then scales and shifts by (B or 1, C), and rectifies."""
        gain = gain / self.deviation
        offset = offset - self.mean * gain
        return torch.addcmul(offset[:, :, None, None], x, gain[:, :, None, None]).relu_()


class Block(nn.Module):
    """A residual bottleneck block of four convolutions (Brock et al. 2019, figure 16b).

    Args:
        weights: the file's.
        name: of the block.
        inputs: channels in.
        outputs: channels out, as many as come in or half of them.
        doubles: whether it doubles the side.
        eps: of its normalisations.
    """

    def __init__(
        self, weights: Weights, name: str, inputs: int, outputs: int, doubles: bool, eps: float
    ) -> None:
        super().__init__()
        self.outputs, self.doubles = outputs, doubles
        middle = inputs // REDUCTION
        self.sizes = [inputs, middle, middle, middle]
        self.norms = nn.ModuleList(
            Normalisation(weights, f"{name}.bn_{number}", size, eps)
            for number, size in enumerate(self.sizes)
        )
        self.convolutions = nn.ModuleList(
            Convolution(weights, f"{name}.conv_{number}", size, after, side)
            for number, (size, after, side) in enumerate(
                zip(self.sizes, [middle, middle, middle, outputs], [1, 3, 3, 1], strict=True)
            )
        )

    def forward(self, x: Tensor, gains: list[Tensor], offsets: list[Tensor]) -> Tensor:
        """Maps (B, inputs, H, W) to (B, outputs, H or 2H, W or 2W)."""
        y = x
        parts = zip(self.norms, self.convolutions, gains, offsets, strict=True)
        for number, (norm, convolution, gain, offset) in enumerate(parts):
            y = norm(y, gain, offset)
            if self.doubles and number == 1:
                y = functional.interpolate(y, scale_factor=2.0, mode="nearest")
            y = convolution(y)
        x = x[:, : self.outputs]  # the shortcut drops channels instead of mixing them
        if self.doubles:
            x = functional.interpolate(x, scale_factor=2.0, mode="nearest")
        return y + x


class Generator(nn.Module):
    """BigGAN-deep from latents and labels to images.

    Args:
        weights: the file's.
        layers: (doubles, channels in, channels out) of each block.
        attention: before which block attention stands; None: nowhere.
        eps: of the normalisations.
    """

    family = "biggan-deep"
    img_channels = 3

    def __init__(
        self,
        weights: Weights,
        layers: list[tuple[bool, int, int]],
        attention: int | None,
        eps: float,
    ) -> None:
        super().__init__()
        embedding = weights.take("embeddings.weight", None, None)
        self.z_dim, self.c_dim = embedding.shape
        self.img_resolution = START * 2 ** sum(doubles for doubles, _, _ in layers)
        self.embedding = nn.Parameter(embedding.t().clone(), requires_grad=False)
        size = 2 * self.z_dim  # of a latent and a class embedding
        start = START * START * layers[0][1]
        self.start = nn.Parameter(weights.normalised("generator.gen_z", start, size).clone())
        self.start_bias = nn.Parameter(weights.take("generator.gen_z.bias", start).clone())
        self.layers = nn.ModuleList()
        scales, offsets = [], []
        for number, (doubles, inputs, outputs) in enumerate(layers):
            if number == attention:
                self.layers.append(Attention(weights, _layer(self.layers), inputs))
            name = _layer(self.layers)
            block = Block(weights, name, inputs, outputs, doubles, eps)
            self.layers.append(block)
            for norm, channels in enumerate(block.sizes):
                part = f"{name}.bn_{norm}"
                scales.append(weights.normalised(f"{part}.scale", channels, size))
                offsets.append(weights.normalised(f"{part}.offset", channels, size))
        self.sizes = [len(scale) for scale in scales]
        self.scales = nn.Parameter(torch.cat(scales))
        self.offsets = nn.Parameter(torch.cat(offsets))
        last = layers[-1][2]
        self.norm = Normalisation(weights, "generator.bn", last, eps)
        self.gain = nn.Parameter(weights.take("generator.bn.weight", last)[None].clone())
        self.offset = nn.Parameter(weights.take("generator.bn.bias", last)[None].clone())
        # The release makes as many channels as come in, and shows the first three.
        self.colour = Convolution(weights, "generator.conv_to_rgb", last, last, 3, kept=3)
        self.eval().requires_grad_(False)

    def use_truncation(self, truncation: float) -> None:
        """Picks the statistics of a truncation in (0, 1] in all layers."""
        for module in self.modules():
            if isinstance(module, Normalisation):
                module.use_truncation(truncation)

    def forward(self, z: Tensor, labels: Tensor) -> Tensor:
        """Maps z (B, z_dim) and labels (B,) int64 to images (B, 3, H, H) in [-1, 1]."""
        condition = torch.cat([z, self.embedding[labels]], dim=1)
        gains = (1 + functional.linear(condition, self.scales)).split(self.sizes, dim=1)
        offsets = functional.linear(condition, self.offsets).split(self.sizes, dim=1)
        # The release keeps TensorFlow's order: rows, columns, then channels.
        x = functional.linear(condition, self.start, self.start_bias)
        x = x.unflatten(1, (START, START, -1)).permute(0, 3, 1, 2)
        first = 0
        for layer in self.layers:
            if isinstance(layer, Block):
                own = slice(first, first + len(layer.sizes))
                x = layer(x, gains[own], offsets[own])
                first += len(layer.sizes)
            else:
                x = layer(x)
        return torch.tanh(self.colour(self.norm(x, self.gain, self.offset)))


def build(tensors: Mapping[str, Tensor], config: Mapping[str, Any]) -> Generator:
    """Builds the generator of a configuration around its weights.

    Args:
        tensors: the state dict; nothing larger than it is allocated.
        config: what config.json holds.

    Raises:
        GendataError: the configuration is damaged, or the weights do not fit it.
    """
    width = config.get("channel_width")
    layers = config.get("layers")
    if not _is_count(width) or not isinstance(layers, list) or not all(map(_is_layer, layers)):
        raise _damaged("layers or channel_width", f"{width}, {str(layers)[:80]}")
    sized = [(bool(doubles), width * ins, width * outs) for doubles, ins, outs in layers]
    joined = all(one[2] == other[1] for one, other in pairwise(sized))
    if (
        not sized
        or not joined
        or any(outs not in (ins, ins // 2) or ins < 8 for _, ins, outs in sized)
    ):
        raise _damaged("layers", f"{str(layers)[:80]}, which do not follow one another")
    resolution = START * 2 ** min(sum(doubles for doubles, _, _ in sized), MOST_DOUBLINGS + 1)
    if resolution > START * 2**MOST_DOUBLINGS or config.get("output_dim") not in (
        None,
        resolution,
    ):
        raise _damaged("output_dim", f"{config.get('output_dim')} where layers make {resolution}")
    eps, position = config.get("eps", 1e-4), config.get("attention_layer_position")
    if isinstance(eps, bool) or not isinstance(eps, int | float) or not 0 <= eps < 1:
        raise _damaged("eps", eps)
    if position is not None and not isinstance(position, int):
        raise _damaged("attention_layer_position", position)
    generator = Generator(Weights(tensors), sized, position, float(eps))
    for key, own in (("z_dim", generator.z_dim), ("num_classes", generator.c_dim)):
        if config.get(key, own) != own:
            raise _damaged(key, f"{config[key]} where the weights have {own}")
    return generator


def _layer(layers: nn.ModuleList) -> str:
    return f"generator.layers.{len(layers)}"


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= 2**16


def _is_layer(value: object) -> bool:
    if not isinstance(value, list) or len(value) != 3:
        return False
    return isinstance(value[0], bool) and _is_count(value[1]) and _is_count(value[2])


def _damaged(key: str, found: object) -> GendataError:
    return GendataError(f"the configuration's {key} does not fit", found=found)
