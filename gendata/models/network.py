"""One network as every part sees it: uint8 images in, logits and pooled features out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from gendata.errors import GendataError
from gendata.models.backbones import build_backbone
from gendata.models.recipe import Recipe
from gendata.types import Output

__all__ = ["Network", "build_network", "to_float"]


def to_float(images: Tensor) -> Tensor:
    """Turns uint8 images into float32 in [0, 1]; the only place where that happens."""
    return images.float() / 255 if images.dtype == torch.uint8 else images


class Network(nn.Module):
    """A classifier that owns its resize, its normalisation and its feature tap.

    Args:
        backbone: maps normalised images (B, 3, H, W) to logits (B, K).
        recipe: the backbone's name, mean and standard deviation, and side of its input.
        tap: name of the submodule whose output are the features; None: what enters the last layer.

    Attributes:
        recipe: as given.
        name: the recipe's.
        input_size: the recipe's; None keeps images as they come.
        classes: number of classes K.
        feature_dim: D of the pooled features.
        tap: as given, or "penultimate".
    """

    mean: Tensor
    std: Tensor

    def __init__(self, backbone: nn.Module, recipe: Recipe, tap: str | None = None) -> None:
        super().__init__()
        self.backbone = backbone
        self.recipe, self.name, self.input_size = recipe, recipe.name, recipe.input_size
        self.tap = tap or "penultimate"
        # Not saved with the weights: the files stay exchangeable with those of the backbone alone.
        self.register_buffer("mean", torch.tensor(recipe.mean).view(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(recipe.std).view(3, 1, 1), persistent=False)
        self._tapped: Tensor | None = None
        if tap is None:
            last_layer(backbone, self.name).register_forward_pre_hook(self._keep_input)
        else:
            _submodule(backbone, tap, self.name).register_forward_hook(self._keep_output)
        probe = self._probe(recipe.probe_size)
        self.classes, self.feature_dim = probe.logits.shape[1], probe.features.shape[1]

    def forward(self, images: Tensor) -> Output:
        """Classifies images (B, 3, H, W), uint8 or float in [0, 1]."""
        x = to_float(images)
        if self.input_size is not None and x.shape[-2:] != (self.input_size, self.input_size):
            x = functional.interpolate(
                x, size=(self.input_size, self.input_size), mode="bilinear", antialias=True
            )
        logits = self.backbone((x - self.mean) / self.std)
        tapped, self._tapped = self._tapped, None
        if tapped is None:
            raise GendataError(
                f"the tap '{self.tap}' of {self.name} does not take part in its forward pass",
                do="choose another submodule",
            )
        return Output(logits, _pool(tapped, self.tap))

    # Bound methods rather than closures, so that a deep copy of the network taps itself.
    def _keep_input(self, _: nn.Module, inputs: tuple[Any, ...]) -> None:
        self._tapped = inputs[0]

    def _keep_output(self, _: nn.Module, __: tuple[Any, ...], output: Any) -> None:
        self._tapped = output

    @torch.no_grad()
    def _probe(self, size: int) -> Output:
        training = self.backbone.training
        self.eval()
        output = self(torch.zeros(1, 3, size, size))
        self.train(training)
        return output


def build_network(
    name: str,
    classes: int,
    *,
    init: str | Path = "random",
    tap: str | None = None,
    input_size: int | None = None,
    download: bool = False,
) -> Network:
    """Builds a network by name.

    Args:
        name: "small-cnn", "cifar-resnet20" (32, 44, 56), "wrn-28-10", "torchvision-resnet50",
            "vit-b16", "small-vit", "mixer-b16" (s, l), "small-mixer-b" (s, l),
            "embedded:efficientnet-lite0", or a timm model: "timm:resnet50" or "resnet50".
        classes: number of classes.
        init: "random"; "imagenet" for pretrained weights that are on this machine (the last layer
            is new unless `classes` is 1000); or a weights file, which must fit in every name and
            shape.
        tap: submodule whose output, averaged over positions, are the features; None: penultimate.
        input_size: side that images are resized to, pixels; None: as they come, or the only size
            that the model takes.
        download: fetch pretrained weights that are not on this machine.
    """
    backbone, recipe, _ = build_backbone(
        name, classes, init=init, input_size=input_size, download=download
    )
    return Network(backbone, recipe, tap)


def last_layer(backbone: nn.Module, name: str) -> nn.Module:
    """Returns the layer that turns penultimate features into logits."""
    layer = getattr(backbone, "get_classifier", lambda: None)()
    if not isinstance(layer, nn.Module):
        raise GendataError(
            f"{name} has no single last layer", do="name the features' submodule with `tap`"
        )
    return layer


def _submodule(backbone: nn.Module, tap: str, name: str) -> nn.Module:
    modules = dict(backbone.named_modules())
    if tap not in modules or not tap:
        raise GendataError(
            f"{name} has no submodule '{tap}' to tap",
            expected=f"one of {', '.join(filter(None, modules))}",
        )
    return modules[tap]


def _pool(tapped: Any, tap: str) -> Tensor:
    """Averages maps (B, D, H, W) or tokens (B, T, D) over positions; (B, D) stays."""
    if isinstance(tapped, Sequence) and tapped and torch.is_tensor(tapped[0]):
        tapped = tapped[0]
    if torch.is_tensor(tapped) and tapped.ndim == 4:
        return tapped.mean(dim=(2, 3))
    if torch.is_tensor(tapped) and tapped.ndim == 3:
        return tapped.mean(dim=1)
    if torch.is_tensor(tapped) and tapped.ndim == 2:
        return tapped
    shape = tuple(tapped.shape) if torch.is_tensor(tapped) else type(tapped).__name__
    raise GendataError(
        f"the tap '{tap}' gives no features",
        found=shape,
        expected="maps (B, D, H, W), tokens (B, T, D) or vectors (B, D)",
    )
