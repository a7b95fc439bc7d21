"""Published GAN files (.pkl): StyleGAN2-ADA, StyleGAN3, StyleGAN-XL and Projected GAN.

The file is read as data and its network is rebuilt from our own modules, so nothing that it names
or carries is run. `networks/` holds one module a family; here they get latents, labels and noise.
"""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gendata.errors import GendataError
from gendata.models.device import resolve_device
from gendata.models.weights import digest_of
from gendata.registry import samplers
from gendata.samplers.compilation import compile_network, compile_setting
from gendata.samplers.families import describe_network
from gendata.samplers.labels import check_labels, class_names
from gendata.samplers.pixels import to_uint8
from gendata.samplers.restricted_pickle import Record, read_checkpoint
from gendata.seeds import hash_seed, image_noise
from gendata.types import Card

__all__ = ["StyleganSampler", "build_generator", "load_stylegan"]

DTYPES = {
    "float32": torch.float32,
    "float16": torch.float16,
    "bfloat16": torch.bfloat16,
}
# By how the family's name begins, as `families` tells it.
MODULES = {
    "stylegan2": "stylegan2",
    "stylegan3": "stylegan3",
    "stylegan-xl": "stylegan_xl",
    "projected-gan": "projected_gan",
}
NOISE_MODES = ("const", "none", "random")
LARGEST_PSI = 1e6
NOISE_STREAM = 1  # of an image's seed; its latent is drawn from the seed itself


class StyleganSampler:
    """A generator of the StyleGAN family as a `gendata.types.Sampler`.

    Args:
        generator: the network, as the modules in `gendata.samplers.networks` build it.
        classes: class names, or None for an unconditional generator.
        name: the reference it was loaded from.
        card: origin, digest and settings.
        device: where it runs.
        psi: truncation; 1 draws from all that the generator can make.
        cutoff: how many styles, from the coarsest, are truncated; None: all.
        noise_mode: "const" (the file's), "none" or "random" (from each image's seed).
        dtype: what convolutions and matrix products are computed in.
        compile: whether `torch.compile` makes the network's code.
    """

    file_options = ("centroids",)

    def __init__(
        self,
        generator: Any,
        classes: list[str] | None,
        name: str,
        card: Card,
        device: torch.device,
        *,
        psi: float = 1.0,
        cutoff: int | None = None,
        noise_mode: str = "const",
        dtype: torch.dtype = torch.float32,
        compile: bool = False,
    ) -> None:
        self.generator = generator.to(device).eval()
        self.name, self.classes, self.card, self.device = name, classes, card, device
        self.psi, self.cutoff, self.noise_mode = psi, cutoff, noise_mode
        self.dtype = dtype
        self._draw = compile_network(self.generator, compile, device)
        self.z_dim: int = self.generator.z_dim
        self.resolution: int = self.generator.img_resolution

    @torch.inference_mode()
    def sample(self, labels: Tensor | None, seeds: Tensor) -> Tensor:
        """Draws uint8 (B, 3, H, W) for labels (B,) and seeds (B,)."""
        z = image_noise(seeds, (self.z_dim,), self.device)
        return to_uint8(self.synthesize(z, labels, seeds), self.generator.to_bytes)

    @torch.inference_mode()
    def synthesize(
        self, z: Tensor, labels: Tensor | None = None, seeds: Tensor | None = None
    ) -> Tensor:
        """Returns the network's own images (B, C, H, W), float32 and about [-1, 1].

        Args:
            z: latents (B, z_dim), standard normal.
            labels: (B,) int64; None for an unconditional generator.
            seeds: (B,), where the noise mode is "random": what the noise is drawn from; without
                them there is none.
        """
        if z.ndim != 2 or z.shape[1] != self.z_dim:
            raise GendataError(
                "latents of a wrong shape", found=tuple(z.shape), expected=f"(B, {self.z_dim})"
            )
        count = None if self.classes is None else len(self.classes)
        labels = check_labels(labels, torch.empty(len(z)), count, self.device)
        noise: Any = self.noise_mode
        if noise == "random":
            noise = "none" if seeds is None else self._noise(seeds)
        if not len(z):
            return torch.zeros(0, self.generator.img_channels, *[self.resolution] * 2)
        z = z.to(self.device, torch.float32)
        half = self.dtype != torch.float32
        with torch.autocast(self.device.type, self.dtype if half else None, enabled=half):
            images = self._draw(z, labels, psi=self.psi, cutoff=self.cutoff, noise=noise)
        return images.float()

    def _noise(self, seeds: Tensor) -> list[Tensor]:
        """Draws every layer's noise of an image from its seed, whatever else is in the batch."""
        shapes: list[tuple[int, int]] = self.generator.noise_shapes
        sizes = [height * width for height, width in shapes]
        own = [hash_seed(int(seed), NOISE_STREAM) for seed in seeds]
        pieces = image_noise(own, (sum(sizes),), self.device).split(sizes, dim=1)
        return [
            piece.reshape(-1, 1, height, width)
            for piece, (height, width) in zip(pieces, shapes, strict=True)
        ]


