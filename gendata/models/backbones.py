"""The networks by name: our own small ones, any timm model, the packaged EfficientNet-Lite0."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn

from gendata.errors import GendataError
from gendata.models import timm_models
from gendata.models.cifar_resnet import CifarResNet
from gendata.models.efficientnet_lite import (
    EMBEDDED_NAME,
    TIMM_NAME,
    packaged_file,
    packaged_weights,
)
from gendata.models.mixer import Mixer, MixerShape
from gendata.models.recipe import Recipe
from gendata.models.small_cnn import SmallCNN
from gendata.models.torchvision_resnet import TorchvisionResNet
from gendata.models.vit import ViT, ViTShape
from gendata.models.weights import fit_weights, read_weights
from gendata.models.wide_resnet import WideResNet

__all__ = ["build_backbone", "load_backbone", "own_stages", "pretrained_reference"]

IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))  # mean and standard deviation
CIFAR10 = ((0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010))
CENTRED = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))


class Own(NamedTuple):
    """One of our networks: how it is built, its normalisation, names of its parts.

    Attributes:
        build: makes one for a number of classes, and the side of its images where it has one.
        normalisation: mean and standard deviation.
        last_layer: the one that makes logits.
        stages: submodules whose outputs are the maps of its stages.
        side: of the only images that it takes, pixels, unless another is asked for; None: any.
    """

    build: Callable[..., nn.Module]
    normalisation: tuple[tuple[float, ...], tuple[float, ...]]
    last_layer: str
    stages: tuple[str, ...]
    side: int | None = None


RESNET_LAYERS = tuple(f"network.layer{number}" for number in range(1, 5))
LAYERS, BLOCKS = ("layer1", "layer2", "layer3"), ("block1", "block2", "block3")
NORMS = tuple(f"norms.{number}" for number in range(4))
OWN = {
    "small-cnn": Own(SmallCNN, CENTRED, "linear", NORMS),
    **{
        f"cifar-resnet{depth}": Own(partial(CifarResNet, depth), IMAGENET, "linear", LAYERS)
        for depth in (20, 32, 44, 56)
    },
    "wrn-28-10": Own(WideResNet, CIFAR10, "fc", BLOCKS),
    # The backbones of the studies of rendered images, and others of their kinds for a CPU.
    "torchvision-resnet50": Own(TorchvisionResNet, IMAGENET, "network.fc", RESNET_LAYERS),
    "vit-b16": Own(partial(ViT, ViTShape(16, 768, 12, 12, 3072)), IMAGENET, "linear", (), 224),
    "small-vit": Own(partial(ViT, ViTShape(4, 96, 4, 3, 192)), IMAGENET, "linear", (), 32),
    **{
        name: Own(partial(Mixer, MixerShape(patch, dim, depth)), IMAGENET, "linear", (), side)
        for name, patch, dim, depth, side in (
            ("mixer-s16", 16, 512, 8, 224),
            ("mixer-b16", 16, 768, 12, 224),
            ("mixer-l16", 16, 1024, 24, 224),
            ("small-mixer-s", 4, 48, 3, 32),
            ("small-mixer-b", 4, 96, 4, 32),
            ("small-mixer-l", 4, 160, 6, 32),
        )
    },
}


def build_backbone(
    name: str,
    classes: int,
    *,
    init: str | Path = "random",
    input_size: int | None = None,
    download: bool = False,
) -> tuple[nn.Module, Recipe, Path | None]:
    """Builds a backbone for `classes` classes; the arguments are those of `build_network`.

    Its weights lie channels last, the layout in which convolutions and pooling are fastest.

    Returns:
        The backbone, its recipe, and the weights file, if any.
    """
    pretrained = init == "imagenet"
    if pretrained:
        file: Path | None = _imagenet_file(name, download)
    else:
        file = None if init == "random" else Path(init)
    if name in OWN:
        backbone, recipe = _build_own(name, classes, input_size)
    elif name == EMBEDDED_NAME:
        backbone, recipe = timm_models.build_timm(TIMM_NAME, classes, input_size)
        if pretrained:
            fit_weights(backbone, _packaged_weights_for(backbone, classes), name)
    else:
        backbone, recipe = timm_models.build_timm(
            _timm_name(name), classes, input_size, file if pretrained else None
        )
    if file is not None and not pretrained:
        fit_weights(backbone, read_weights(file), file)
    backbone = backbone.to(memory_format=torch.channels_last)
    return backbone, replace(recipe, name=name), file


def load_backbone(
    reference: str, *, input_size: int | None = None, download: bool = False
) -> tuple[nn.Module, Recipe, Path]:
    """Builds a backbone with the weights that a reference names, and as many classes as they have.

    Args:
        reference: "embedded:efficientnet-lite0", "timm:NAME", "timm:NAME@FILE",
            or one of our own networks as "cifar-resnet56:FILE".
        input_size: side that images are resized to, pixels; None: as they come.
        download: fetch pretrained weights that are not on this machine.

    Returns:
        The backbone, its recipe, and the weights file.
    """
    name, path = _split(reference)
    if path is None:
        classes = timm_models.pretrained_classes(_timm_name(name))
        backbone, recipe, file = build_backbone(
            name, classes, init="imagenet", input_size=input_size, download=download
        )
        assert file is not None
        return backbone, recipe, file
    weights = read_weights(path)
    classes = _classes_of(weights, name, path)
    backbone, recipe, _ = build_backbone(name, classes, input_size=input_size)
    fit_weights(backbone, weights, path)
    return backbone, recipe, path


def own_stages(name: str) -> tuple[str, ...]:
    """Names the submodules that end the stages of one of our own networks; () for any other."""
    return OWN[name].stages if name in OWN else ()


def pretrained_reference(name: str) -> str | None:
    """The reference of a network with its ImageNet weights; None where there are none."""
    if name in OWN:
        return None
    return name if name == EMBEDDED_NAME else f"timm:{name.removeprefix('timm:')}"


def _build_own(name: str, classes: int, input_size: int | None) -> tuple[nn.Module, Recipe]:
    """Builds one of our networks; one that takes one size only is built for the size asked for."""
    own = OWN[name]
    if own.side is None:
        return own.build(classes), Recipe(name, *own.normalisation, input_size=input_size)
    side = input_size or own.side
    try:
        backbone = own.build(classes, side)
    except ValueError as error:
        raise GendataError(f"{name} cannot be built", found=error) from error
    return backbone, Recipe(name, *own.normalisation, input_size=side, probe_size=side)


def _timm_name(name: str) -> str:
    if name == EMBEDDED_NAME:
        return TIMM_NAME
    return timm_models.bare_name(name, (*OWN, EMBEDDED_NAME))


def _imagenet_file(name: str, download: bool) -> Path:
    if name in OWN:
        raise GendataError(
            f"there are no ImageNet weights for {name}",
            expected="init 'random' or a weights file",
        )
    if name == EMBEDDED_NAME:
        return packaged_file()
    return timm_models.cached_weights(_timm_name(name), download)


def _packaged_weights_for(backbone: nn.Module, classes: int) -> dict[str, Tensor]:
    """Returns the packaged weights, with the backbone's own last layer for other classes."""
    weights = packaged_weights()
    if classes != len(weights["classifier.bias"]):
        weights |= {
            f"classifier.{key}": value.detach()
            for key, value in backbone.get_submodule("classifier").named_parameters()
        }
    return weights


def _split(reference: str) -> tuple[str, Path | None]:
    """Splits "timm:NAME@FILE" and "cifar-resnet20:FILE" into the network's name and the file."""
    kind, _, rest = reference.partition(":")
    name, separator, path = reference.partition("@")
    if kind in OWN and rest:
        return kind, Path(rest)
    if kind == "timm" and separator:
        return name, Path(path)
    if reference == EMBEDDED_NAME or kind == "timm":
        return reference, None
    raise GendataError(
        f"'{reference}' names no network with weights",
        expected=f"{EMBEDDED_NAME}, timm:NAME, timm:NAME@FILE, "
        f"or NAME:FILE with NAME one of {', '.join(OWN)}",
    )


def _classes_of(weights: Mapping[str, Tensor], name: str, path: Path) -> int:
    if name in OWN:
        layer = OWN[name].last_layer
    else:
        layer = timm_models.last_layer_name(_timm_name(name))
    if f"{layer}.weight" not in weights:
        raise GendataError(
            f"the weights in {path} do not fit {name}",
            found=f"no {layer}.weight among {len(weights)} tensors",
            do="check the network's name",
        )
    return len(weights[f"{layer}.weight"])
