"""Draws with the official code in a user's clone: run by `official`, in a process of its own.

This process runs whatever the clone and the checkpoint hold. It knows nothing of `gendata`: it
reads one request a line as JSON from its input, and answers each with a line:

    {"do": "draw", "seeds": […], "labels": […] or null}           -> {"seconds": …}
    {"do": "images", "latents": FILE, "labels": …, "out": FILE}   -> {}

A draw goes from seeds to bytes as the repository's own script does, though by the batch.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
import pickle
import sys
import time
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.torch_version import TorchVersion

# The clones import these for downloads and version numbers, and most environments lack them now.
ABSENT: dict[str, dict[str, Any]] = {
    "pkg_resources": {"parse_version": TorchVersion},
    "boto3": {},
    "botocore": {},
    "botocore.exceptions": {"ClientError": OSError},
}


class Stylegan:
    """StyleGAN2-ADA, StyleGAN3, StyleGAN-XL and Projected GAN."""

    def __init__(self, checkpoint: Path, settings: dict[str, Any]) -> None:
        self.device = torch.device(settings["device"])
        with checkpoint.open("rb") as file:
            networks = importlib.import_module("legacy").load_network_pkl(file)
        self.network = networks[settings["network"]].eval().requires_grad_(False).to(self.device)
        self.options = {"noise_mode": settings["noise_mode"]}
        if settings["psi"] != 1:  # Projected GAN's FastGAN has no truncation
            self.options["truncation_psi"] = settings["psi"]
            self.options["truncation_cutoff"] = settings["cutoff"]
        if self.device.type != "cuda":
            self.options["force_fp32"] = True

    def latents(self, seeds: list[int]) -> Tensor:
        """Draws latents (B, z_dim)."""
        rows = [np.random.RandomState(seed).randn(1, self.network.z_dim) for seed in seeds]
        return torch.from_numpy(np.concatenate(rows)).to(self.device, torch.float32)

    def images(self, latents: Tensor, labels: list[int] | None, _: object) -> Tensor:
        """Maps latents (B, z_dim) to images (B, C, H, W), about [-1, 1]."""
        classes = torch.zeros(len(latents), self.network.c_dim, device=self.device)
        if labels is not None:
            classes[range(len(labels)), labels] = 1
        return self.network(latents, classes, **self.options)

    def without_noise(self) -> None:
        """Silences layers that draw fresh noise whatever the noise mode (FastGAN's)."""
        for module in self.network.modules():
            if type(module).__name__ == "NoiseInjection":
                module.weight.zero_()


class Edm:
    """EDM, VP, VE and iDDPM networks with the repository's `edm_sampler`."""

    def __init__(self, checkpoint: Path, settings: dict[str, Any]) -> None:
        self.device = torch.device(settings["device"])
        self.script = importlib.import_module("generate")
        with checkpoint.open("rb") as file:
            networks = pickle.load(file)
        self.network = networks[settings["network"]].eval().requires_grad_(False).to(self.device)
        self.options = settings["sampler"]

    def latents(self, seeds: list[int]) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
        """Draws noise (B, C, H, W), and what draws more."""
        random = self.script.StackedRandomGenerator(self.device, seeds)
        network = self.network
        shape = [len(seeds), network.img_channels, network.img_resolution, network.img_resolution]
        return random.randn(shape, device=self.device), random.randn_like

    def images(self, latents: Tensor, labels: list[int] | None, randn_like: Any) -> Tensor:
        """Maps noise (B, C, H, W) to images (B, C, H, W), about [-1, 1]."""
        classes = None
        if labels is not None:
            classes = torch.eye(self.network.label_dim, device=self.device)[labels]
        options = {**self.options, "randn_like": randn_like or torch.randn_like}
        return self.script.edm_sampler(self.network, latents, classes, **options)

    def without_noise(self) -> None:
        """There is none that the options do not tell."""


class Biggan:
    """BigGAN-deep of pytorch-pretrained-BigGAN."""

    def __init__(self, checkpoint: Path, settings: dict[str, Any]) -> None:
        self.device = torch.device(settings["device"])
        self.package = importlib.import_module("pytorch_pretrained_biggan")
        self.network = self.package.BigGAN.from_pretrained(str(checkpoint))
        self.network = self.network.eval().requires_grad_(False).to(self.device)
        self.truncation = settings["truncation"]

    def latents(self, seeds: list[int]) -> Tensor:
        """Draws latents (B, z_dim), all from the first seed as the repository's example does."""
        size, z_dim = len(seeds), self.network.config.z_dim
        values = self.package.truncated_noise_sample(
            batch_size=size, dim_z=z_dim, truncation=self.truncation, seed=seeds[0] % 2**32
        )
        return torch.from_numpy(values).to(self.device)

    def images(self, latents: Tensor, labels: list[int] | None, _: object) -> Tensor:
        """Maps latents (B, z_dim) to images (B, 3, H, W) in [-1, 1]."""
        classes = torch.zeros(len(latents), self.network.config.num_classes, device=self.device)
        classes[range(len(latents)), labels or []] = 1
        return self.network(latents, classes, self.truncation)

    def without_noise(self) -> None:
        """There is none."""


FAMILIES = {"stylegan": Stylegan, "edm": Edm, "biggan": Biggan}


def draw(family: Any, seeds: list[int], labels: list[int] | None) -> None:
    """From seeds to bytes on the CPU, uint8 (B, H, W, C)."""
    found = family.latents(seeds)
    latents, more = found if isinstance(found, tuple) else (found, None)
    images = family.images(latents, labels, more)
    (images * 127.5 + 128).clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy()


def answer(family: Any, request: dict[str, Any]) -> dict[str, Any]:
    """Does what one line asks for."""
    if request["do"] == "draw":
        start = time.perf_counter()
        draw(family, request["seeds"], request["labels"])
        return {"seconds": time.perf_counter() - start}
    family.without_noise()  # the last request: what follows would be quicker than it ought to be
    latents = torch.from_numpy(np.load(request["latents"])).to(family.device)
    images = family.images(latents, request["labels"], None)
    np.save(request["out"], images.float().cpu().numpy())
    return {}


def stand_in() -> None:
    """Puts empty modules where a clone imports what drawing does not need."""
    absent = [name for name in ABSENT if importlib.util.find_spec(name.partition(".")[0]) is None]
    for name in absent:
        sys.modules[name] = types.ModuleType(name)
        vars(sys.modules[name]).update(ABSENT[name])


def main() -> None:
    """Serves requests until the input ends; the clone's own prints go to the error output."""
    replies = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)

    def reply(content: dict[str, Any]) -> None:
        replies.write(json.dumps(content) + "\n")
        replies.flush()

    settings = json.loads(sys.argv[1])
    # In place of this file's own folder, whose modules are none of the clone's business.
    sys.path[0] = settings["clone"]
    torch.set_num_threads(settings["threads"])
    try:
        stand_in()
        with torch.no_grad():
            family = FAMILIES[settings["kind"]](Path(settings["checkpoint"]), settings)
            reply({})
            for line in sys.stdin:
                reply(answer(family, json.loads(line)))
    except Exception as error:  # whatever the clone may raise: the asker tells the user
        reply({"error": f"{type(error).__name__}: {error}"[:400]})


if __name__ == "__main__":
    main()
