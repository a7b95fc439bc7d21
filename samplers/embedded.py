"""The generators that come with this package, trained on Fashion-MNIST by scripts in it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from gendata.assets import asset_folder, described
from gendata.errors import GendataError
from gendata.models.device import resolve_device
from gendata.models.generator import ConditionalGenerator
from gendata.models.weights import digest_of, fit_weights, read_weights
from gendata.registry import samplers
from gendata.samplers import call_with_options
from gendata.samplers.diffusers import DiffusionSampler, load_diffusers
from gendata.samplers.pipeline import read_json
from gendata.samplers.torchscript import LatentSampler
from gendata.types import Card, Sampler

__all__ = ["load_embedded"]


@samplers.register("embedded")
def load_embedded(name: str, *, device: str | torch.device = "auto", **options: Any) -> Sampler:
    """Loads an embedded generator: "fashion-diffusion" or "fashion-gan"."""
    loaders = {"fashion-diffusion": _fashion_diffusion, "fashion-gan": _fashion_gan}
    if name not in loaders:
        raise GendataError(
            f"this installation has no embedded generator '{name}'",
            expected=f"one of {', '.join(loaders)}",
        )
    return call_with_options(
        loaders[name],
        f"embedded:{name}",
        options,
        asset_folder(name),
        device=resolve_device(device),
    )


def _fashion_diffusion(
    folder: Path, *, device: torch.device, steps: int = 8, guidance: float = 1.5
) -> DiffusionSampler:
    sampler = load_diffusers(folder, device=device, steps=steps, guidance=guidance)
    sampler.name = f"embedded:{folder.name}"
    sampler.card = described(folder.name, sampler.card)
    return sampler


def _fashion_gan(folder: Path, *, device: torch.device) -> LatentSampler:
    config = read_json(folder / "config.json")
    weights = folder / "generator.safetensors"
    generator = ConditionalGenerator(
        config["z_dim"], len(config["classes"]), tuple(config["widths"])
    )
    fit_weights(generator, read_weights(weights), weights)
    card = Card("", sha256=digest_of(weights), settings={"z_dim": config["z_dim"]})
    return LatentSampler(
        generator,
        config["z_dim"],
        config["classes"],
        f"embedded:{folder.name}",
        described(folder.name, card),
        device,
    )
