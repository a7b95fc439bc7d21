"""Frozen networks whose features guide a student."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from gendata.models.backbones import load_backbone
from gendata.models.device import resolve_device
from gendata.models.network import Network

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