@samplers.register("stylegan")
def load_stylegan(
    path: str | Path,
    *,
    device: str | torch.device = "auto",
    psi: float = 1.0,
    cutoff: int | None = None,
    noise_mode: str | None = None,
    network: str = "G_ema",
    classes: int | Sequence[str] | None = None,
    centroids: str | Path | None = None,
    dtype: str = "float32",
    compile: bool = False,
) -> StyleganSampler:
    """Loads a published generator of the StyleGAN family, without running any code of the file.

    Args:
        path: the file.
        device: "auto", "cpu", "cuda", …
        psi: truncation, 1 for none; Projected GAN's FastGAN has no such thing and ignores it.
        cutoff: how many styles, from the coarsest, are truncated; None: all.
        noise_mode: "const", "none" or "random" (seeded image by image); None: as published, which
            is "random" for Projected GAN's FastGAN and "const" for the others.
        network: "G_ema" (the averaged generator) or "G".
        classes: names of the classes, in the order of the labels; None: their numbers.
        centroids: a .npy file of styles (K, w_dim), as StyleGAN-XL publishes them: truncation
            pulls each image to the nearest of them instead of to its class's mean.
        dtype: "float32", or on an accelerator "float16" or "bfloat16" for convolutions and matrix
            products; images then differ by some 0.3 % or 2 % of their standard deviation.
        compile: whether `torch.compile` makes the network's code; images then differ in rounding.
    """
    _check_options(psi, cutoff, noise_mode, network)
    where = resolve_device(device)
    precision = _precision(dtype, where)
    generator = build_generator(_network(read_checkpoint(path), network, path), path)
    names = _names(generator.c_dim, classes, path)
    if centroids is not None:
        _use_centroids(generator, Path(centroids))
    drawing = _drawing(generator, psi, cutoff, noise_mode)
    settings = {
        **drawing,
        "family": generator.family,
        "network": network,
        "classes": names,
        "centroids": None if centroids is None else digest_of(centroids),
        "dtype": dtype,
        **compile_setting(compile),
    }
    card = Card(Path(path).name, str(path), sha256=digest_of(path), settings=settings)
    name = f"stylegan:{path}"
    drawing |= {"dtype": precision, "compile": compile}
    return StyleganSampler(generator, names, name, card, where, **drawing)


def _drawing(
    generator: Any, psi: float, cutoff: int | None, noise_mode: str | None
) -> dict[str, Any]:
    """What the images depend on, with the family's own ways filled in."""
    truncates = getattr(generator, "truncates", True)
    if not truncates and (psi != 1 or cutoff is not None):
        warnings.warn("FastGAN has no truncation: psi and cutoff change nothing", stacklevel=3)
        psi, cutoff = 1.0, None
    if noise_mode is None:
        noise_mode = "const" if truncates else "random"
    return {"psi": float(psi), "cutoff": cutoff, "noise_mode": noise_mode}


