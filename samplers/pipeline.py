"""A diffusers pipeline folder: read as data, its parts built from diffusers' own classes only."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import nn

from gendata.errors import GendataError

__all__ = [
    "Pipeline",
    "build_scheduler",
    "open_pipeline",
    "part_classes",
    "read_index",
    "read_json",
    "read_scheduler",
    "scheduler_class",
]

# Its noise comes from one Brownian motion over the whole batch: images would depend on neighbours.
NOT_PER_IMAGE = {"DPMSolverSDEScheduler"}

# Of few-step models, which are not interchangeable with the others.
FEW_STEPS = ("LCMScheduler", "CMStochasticIterativeScheduler")


@dataclass(frozen=True)
class Pipeline:
    """The parts of a pipeline.

    Attributes:
        kind: class that the folder names, such as "DDPMPipeline".
        network: the denoiser: a UNet2DModel or a DiT transformer.
        vae: decoder of a latent pipeline (AutoencoderKL or VQModel), or None.
        classes: class names in label order, where the folder has them.
        weights: the weights files.
    """

    kind: str
    network: nn.Module
    vae: nn.Module | None
    classes: list[str] | None
    weights: list[Path]


def read_index(folder: Path) -> dict[str, Any]:
    """Reads which parts a pipeline folder has."""
    if not (folder / "model_index.json").is_file():
        raise GendataError(
            f"{folder} is no diffusers pipeline",
            found="no model_index.json",
            expected="a local folder as written by save_pretrained",
        )
    return read_json(folder / "model_index.json")


def part_classes(folder: Path, index: dict[str, Any]) -> dict[str, str]:
    """Names the networks that a pipeline is loaded from, and the class of each.

    Raises:
        GendataError: the pipeline, or the class of a part, is not supported.
    """
    if "unet" in index:
        decoders = {"VQModel", "AutoencoderKL"}  # latent diffusion has one under either name
        allowed = {"unet": {"UNet2DModel"}, "vqvae": decoders, "vae": decoders}
    elif "transformer" in index and "vae" in index:
        transformers = {"DiTTransformer2DModel", "Transformer2DModel"}
        allowed = {"transformer": transformers, "vae": {"AutoencoderKL"}}
    else:
        raise GendataError(
            f"{folder} is not a pipeline of a supported kind",
            found=f"{index.get('_class_name')} with parts "
            f"{', '.join(key for key in index if not key.startswith('_'))}",
            expected="unet and scheduler, or transformer, vae and scheduler",
        )
    return {
        part: _part_class(folder, index, part, classes)
        for part, classes in allowed.items()
        if part in index
    }


def open_pipeline(folder: Path, dtype: torch.dtype) -> Pipeline:
    """Reads a pipeline folder; networks come in evaluation mode, on the CPU."""
    index = read_index(folder)
    classes = part_classes(folder, index)
    parts = {part: _load(folder, part, name, dtype) for part, name in classes.items()}
    names: dict[str, Any] = index.get("id2label") or {}
    return Pipeline(
        kind=str(index.get("_class_name")),
        network=parts["unet"] if "unet" in parts else parts["transformer"],
        vae=parts.get("vae", parts.get("vqvae")),
        classes=[str(names[key]) for key in sorted(names, key=int)] or None,
        weights=sorted(
            {
                path
                for part in parts
                for path in _part_folder(folder, part).glob("*")
                if path.suffix in (".safetensors", ".bin")
            }
        ),
    )


def read_scheduler(folder: Path, index: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """Returns the class and the configuration of a folder's scheduler."""
    name = scheduler_class(folder, index)
    return name, read_json(_part_folder(folder, "scheduler") / "scheduler_config.json")


def scheduler_class(folder: Path, index: dict[str, Any]) -> str:
    """Returns the class of a folder's scheduler; an unsupported one is an error."""
    return _part_class(folder, index, "scheduler", set(_schedulers()))


def build_scheduler(kind: str, own: str, config: dict[str, Any], name: str | None) -> Any:
    """Builds a scheduler from a pipeline's configuration.

    Args:
        kind: class of the pipeline.
        own: class of its scheduler.
        config: the scheduler's configuration.
        name: class of diffusers, with or without "Scheduler", such as "ddim"; None: the
            pipeline's own.
    """
    import diffusers

    if name is None:
        # diffusers' DDIMPipeline turns whatever its folder names into DDIM.
        name = "DDIMScheduler" if kind == "DDIMPipeline" else own
    known = {key.lower().removesuffix("scheduler"): key for key in _schedulers()}
    key = name.lower().removesuffix("scheduler").replace("-", "").replace("_", "")
    if key not in known:
        raise GendataError(
            f"no scheduler is called '{name}'", expected=f"one of {', '.join(known.values())}"
        )
    return getattr(diffusers, known[key]).from_config(config)


def read_json(path: Path) -> dict[str, Any]:
    """Reads a JSON object."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise GendataError(f"{path} cannot be read", found=error, expected="JSON") from error
    if not isinstance(content, dict):
        raise GendataError(f"{path} is no JSON object", found=type(content).__name__)
    return content


def _schedulers() -> list[str]:
    from diffusers.schedulers import KarrasDiffusionSchedulers

    names = [part.name for part in KarrasDiffusionSchedulers if part.name not in NOT_PER_IMAGE]
    return [*names, *FEW_STEPS]


def _part_class(folder: Path, index: dict[str, Any], part: str, allowed: set[str]) -> str:
    entry = index.get(part)
    name = entry[-1] if isinstance(entry, list) and entry else None
    if name not in allowed:
        raise GendataError(
            f"the {part} of {folder} is not of a supported class",
            found=name,
            expected=f"one of {', '.join(sorted(allowed))}",
        )
    return str(name)


def _part_folder(folder: Path, part: str) -> Path:
    """Where a part lies: pipelines of one network may keep everything in the top folder."""
    return folder / part if (folder / part).is_dir() else folder


def _load(folder: Path, part: str, name: str, dtype: torch.dtype) -> nn.Module:
    import diffusers

    if name == "Transformer2DModel":  # what DiT checkpoints were called in older folders
        name = "DiTTransformer2DModel"
    try:
        network = getattr(diffusers, name).from_pretrained(
            _part_folder(folder, part), torch_dtype=dtype, local_files_only=True
        )
    except (OSError, ValueError, RuntimeError, KeyError, SafetensorError) as error:
        raise GendataError(
            f"the {part} of {folder} cannot be loaded",
            found=(str(error).strip().splitlines() or [type(error).__name__])[0],
            expected="configuration and weights as written by save_pretrained",
        ) from error
    return network.eval()
