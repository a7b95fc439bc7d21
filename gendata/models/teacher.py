"""Frozen networks whose features guide a student."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from gendata.errors import GendataError
from gendata.models.backbones import load_backbone
from gendata.models.device import resolve_device
from gendata.models.network import Network, last_layer
from gendata.models.stages import recorded_maps

__all__ = ["Teacher", "load_teacher"]


class Teacher:
    """A network in evaluation mode without gradients, with its own resize and normalisation.

    Args:
        network: the network; frozen here.
        name: the reference it was loaded from.
        device: where it runs.

    Attributes:
        name: the reference it was loaded from.
        feature_dim: D of the features.
    """

    def __init__(self, network: Network, name: str, device: torch.device) -> None:
        self.network = network.to(device).eval().requires_grad_(False)
        self.name, self.device = name, device
        self.feature_dim = network.feature_dim

    # Not inference mode: the student's loss keeps these features for its backward pass.
    @torch.no_grad()
    def features(self, images: Tensor) -> Tensor:
        """Returns features (B, D), float32, for images uint8 (B, 3, H, W)."""
        return self.network(images.to(self.device)).features.float()

    @torch.no_grad()
    def maps(self, images: Tensor, stages: Sequence[str]) -> list[Tensor]:
        """Returns the outputs (B, D, H, W), float32, of named submodules for such images."""
        with recorded_maps(self.network, stages) as maps:
            self.network(images.to(self.device))
        return [maps[stage].float() for stage in stages]

    @property
    def classifier(self) -> nn.Linear:
        """The frozen last layer, which turns penultimate features (B, D) into logits (B, K).

        Raises:
            GendataError: there is no such layer, or the features are those of another one.
        """
        layer = last_layer(self.network.backbone, self.name)
        if self.network.tap != "penultimate" or not isinstance(layer, nn.Linear):
            raise GendataError(
                f"{self.name} has no linear last layer on its features",
                found=f"{type(layer).__name__} after the tap '{self.network.tap}'",
                do="choose another teacher, such as embedded:efficientnet-lite0",
            )
        return layer


def load_teacher(
    reference: str | Path = "embedded:efficientnet-lite0",
    *,
    input_size: int | None = None,
    tap: str | None = None,
    device: str | torch.device = "auto",
    download: bool = False,
) -> Teacher:
    """Loads a frozen teacher.

    Args:
        reference: "embedded:efficientnet-lite0" (ImageNet weights, offline), "timm:NAME" (with
            its pretrained weights), "timm:NAME@FILE", or "cifar-resnet56:FILE" and its like.
        input_size: side that images are resized to, pixels; None: as they come.
        tap: submodule whose pooled output are the features; None: penultimate.
        device: "auto", "cpu", "cuda", …
        download: fetch pretrained weights that are not on this machine.
    """
    backbone, recipe, _ = load_backbone(str(reference), input_size=input_size, download=download)
    return Teacher(Network(backbone, recipe, tap), str(reference), resolve_device(device))
