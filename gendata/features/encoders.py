"""The networks under whose features image sets are compared: any teacher, TorchScript, Inception.

Every encoder owns its resize and its normalisation, and its card says what they are: features of
one network under two resizes are as different as those of two networks (Parmar, Zhang and Zhu
2022, "On Aliased Resizing and Surprising Subtleties in GAN Evaluation").
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from importlib.metadata import version
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from gendata.errors import GendataError
from gendata.features.extract import EncoderCard
from gendata.features.inception import load_inception
from gendata.models.backbones import load_backbone, own_stages
from gendata.models.device import resolve_device
from gendata.models.efficientnet_lite import EMBEDDED_NAME
from gendata.models.network import Network, to_float
from gendata.models.recipe import Recipe
from gendata.models.teacher import Teacher
from gendata.models.timm_models import bare_name, build_timm, pretrained_classes
from gendata.models.torchscript import read_torchscript
from gendata.models.weights import digest_of, read_weights

__all__ = ["Encoder", "load_encoder"]

Channels = float | Sequence[float] | None
KINDS = (
    f"{EMBEDDED_NAME}, timm:NAME, timm:NAME@FILE, cifar-resnet56:FILE (or another of our own "
    "networks), torchscript:FILE, inception or inception:FILE"
)
PROBE_SIDE = 32  # pixels; what a TorchScript file is tried on where no size is given


class Encoder:
    """A frozen network that turns images into features.

    Args:
        card: its name, resize, input size, width, version and digest.
        encode: maps a batch of prepared images, on the device, to features (B, D).
        device: where it runs.
        prepare: what is done to each image (3, H, W), uint8, on the CPU before it becomes part of
            a batch, such as a resize that must be Pillow's; safe in threads. None: nothing.
        fit: resizes images (B, 3, H, W), uint8, as `encode` does with whole batches; it serves
            sets whose images differ in size. None: `encode` takes images as they come.
    """

    def __init__(
        self,
        card: EncoderCard,
        encode: Callable[[Tensor], Tensor],
        device: torch.device,
        prepare: Callable[[Tensor], Tensor] | None = None,
        fit: Callable[[Tensor], Tensor] | None = None,
    ) -> None:
        self.card, self.encode, self.device = card, encode, device
        self.prepare, self.fit = prepare, fit

    @property
    def name(self) -> str:
        """The reference it was loaded from."""
        return self.card.name

    @property
    def resize(self) -> str:
        """How images are brought to the input size, in words."""
        return self.card.resize

    @property
    def input_size(self) -> int | None:
        """Side of the network's input, pixels; None: images as they come."""
        return self.card.input_size

    @property
    def feature_dim(self) -> int:
        """D of the features."""
        return self.card.feature_dim

    def features(self, images: Tensor) -> Tensor:
        """Returns features (B, D), float32, on its device, for images uint8 (B, 3, H, W)."""
        if self.prepare is not None:
            images = torch.stack([self.prepare(image) for image in images.cpu()])
        return self.prepared_features(images)

    @torch.inference_mode()
    def prepared_features(self, images: Tensor) -> Tensor:
        """The same for images that `prepare` has seen already.

        Raises:
            GendataError: the network does not take images of this size.
        """
        try:
            features = self.encode(images.to(self.device, non_blocking=True)).float()
        except torch.cuda.OutOfMemoryError as error:
            raise GendataError(
                f"{len(images)} images at a time are too many for {self.device}",
                do="choose a smaller batch",
            ) from error
        except RuntimeError as error:
            height, width = images.shape[-2:]
            raise GendataError(
                f"{self.name} cannot encode images of {width}x{height} pixels",
                found=_last_line(error),
                do="give the size that it wants as input_size",
            ) from error
        if features.shape != (len(images), self.feature_dim):
            raise GendataError(
                f"{self.name} changed the shape of its features",
                found=tuple(features.shape),
                expected=(len(images), self.feature_dim),
            )
        return features


def load_encoder(
    reference: str | Path = EMBEDDED_NAME,
    *,
    input_size: int | None = None,
    mean: Channels = None,
    std: Channels = None,
    device: str | torch.device = "auto",
    download: bool = False,
) -> Encoder:
    """Loads a frozen encoder.

    Args:
        reference: "embedded:efficientnet-lite0" (ImageNet weights, offline), "timm:NAME" (with its
            pretrained weights), "timm:NAME@FILE", "cifar-resnet56:FILE" (or another of our own
            networks), "torchscript:FILE" (normalised images (B, 3, H, W) in, features (B, D)
            out), "inception" (Inception-v3 where clean-fid keeps it) or "inception:FILE".
        input_size: side that images are resized to, pixels; None: as they come. Inception takes
            299 only.
        mean: of the channels, for images in [0, 1], one number or three; None: the network's own,
            0 for TorchScript. TorchScript files that want [-1, 1] take mean=0.5 and std=0.5,
            those that want [0, 255] take std=1/255.
        std: their standard deviation likewise; None: the network's own, 1 for TorchScript.
        device: "auto", "cpu", "cuda", …
        download: fetch pretrained weights that are not on this machine.

    Raises:
        GendataError: no such encoder, its weights are missing, or it gives no features (B, D).
    """
    reference = str(reference)
    kind, _, rest = reference.partition(":")
    if input_size is not None and not (isinstance(input_size, int) and input_size > 0):
        raise GendataError("bad input_size of an encoder", found=input_size, expected="pixels")
    place = resolve_device(device)
    if kind == "inception":
        _refuse_options(input_size, mean, std)
        inception = load_inception(Path(rest) if rest else None, place, download=download)
        card = replace(inception.card, name=reference)
        return Encoder(card, inception.encode, place, inception.prepare)
    if kind == "torchscript" and rest:
        network, file = _load_torchscript(Path(rest), reference, input_size, mean, std)
        libraries = ""
    elif reference == EMBEDDED_NAME or (rest and (kind == "timm" or own_stages(kind))):
        backbone, recipe, file = _load_backbone(reference, input_size, download)
        network = Network(backbone, _normalised(recipe, mean, std))
        libraries = "" if own_stages(kind) else f", timm {version('timm')}"
    else:
        raise GendataError(f"'{reference}' names no encoder", expected=f"one of {KINDS}")
    return Encoder(
        _card_of(network, reference, file, libraries),
        Teacher(network, reference, place).features,
        place,
        fit=None if network.input_size is None else partial(_fitted, network.input_size),
    )


