"""Frozen classifiers: they judge drawn images, and own their resize and normalisation."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from gendata.assets import asset_folder, described
from gendata.errors import GendataError
from gendata.models.backbones import build_backbone, load_backbone
from gendata.models.device import resolve_device
from gendata.models.efficientnet_lite import EMBEDDED_NAME
from gendata.models.network import Network
from gendata.models.recipe import Recipe
from gendata.models.torchscript import read_torchscript
from gendata.models.weights import digest_of, fit_weights, read_weights
from gendata.types import Card

__all__ = ["FrozenClassifier", "load_classifier"]

OPTIONS = {"classes", "input_size", "mean", "std"}


class FrozenClassifier:
    """A network as a `gendata.types.Classifier`: float32, evaluation mode, no gradients.

    Args:
        module: maps uint8 images (B, 3, H, W) to logits (B, K).
        name: the reference it was loaded from.
        classes: class names in label order, or None.
        card: origin, licence, digest and settings.
        device: where it runs.
    """

    def __init__(
        self,
        module: nn.Module,
        name: str,
        classes: Sequence[str] | None,
        card: Card,
        device: torch.device,
    ) -> None:
        self.module = module.to(device).eval()
        self.name, self.classes, self.card, self.device = name, classes, card, device

    @torch.inference_mode()
    def probabilities(self, images: Tensor) -> Tensor:
        """Returns probabilities (B, K), float32, on the classifier's device."""
        return self.module(images.to(self.device)).logits.float().softmax(dim=1)


def load_classifier(
    reference: str | Path,
    *,
    device: str | torch.device = "auto",
    download: bool = False,
    **options: Any,
) -> FrozenClassifier:
    """Loads a frozen classifier.

    Args:
        reference: "embedded:fashion-classifier", "timm:NAME" (with its pretrained weights),
            "timm:NAME@FILE", "cifar-resnet56:FILE" (20, 32, 44), "wrn-28-10:FILE",
            "small-cnn:FILE" or "torchscript:FILE".
        device: "auto", "cpu", "cuda", …
        download: fetch pretrained weights that are not on this machine.
        **options: `classes` (names in label order), `input_size` (side that images are resized to,
            pixels), `mean` and `std` (of the channels, for images in [0, 1]; one number or three).
    """
    _check_options(options)
    reference = str(reference)
    kind, _, rest = reference.partition(":")
    if kind == "torchscript":
        network, classes, card = _load_torchscript(Path(rest), reference, options)
    elif kind == "embedded" and reference != EMBEDDED_NAME:
        network, classes, card = _load_embedded(rest, options)
    else:
        network, classes, card = _load_known(reference, options, download)
    classes = options.get("classes") or classes
    if classes is not None and len(classes) != network.classes:
        raise GendataError(
            f"the class names do not fit {reference}",
            found=f"{len(classes)} names",
            expected=f"{network.classes}, one for each output",
        )
    recipe = network.recipe
    settings = {
        "input_size": recipe.input_size,
        "mean": list(recipe.mean),
        "std": list(recipe.std),
    }
    card = replace(card, settings=settings)
    return FrozenClassifier(network, reference, classes, card, resolve_device(device))


Loaded = tuple[Network, Sequence[str] | None, Card]


def _check_options(options: dict[str, Any]) -> None:
    unknown = sorted(set(options) - OPTIONS)
    if unknown:
        raise GendataError(
            f"a classifier has no option {', '.join(unknown)}",
            expected=f"some of {', '.join(sorted(OPTIONS))}",
        )
    size, classes = options.get("input_size"), options.get("classes")
    if size is not None and not (isinstance(size, int) and size > 0):
        raise GendataError("bad option input_size", found=size, expected="pixels")
    if classes is not None and not isinstance(classes, list | tuple):
        raise GendataError("bad option classes", found=classes, expected="a list of names")


def _adjusted(recipe: Recipe, options: dict[str, Any]) -> Recipe:
    """Puts the given input_size, mean and std in place of the recipe's."""
    given: dict[str, Any] = {}
    for key in ("mean", "std"):
        value = options.get(key)
        if value is None:
            continue
        values = tuple(value) if isinstance(value, list | tuple) else (value,) * 3
        if len(values) != 3 or not all(isinstance(part, int | float) for part in values):
            raise GendataError(f"bad option {key}", found=value, expected="one number or three")
        given[key] = tuple(map(float, values))
    if options.get("input_size") is not None:
        given["input_size"] = options["input_size"]
    return replace(recipe, **given)


class _Scripted(nn.Module):
    """A TorchScript module with a last layer to look at, as `Network` expects of a backbone."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module, self.last = module, nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.module(x))

    def get_classifier(self) -> nn.Module:
        return self.last


def _load_known(reference: str, options: dict[str, Any], download: bool) -> Loaded:
    backbone, recipe, path = load_backbone(
        reference, input_size=options.get("input_size"), download=download
    )
    card = Card(title=reference, origin=str(path), sha256=digest_of(path))
    return Network(backbone, _adjusted(recipe, options)), None, card


def _load_torchscript(path: Path, reference: str, options: dict[str, Any]) -> Loaded:
    module = read_torchscript(path)
    recipe = _adjusted(Recipe(reference, (0.0,) * 3, (1.0,) * 3), options)
    recipe = replace(recipe, probe_size=recipe.input_size or 32)
    try:
        network = Network(_Scripted(module), recipe)
    except (RuntimeError, AttributeError, IndexError) as error:
        raise GendataError(
            f"{path} cannot classify images (1, 3, {recipe.probe_size}, {recipe.probe_size})",
            found=str(error).strip().splitlines()[-1],
            expected="a module from normalised images (B, 3, H, W) to logits (B, K)",
            do="set the option input_size if it takes another size",
        ) from error
    return network, None, Card(title=path.name, origin=str(path), sha256=digest_of(path))


def _load_embedded(name: str, options: dict[str, Any]) -> Loaded:
    folder = asset_folder(name)
    path = folder / "config.json"
    config = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    if "network" not in config:
        raise GendataError(
            f"the embedded '{name}' is no classifier", expected="embedded:fashion-classifier"
        )
    backbone, recipe, _ = build_backbone(
        config["network"], len(config["classes"]), input_size=config["input_size"]
    )
    fit_weights(backbone, read_weights(folder / "weights.safetensors"), folder)
    given = {key: config[key] for key in ("mean", "std")} | options
    card = described(name, Card("", sha256=digest_of(folder / "weights.safetensors")))
    return Network(backbone, _adjusted(recipe, given)), config["classes"], card
