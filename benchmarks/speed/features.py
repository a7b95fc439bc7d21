"""Does extracting features run at the speed of the bare network?"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

import torch

from gendata.benchmarks.speed.measurement import (
    Measurement,
    median_ratio,
    seconds,
    three_digits,
)
from gendata.features.encoders import load_encoder
from gendata.features.extract import extract_features
from gendata.images import Subset, decode_all, export_images, open_images
from gendata.models.backbones import load_backbone
from gendata.models.efficientnet_lite import EMBEDDED_NAME
from gendata.types import Images

__all__ = ["measure"]

IMAGES, SIDE, BATCH, PAIRS = 2048, 32, 128, 5


def measure() -> list[Measurement]:
    """Extracts features of 2,048 images of 32x32, from memory and from PNG files."""
    images = decode_all(Subset(open_images("fashion-mnist:test"), range(IMAGES)), SIDE)
    found = [_beside_bare_network(images, "images in memory", ">= 0.95")]
    with tempfile.TemporaryDirectory() as name:
        export_images(images, Path(name) / "images")
        files = open_images(Path(name) / "images")
        found.append(_beside_bare_network(files, "PNG files", ""))
    return found


def _beside_bare_network(images: Images, what: str, asked: str) -> Measurement:
    encoder = load_encoder()
    bare = bare_network(images, encoder.device)

    def extract() -> None:
        extract_features(images, encoder, batch_size=BATCH, progress=False)

    for warm_up in (extract, bare):
        warm_up()
    ratio, first, second = median_ratio(
        lambda: len(images) / seconds(extract), lambda: len(images) / seconds(bare), PAIRS
    )
    how = (
        f"{three_digits(first)} against {three_digits(second)} images/s, {len(images)} images of "
        f"{SIDE}x{SIDE}, batch {BATCH}, {PAIRS} pairs"
    )
    name = f"features of {what} / bare network ({EMBEDDED_NAME})"
    return Measurement(name, asked, f"{ratio:.2f}", ratio, how)


def bare_network(images: Images, device: torch.device) -> Callable[[], None]:
    """Returns one pass over batches that are decoded, normalised and on the device already."""
    backbone, recipe, _ = load_backbone(EMBEDDED_NAME)
    backbone = backbone.to(device).eval()
    mean, std = (torch.tensor(each).view(3, 1, 1) for each in (recipe.mean, recipe.std))
    batches = [
        ((batch / 255 - mean) / std).to(device) for batch in decode_all(images).images.split(BATCH)
    ]

    @torch.inference_mode()
    def once() -> None:
        for batch in batches:
            backbone(batch)

    return once
