"""Generators as TorchScript: module(z, label) returns an image in [-1, 1]."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from gendata.errors import GendataError
from gendata.models.device import resolve_device
from gendata.models.torchscript import read_torchscript
from gendata.models.weights import digest_of
from gendata.registry import samplers
from gendata.samplers.labels import LARGEST_LATENT, check_labels, class_names
from gendata.samplers.pixels import to_uint8
from gendata.seeds import image_noise
from gendata.types import Card

__all__ = ["LatentSampler", "load_torchscript"]


class LatentSampler:
    """A generator from latents, and labels where there are classes, as a `gendata.types.Sampler`.

    Args:
        module: maps z (B, z_dim) and labels (B,) int64 to images (B, 1 or 3, H, H) in [-1, 1];
            an unconditional one takes z alone.
        z_dim: latent size; z is standard normal.
        classes: class names, or None for an unconditional generator.
        name: the reference it was loaded from.
        card: origin, licence, digest and settings.
        device: where it runs.
    """

    def __init__(
        self,
        module: nn.Module,
        z_dim: int,
        classes: list[str] | None,
        name: str,
        card: Card,
        device: torch.device,
    ) -> None:
        self.module, self.z_dim, self.device = module.to(device).eval(), z_dim, device
        self.name, self.classes, self.card = name, classes, card
        self.resolution = self._probe()
        self._lay_channels_last()

    @torch.inference_mode()
    def sample(self, labels: Tensor | None, seeds: Tensor) -> Tensor:
        """Draws uint8 (B, 3, H, W) for labels (B,) and seeds (B,)."""
        count = None if self.classes is None else len(self.classes)
        labels = check_labels(labels, seeds, count, self.device)
        return to_uint8(self._generate(image_noise(seeds, (self.z_dim,), self.device), labels))

    def _generate(self, z: Tensor, labels: Tensor | None) -> Tensor:
        return self.module(z) if labels is None else self.module(z, labels)

    @torch.inference_mode()
    def _probe(self) -> int:
        """Finds the resolution, and makes sure that an image depends on its own input alone."""
        z, labels = self._probe_inputs()
        try:
            images = self._generate(z[:2], labels)
            other = self._generate(z[[0, 2]], labels)
        except (RuntimeError, TypeError, IndexError) as error:
            inputs = "z" if labels is None else "z and labels"
            raise GendataError(
                f"{self.name} does not run on {inputs} with z_dim {self.z_dim}",
                found=str(error).strip().splitlines()[-1],
                do="check the options z_dim and classes",
            ) from error
        is_image = torch.is_tensor(images) and images.ndim == 4 and images.shape[1] in (1, 3)
        if not is_image or images.shape[2] != images.shape[3]:
            raise GendataError(
                f"{self.name} returns no square images",
                found=tuple(images.shape) if torch.is_tensor(images) else type(images).__name__,
                expected="(B, 1 or 3, H, H)",
            )
        if not torch.allclose(images[0], other[0], atol=1e-3, equal_nan=True):
            raise GendataError(
                f"an image of {self.name} depends on more than its latent and its label",
                found="another image when the rest of the batch changed, or noise of its own",
                do="export the module in evaluation mode, with fixed noise",
            )
        return images.shape[2]

    @torch.inference_mode()
    def _lay_channels_last(self) -> None:
        """Lays the weights as convolutions run fastest, where the module gives the same images."""
        z, labels = self._probe_inputs()
        before = self._generate(z[:2], labels)
        self.module.to(memory_format=torch.channels_last)
        try:
            same = torch.allclose(self._generate(z[:2], labels), before, atol=1e-3, equal_nan=True)
        except RuntimeError:  # it views its activations in the usual layout
            same = False
        if not same:
            self.module.to(memory_format=torch.contiguous_format)

    def _probe_inputs(self) -> tuple[Tensor, Tensor | None]:
        """Three latents, and labels for two: the first and the last."""
        z = image_noise([0, 1, 2], (self.z_dim,), self.device)
        if self.classes is None:
            return z, None
        return z, torch.tensor([0, len(self.classes) - 1], device=z.device)


@samplers.register("torchscript")
def load_torchscript(
    path: str | Path,
    *,
    device: str | torch.device = "auto",
    z_dim: int | None = None,
    classes: int | Sequence[str] | None = None,
) -> LatentSampler:
    """Loads a TorchScript generator.

    Args:
        path: the file.
        device: "auto", "cpu", "cuda", …
        z_dim: latent size; None: the module's attribute of that name.
        classes: names or number of the classes; None: an unconditional generator.
    """
    module = read_torchscript(path)
    z_dim = getattr(module, "z_dim", None) if z_dim is None else z_dim
    if not isinstance(z_dim, int) or z_dim is True or not 1 <= z_dim <= LARGEST_LATENT:
        raise GendataError(
            f"the latent size of {path} is unknown", found=repr(z_dim), do="give the option z_dim"
        )
    # A file may name its classes itself, as those of our recipes do.
    names = class_names(getattr(module, "classes", None) if classes is None else classes)
    card = Card(
        title=Path(path).name,
        origin=str(path),
        sha256=digest_of(path),
        settings={"z_dim": z_dim, "classes": names},
    )
    return LatentSampler(module, z_dim, names, f"torchscript:{path}", card, resolve_device(device))
