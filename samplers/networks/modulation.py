"""What the generators of the StyleGAN family share: dense layers, activations, the mapping.

Karras et al. 2020, "Analyzing and Improving the Image Quality of StyleGAN"
(https://arxiv.org/abs/1912.04958) and "Training Generative Adversarial Networks with Limited
Data" (https://arxiv.org/abs/2006.06676). Every constant factor of a layer (its learning-rate
multiplier, its activation's gain) is multiplied into its weights once, when it is built.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from gendata.errors import GendataError
from gendata.samplers.networks.fields import misfit, module_of, number_of, tensor_of, whole_of
from gendata.samplers.restricted_pickle import Record

__all__ = [
    "Activation",
    "Dense",
    "Mapping",
    "activation_of",
    "dense_of",
    "mapping_of",
    "normalize",
]

EPSILON = 1e-8
MOST_LAYERS = 64


class Activation(nn.Module):
    """A nonlinearity, and the gain that keeps the variance.

    Attributes:
        gain: what its output is multiplied by.
        is_homogeneous: f(a x) = a f(x) for a > 0, so that the gain may be applied before it.
    """

    def __init__(self, function: Callable[[Tensor], Tensor], gain: float, scales: bool) -> None:
        super().__init__()
        self.function, self.gain, self.is_homogeneous = function, gain, scales

    def forward(self, values: Tensor) -> Tensor:
        """Applies the nonlinearity without its gain; it may overwrite the values."""
        return self.function(values)


def _leaky(values: Tensor) -> Tensor:
    return functional.leaky_relu_(values, 0.2)


def _unchanged(values: Tensor) -> Tensor:
    return values


ACTIVATIONS: dict[str, tuple[Callable[[Tensor], Tensor], float, bool]] = {
    "linear": (_unchanged, 1.0, True),
    "relu": (functional.relu_, math.sqrt(2), True),
    "lrelu": (_leaky, math.sqrt(2), True),
    "tanh": (torch.tanh, 1.0, False),
    "sigmoid": (torch.sigmoid, 1.0, False),
    "elu": (functional.elu, 1.0, False),
    "selu": (functional.selu, 1.0, False),
    "softplus": (functional.softplus, 1.0, False),
    "swish": (functional.silu, math.sqrt(2), False),
}


def activation_of(record: Record) -> Activation:
    """Returns the activation that a layer names."""
    name = record.get("activation", "linear")
    if not isinstance(name, str) or name not in ACTIVATIONS:
        raise misfit(record, "its activation", str(name)[:40], f"one of {', '.join(ACTIVATIONS)}")
    return Activation(*ACTIVATIONS[name])


def normalize(values: Tensor) -> Tensor:
    """Scales vectors (B, D) to a mean square of 1."""
    return values * (values.square().mean(dim=1, keepdim=True) + EPSILON).rsqrt()


class Dense(nn.Module):
    """A dense layer with its gains multiplied in.

    Args:
        weight: (O, I).
        bias: (O,), or None.
        activation: follows it.
    """

    weight: Tensor
    bias: Tensor | None

    def __init__(self, weight: Tensor, bias: Tensor | None, activation: Activation) -> None:
        super().__init__()
        factor = activation.gain if activation.is_homogeneous else 1.0
        self.register_buffer("weight", weight * factor)
        self.register_buffer("bias", None if bias is None else bias * factor)
        self.activation = activation
        self.gain = 1.0 if activation.is_homogeneous else activation.gain

    def forward(self, values: Tensor) -> Tensor:
        """Maps (B, I) to (B, O)."""
        values = self.activation(functional.linear(values, self.weight, self.bias))
        return values if self.gain == 1.0 else values * self.gain


def dense_of(record: Record, inputs: int | None, outputs: int | None, gain: float = 1.0) -> Dense:
    """Builds a recorded fully connected layer, its output multiplied by a gain."""
    weight = tensor_of(record, "weight", outputs, inputs)
    weight_gain = number_of(record, "weight_gain", 1 / math.sqrt(weight.shape[1]))
    bias_gain = number_of(record, "bias_gain", 1.0)  # the multiplier of the learning rate
    if weight_gain is None or bias_gain is None:
        raise misfit(record, "it lacks a gain")
    bias = None
    if record.get("bias") is not None:
        bias = tensor_of(record, "bias", len(weight)) * (bias_gain * gain)
    return Dense(weight * (weight_gain * gain), bias, activation_of(record))


class Mapping(nn.Module):
    """From latents and labels to one style vector for every layer.

    Args:
        layers: the dense layers.
        average: mean style (w_dim,), which truncation pulls to; None if the file has none.
        embedding: embedded labels (c_dim, E), normalised; None for an unconditional one.
        z_dim: size of the latents.
    """

    average: Tensor | None
    embedding: Tensor | None

    def __init__(
        self,
        layers: list[Dense],
        average: Tensor | None,
        embedding: Tensor | None,
        z_dim: int,
    ) -> None:
        super().__init__()
        self.layers = nn.Sequential(*layers)
        self.register_buffer("average", average)
        self.register_buffer("embedding", embedding)
        self.z_dim, self.w_dim = z_dim, len(layers[-1].weight)
        self.c_dim = 0 if embedding is None else len(embedding)

    def forward(
        self, z: Tensor, labels: Tensor | None, count: int, psi: float, cutoff: int | None
    ) -> list[Tensor]:
        """Returns `count` styles (B, w_dim), the first `cutoff` of them truncated by psi."""
        if self.embedding is not None and labels is None:
            raise GendataError("this generator needs labels", found="None")
        with torch.autocast(z.device.type, enabled=False):  # it costs little, and all hangs on it
            values = normalize(z.to(torch.float32))
            if self.embedding is not None:
                values = torch.cat([values, self.embedding[labels]], dim=1)
            style = self.layers(values)
        if psi == 1:
            return [style] * count
        if self.average is None:
            raise GendataError("this generator kept no average style", do="use psi=1")
        cutoff = count if cutoff is None else min(cutoff, count)
        truncated = self.average.lerp(style, psi)
        return [truncated] * cutoff + [style] * (count - cutoff)


def mapping_of(record: Record) -> Mapping:
    """Builds a recorded mapping network; its sizes are those of its tensors."""
    c_dim = whole_of(record, "c_dim", 0, 1_000_000, 0)
    embedding = _embedding_of(module_of(record, "embed"), c_dim) if c_dim else None
    count = whole_of(record, "num_layers", 1, MOST_LAYERS)
    layers: list[Dense] = []
    width = None
    for index in range(count):
        layers.append(dense_of(module_of(record, f"fc{index}"), width, None))
        width = len(layers[-1].weight)
    z_dim = layers[0].weight.shape[1] - (0 if embedding is None else embedding.shape[1])
    if z_dim < 1 or z_dim != whole_of(record, "z_dim", 0, 1_000_000, z_dim):
        raise misfit(record, "the size of its latents", record.get("z_dim"), z_dim)
    average = record.get("w_avg")
    if average is not None:
        average = tensor_of(record, "w_avg", width).clone()
    return Mapping(layers, average, embedding, z_dim)


def _embedding_of(record: Record, c_dim: int) -> Tensor:
    """Embeds every label once: a one-hot vector through a dense layer is a row of it."""
    layer = dense_of(record, c_dim, None)
    rows = layer.weight.T if layer.bias is None else layer.weight.T + layer.bias
    return normalize(layer.activation(rows) * layer.gain).contiguous()
