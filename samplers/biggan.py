"""BigGAN-deep in the Hugging Face format: config.json and pytorch_model.bin in a folder.

Truncation does two things (Brock et al. 2019, section 3.1): latents are drawn from a normal
distribution cut at two standard deviations and shrunk, and batch normalisation uses the statistics
that were gathered at that truncation.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from gendata.errors import GendataError
from gendata.models.device import resolve_device
from gendata.models.weights import digest_of, read_weights
from gendata.registry import samplers
from gendata.samplers.compilation import compile_network, compile_setting
from gendata.samplers.labels import check_labels, class_names
from gendata.samplers.networks.biggan import Generator, build
from gendata.samplers.pipeline import read_json
from gendata.samplers.pixels import to_uint8
from gendata.seeds import image_noise
from gendata.types import Card

__all__ = ["BigganSampler", "imagenet_names", "load_biggan", "truncated_latents"]

WEIGHTS = ("model.safetensors", "pytorch_model.safetensors", "pytorch_model.bin")
BOUND = 2.0  # where the normal distribution is cut


class BigganSampler:
    """A BigGAN-deep generator as a `gendata.types.Sampler`.

    Args:
        generator: the network.
        classes: class names.
        name: the reference it was loaded from.
        card: origin, digest and settings.
        device: where it runs.
        truncation: in (0, 1]; 1 draws from all that the generator can make.
        compile: whether `torch.compile` makes the network's code.
    """

    def __init__(
        self,
        generator: Generator,
        classes: list[str],
        name: str,
        card: Card,
        device: torch.device,
        truncation: float,
        compile: bool = False,
    ) -> None:
        generator.use_truncation(truncation)
        self.generator = generator.to(device, memory_format=torch.channels_last)
        self._draw = compile_network(self.generator, compile, device)
        self.name, self.classes, self.card, self.device = name, classes, card, device
        self.truncation = truncation
        self.z_dim: int = generator.z_dim
        self.resolution: int = generator.img_resolution

    @torch.inference_mode()
    def sample(self, labels: Tensor | None, seeds: Tensor) -> Tensor:
        """Draws uint8 (B, 3, H, W) for labels (B,) and seeds (B,)."""
        labels = check_labels(labels, seeds, len(self.classes), self.device)
        latents = truncated_latents(seeds, self.z_dim, self.truncation)
        return to_uint8(self.synthesize(latents, labels), "(x+1)*128")

    @torch.inference_mode()
    def synthesize(self, z: Tensor, labels: Tensor | None) -> Tensor:
        """Returns the network's own images (B, 3, H, W), float32 in [-1, 1].

        Args:
            z: latents (B, z_dim), already truncated.
            labels: (B,) int64.
        """
        if z.ndim != 2 or z.shape[1] != self.z_dim:
            raise GendataError(
                "latents of a wrong shape", found=tuple(z.shape), expected=f"(B, {self.z_dim})"
            )
        labels = check_labels(labels, torch.empty(len(z)), len(self.classes), self.device)
        return self._draw(z.to(self.device, torch.float32), labels)


@samplers.register("biggan")
def load_biggan(
    path: str | Path,
    *,
    device: str | torch.device = "auto",
    truncation: float = 1.0,
    classes: int | Sequence[str] | None = None,
    compile: bool = False,
) -> BigganSampler:
    """Loads a published BigGAN-deep folder.

    Args:
        path: the folder.
        device: "auto", "cpu", "cuda", …
        truncation: in (0, 1]; lower is more typical and less varied.
        classes: names of the classes, in the order of the labels; None: ImageNet's where there
            are a thousand, else numbers.
        compile: whether `torch.compile` makes the network's code; images then differ in rounding.
    """
    is_number = isinstance(truncation, int | float) and not isinstance(truncation, bool)
    if not is_number or not 0 < truncation <= 1:
        raise GendataError("bad option truncation", found=repr(truncation), expected="in (0, 1]")
    folder, names = Path(path), class_names(classes)
    found = resolve_device(device)
    weights = _weights_file(folder)
    generator = build(_read(weights), read_json(folder / "config.json"))
    if names is None:
        names = imagenet_names() if generator.c_dim == 1000 else class_names(generator.c_dim)
    if names is None or len(names) != generator.c_dim:
        raise GendataError(
            f"the option classes does not fit {path}",
            found=f"{len(names or [])} classes",
            expected=generator.c_dim,
        )
    card = Card(
        f"BigGAN-deep {folder.name}",
        str(path),
        sha256=digest_of(weights),
        settings={
            "truncation": float(truncation),
            "eps": generator.norm.eps,
            "classes": None if classes is None else names,
            **compile_setting(compile),
        },
    )
    name = f"biggan:{path}"
    return BigganSampler(generator, names, name, card, found, float(truncation), compile)


def truncated_latents(seeds: Tensor | Sequence[int], size: int, truncation: float) -> Tensor:
    """Draws latents (B, size), float32: a normal distribution cut at ±2, times the truncation.

    An image's own noise is moved through the two distribution functions, so that a draw needs no
    repeats, and images that differ in truncation alone have latents that are alike.
    """
    low = torch.special.ndtr(torch.tensor(-BOUND, dtype=torch.float64))
    share = torch.special.ndtr(image_noise(seeds, (size,)).double())
    latents = torch.special.ndtri(low + share * (1 - 2 * low))
    return (truncation * latents.clamp(-BOUND, BOUND)).float()


def imagenet_names() -> list[str]:
    """Names of ImageNet's thousand classes in label order, each with its synonyms."""
    from timm.data import ImageNetInfo

    table = ImageNetInfo()
    return [table.index_to_description(label) for label in range(1000)]


def _weights_file(folder: Path) -> Path:
    for name in WEIGHTS:
        if (folder / name).is_file():
            return folder / name
    raise GendataError(
        f"{folder} holds no BigGAN-deep weights",
        expected=f"a folder with config.json and {' or '.join(WEIGHTS[1:])}",
    )


def _read(path: Path) -> dict[str, Tensor]:
    """Reads the weights, and refuses tensors that claim more than the file can hold."""
    try:
        tensors = read_weights(path)
    except GendataError:
        raise
    except Exception as error:  # PyTorch's reader meets a damaged file with errors of any kind
        raise GendataError(
            f"{path} cannot be read as weights",
            found=(str(error).strip().splitlines() or [type(error).__name__])[0][:200],
        ) from error
    claimed = sum(tensor.numel() * tensor.element_size() for tensor in tensors.values())
    if claimed > path.stat().st_size or not all(map(_is_plain, tensors.values())):
        raise GendataError(
            f"{path} holds tensors that are not what they seem",
            found=f"{claimed} bytes in a file of {path.stat().st_size}",
        )
    return tensors


def _is_plain(tensor: Tensor) -> bool:
    has_numbers = not (tensor.is_quantized or tensor.is_complex())
    return has_numbers and tensor.layout is torch.strided and tensor.device.type == "cpu"