def build_generator(record: Record, path: str | Path) -> Any:
    """Rebuilds the generator of a record by the module of its family.

    Raises:
        GendataError: it is of no known family, or its parts do not fit one another.
    """
    module = _module(record)
    if module is None:
        raise GendataError(
            f"{path} holds a generator of an unknown family",
            found=f"{record.name} with {', '.join(record.modules()) or 'no modules'}",
            expected="StyleGAN2-ADA, StyleGAN3, StyleGAN-XL or Projected GAN",
        )
    build = importlib.import_module(f"gendata.samplers.networks.{module}").build
    try:
        generator = build(record)
    except (GendataError, MemoryError):
        raise
    except Exception as error:
        # A damaged file can make the parts of a network disagree in any way.
        raise GendataError(
            f"the generator in {path} cannot be rebuilt",
            found=(str(error).strip().splitlines() or [type(error).__name__])[0][:200],
        ) from error
    if generator.img_channels not in (1, 3):
        raise GendataError(
            f"the generator in {path} makes images that are neither grey nor RGB",
            found=f"{generator.img_channels} channels",
            expected="1 or 3",
        )
    return generator


def _module(record: Record) -> str | None:
    """Names the module in `networks/` that rebuilds a generator; None where it is of no family."""
    family = str(describe_network(record)["family"])
    return next((module for start, module in MODULES.items() if family.startswith(start)), None)


def _network(content: Any, network: str, path: str | Path) -> Record:
    """Takes a network out of a checkpoint, or says what it holds instead."""
    if isinstance(content, Record):  # a network on its own
        return content
    if isinstance(content, tuple | list) and len(content) == 3:
        raise GendataError(
            f"{path} is of the TensorFlow releases of StyleGAN",
            do="convert it with legacy.py of the PyTorch release",
        )
    members = content if isinstance(content, dict) else {}
    if not isinstance(members.get(network), Record):
        names = [str(name) for name, value in members.items() if isinstance(value, Record)]
        raise GendataError(
            f"{path} has no network '{str(network)[:40]}'",
            found=", ".join(names)[:200] or f"no networks in a {type(content).__name__}",
            expected="a .pkl file as StyleGAN's authors publish it",
        )
    return members[network]


def _names(c_dim: int, classes: int | Sequence[str] | None, path: str | Path) -> list[str] | None:
    names = class_names(classes)
    if names is not None and len(names) != c_dim:
        raise GendataError(
            f"the option classes does not fit {path}",
            found=f"{len(names)} classes",
            expected=f"{c_dim}" if c_dim else "none: it is unconditional",
        )
    return class_names(c_dim or None) if names is None else names


def _check_options(psi: float, cutoff: int | None, noise_mode: str | None, network: str) -> None:
    is_number = isinstance(psi, int | float) and not isinstance(psi, bool)
    if not is_number or not abs(psi) <= LARGEST_PSI:
        raise GendataError("bad option psi", found=repr(psi), expected="a number, such as 0.7")
    if not isinstance(network, str):
        raise GendataError("bad option network", found=repr(network), expected="G_ema or G")
    is_count = isinstance(cutoff, int) and not isinstance(cutoff, bool) and cutoff >= 0
    if cutoff is not None and not is_count:
        raise GendataError("bad option cutoff", found=repr(cutoff), expected="0, 1, 2, …")
    if noise_mode is not None and noise_mode not in NOISE_MODES:
        raise GendataError(
            "bad option noise_mode", found=repr(noise_mode), expected=", ".join(NOISE_MODES)
        )


def _precision(dtype: str, device: torch.device) -> torch.dtype:
    if not isinstance(dtype, str) or dtype not in DTYPES:
        raise GendataError("bad option dtype", found=repr(dtype), expected=" or ".join(DTYPES))
    if device.type == "cpu" and dtype != "float32":
        raise GendataError("bad option dtype", found=repr(dtype), expected="float32 on a CPU")
    return DTYPES[dtype]


def _use_centroids(generator: Any, path: Path) -> None:
    if not hasattr(generator, "use_centroids"):
        raise GendataError(
            "only StyleGAN-XL truncates to centroids", found=f"a generator of {generator.family}"
        )
    try:
        values = torch.from_numpy(np.load(path, allow_pickle=False)).float()
    except (OSError, ValueError, TypeError, AttributeError, EOFError) as error:
        raise GendataError(
            f"{path} cannot be read as centroids",
            found=(str(error).strip().splitlines() or [type(error).__name__])[0],
            expected="a .npy file of floats (K, w_dim)",
        ) from error
    generator.use_centroids(values)