def _load_backbone(
    reference: str, input_size: int | None, download: bool
) -> tuple[nn.Module, Recipe, Path]:
    kind, _, rest = reference.partition(":")
    name, _, path = rest.partition("@")
    if not (kind == "timm" and path and pretrained_classes(bare_name(name)) == 0):
        return load_backbone(reference, input_size=input_size, download=download)
    # A network without a last layer, such as DINOv2, is of use to an encoder alone. timm brings
    # its position embeddings to the input size; older ones would run code that the file carries.
    read_weights(path)
    backbone, recipe = build_timm(name, 0, input_size, Path(path))
    return backbone, replace(recipe, name=f"timm:{name}"), Path(path)


def _card_of(network: Network, reference: str, file: Path, libraries: str) -> EncoderCard:
    side, recipe = network.input_size, network.recipe
    return EncoderCard(
        reference,
        "none" if side is None else f"to {side}x{side}, bilinear, antialiased (torch, float32)",
        side,
        network.feature_dim,
        f"gendata {version('gendata')}, torch {torch.__version__}{libraries}",
        digest_of(file),
        f"[0, 1], mean {_shown(recipe.mean)}, std {_shown(recipe.std)}",
    )


def _shown(values: Sequence[float]) -> str:
    return " ".join(f"{value:.7g}" for value in values)


def _fitted(side: int, images: Tensor) -> Tensor:
    """Resizes as `Network` does; what has its size already passes through it unchanged."""
    return interpolate(to_float(images), (side, side), mode="bilinear", antialias=True)


def _normalised(recipe: Recipe, mean: Channels, std: Channels) -> Recipe:
    """Puts given means and standard deviations in place of the recipe's."""
    if mean is not None:
        recipe = replace(recipe, mean=_three("mean", mean))
    if std is not None:
        recipe = replace(recipe, std=_three("std", std))
        if min(recipe.std) <= 0:
            raise GendataError("bad option std", found=std, expected="numbers above 0")
    return recipe


def _three(name: str, value: float | Sequence[float]) -> tuple[float, ...]:
    values = tuple(value) if isinstance(value, list | tuple) else (value,) * 3
    if len(values) != 3 or not all(isinstance(part, int | float) for part in values):
        raise GendataError(f"bad option {name}", found=value, expected="one number or three")
    return tuple(map(float, values))


def _load_torchscript(
    path: Path, reference: str, input_size: int | None, mean: Channels, std: Channels
) -> tuple[Network, Path]:
    module = read_torchscript(path)
    side = input_size or PROBE_SIDE
    recipe = _normalised(Recipe(reference, (0.0,) * 3, (1.0,) * 3, input_size, side), mean, std)
    try:
        with torch.no_grad():
            output = module(torch.zeros(2, 3, side, side))
    except (RuntimeError, AttributeError, IndexError) as error:
        raise GendataError(
            f"{path} cannot encode images (2, 3, {side}, {side})",
            found=_last_line(error),
            expected="a module from normalised images (B, 3, H, W) to features (B, D)",
            do="give the input_size that it takes, if that is another",
        ) from error
    shape = tuple(output.shape) if torch.is_tensor(output) else type(output).__name__
    if not torch.is_tensor(output) or output.ndim != 2 or len(output) != 2:
        raise GendataError(
            f"{path} gives no feature vectors",
            found=f"{shape} for images (2, 3, {side}, {side})",
            expected="(2, D)",
            do="end the module with a pooling over positions",
        )
    # The features are tapped behind the module: a scripted one has no last layer to look into.
    return Network(nn.Sequential(module, nn.Identity()), recipe, tap="1"), path


def _refuse_options(input_size: int | None, mean: Channels, std: Channels) -> None:
    if input_size not in (None, 299) or mean is not None or std is not None:
        raise GendataError(
            "Inception has a resize and a normalisation of its own",
            found=f"input_size {input_size}, mean {mean}, std {std}",
            do="leave these options out, so that its figures are the published ones",
        )


def _last_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[-1] if lines else type(error).__name__
