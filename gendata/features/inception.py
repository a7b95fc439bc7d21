"""Inception-v3 as clean-fid runs it: its TorchScript file, its wrapper, its resize.

Published Fréchet distances are taken on these features (Parmar, Zhang and Zhu 2022, "On Aliased
Resizing and Surprising Subtleties in GAN Evaluation", mode "clean"): each channel as float32 is
resized to 299x299 by Pillow's bicubic filter, which antialiases, and is not rounded to bytes.
"""

from __future__ import annotations

import platform
import shutil
import urllib.request
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn

from gendata.errors import GendataError
from gendata.features.extract import EncoderCard
from gendata.files import publish
from gendata.models.torchscript import read_torchscript
from gendata.models.weights import digest_of

__all__ = ["SIDE", "Inception", "default_file", "load_inception"]

FILE_NAME = "inception-2015-12-05.pt"
SIDE = 299
RESIZE = f"to {SIDE}x{SIDE}, bicubic, antialiased (Pillow, float32; clean-fid, mode clean)"


class Inception(NamedTuple):
    """What an encoder is made of.

    Attributes:
        card: its name, resize and so on.
        encode: maps images (B, 3, 299, 299), float32 in [0, 255], to features (B, 2048).
        prepare: maps one image (3, H, W), uint8, to (3, 299, 299), float32 in [0, 255].
    """

    card: EncoderCard
    encode: Callable[[Tensor], Tensor]
    prepare: Callable[[Tensor], Tensor]


def default_file() -> Path:
    """Where clean-fid keeps its Inception-v3, whether it is there or not."""
    folder = "." if platform.system() == "Windows" else "/tmp"
    return Path(folder) / FILE_NAME


def load_inception(
    path: Path | None = None, device: torch.device | str = "cpu", *, download: bool = False
) -> Inception:
    """Loads Inception-v3.

    Args:
        path: its TorchScript file; None: where clean-fid keeps it.
        device: where it runs.
        download: fetch the file if it is not there; without it nothing is ever downloaded.

    Raises:
        GendataError: the file is missing, or is no Inception-v3.
    """
    file = default_file() if path is None else path
    if path is None and not file.is_file():
        _fetch(file, download)
    network = _clean_fid_network(file)
    card = EncoderCard(
        name="inception" if path is None else f"inception:{path}",
        resize=RESIZE,
        input_size=SIDE,
        feature_dim=2048,
        version=f"clean-fid {version('clean-fid')}, pillow {version('pillow')}, "
        f"torch {torch.__version__}",
        digest=digest_of(file),
        pixels="[0, 255], minus 128, divided by 128",
    )
    return Inception(card, network.to(device).eval().requires_grad_(False), resized_clean())


def resized_clean() -> Callable[[Tensor], Tensor]:
    """Returns clean-fid's own resize: uint8 (3, H, W) to float32 (3, 299, 299) in [0, 255]."""
    from cleanfid.resize import build_resizer

    resizer = build_resizer("clean")

    def prepare(image: Tensor) -> Tensor:
        pixels = resizer(image.permute(1, 2, 0).numpy())
        return torch.from_numpy(pixels).permute(2, 0, 1).contiguous()

    return prepare


def _clean_fid_network(file: Path) -> nn.Module:
    """Returns clean-fid's own wrapper; it would look for the file under a single name only."""
    from cleanfid.inception_torchscript import InceptionV3W

    class AnyFile(InceptionV3W):
        def __init__(self, base: nn.Module) -> None:
            nn.Module.__init__(self)
            self.base, self.layers, self.resize_inside = base, base.layers, False

    try:
        network = AnyFile(read_torchscript(file))
        with torch.inference_mode():
            network(torch.zeros(1, 3, SIDE, SIDE))
    except (AttributeError, RuntimeError) as error:
        raise GendataError(
            f"{file} is not the Inception-v3 of clean-fid",
            found=str(error).strip().splitlines()[-1],
            expected=f"the TorchScript file {FILE_NAME}, whose part 'layers' gives 2048 features",
        ) from error
    return network


def _fetch(file: Path, download: bool) -> None:
    from cleanfid.downloads_helper import inception_url

    if not download:
        raise GendataError(
            "the weights of Inception-v3 are not on this machine",
            found=f"nothing at {file}, where clean-fid keeps them",
            do=f"put the file from {inception_url} there, name the file that you have "
            "(inception:FILE), or ask for a download",
        )
    try:
        with urllib.request.urlopen(inception_url) as response:
            publish(file, lambda target: shutil.copyfileobj(response, target))
    except OSError as error:
        raise GendataError(
            "the weights of Inception-v3 could not be downloaded",
            found=error,
            do=f"try again when the network is back, or put {inception_url} at {file} yourself",
        ) from error
