"""Text-to-image pipeline folders: read as data, built from known classes of known libraries only.

Stable Diffusion 1 and 2 (Rombach et al. 2022), Stable Diffusion XL (Podell et al. 2023) and latent
consistency models (Luo et al. 2023), as `save_pretrained` writes them.
"""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from gendata.errors import GendataError
from gendata.samplers.compilation import compile_network

__all__ = ["TextPipeline", "compile_unet", "draws_from_text", "open_text_pipeline", "text_parts"]

FAMILIES = {
    "StableDiffusionPipeline": ("StableDiffusionPipeline", "StableDiffusionImg2ImgPipeline"),
    "StableDiffusionXLPipeline": ("StableDiffusionXLPipeline", "StableDiffusionXLImg2ImgPipeline"),
    "LatentConsistencyModelPipeline": (
        "LatentConsistencyModelPipeline",
        "LatentConsistencyModelImg2ImgPipeline",
    ),
}
FAMILIES |= {with_photos: pair for pair in [*FAMILIES.values()] for with_photos in pair[1:]}

# Per part: the classes that a folder may name, and the class that is built for them.
PARTS: dict[str, dict[str, str]] = {
    "vae": {"AutoencoderKL": "AutoencoderKL", "AutoencoderTiny": "AutoencoderTiny"},
    "unet": {"UNet2DConditionModel": "UNet2DConditionModel"},
    "text_encoder": {"CLIPTextModel": "CLIPTextModel"},
    "text_encoder_2": {"CLIPTextModelWithProjection": "CLIPTextModelWithProjection"},
    "tokenizer": {"CLIPTokenizer": "CLIPTokenizer", "CLIPTokenizerFast": "CLIPTokenizer"},
    "tokenizer_2": {"CLIPTokenizer": "CLIPTokenizer", "CLIPTokenizerFast": "CLIPTokenizer"},
    "safety_checker": {"StableDiffusionSafetyChecker": "StableDiffusionSafetyChecker"},
    "feature_extractor": {
        "CLIPImageProcessor": "CLIPImageProcessor",
        "CLIPFeatureExtractor": "CLIPImageProcessor",  # its name in older folders
    },
}
OPTIONAL = ("safety_checker", "feature_extractor")
DATA = (".safetensors", ".bin", ".txt")
DATA_NAMES = ("vocab.json", "tokenizer.json")


@dataclass(frozen=True)
class TextPipeline:
    """A text-to-image pipeline.

    Attributes:
        kind: class that the folder names.
        pipe: diffusers' pipeline, on the CPU, in evaluation mode.
        with_photos: whether it starts from images.
        classes: class names in label order, where the folder has them.
        files: weights and vocabularies: what decides its images.
    """

    kind: str
    pipe: Any
    with_photos: bool
    classes: list[str] | None
    files: list[Path]


def draws_from_text(index: dict[str, Any]) -> bool:
    """Whether a pipeline's index names a text encoder."""
    return "text_encoder" in index or index.get("_class_name") in FAMILIES


def open_text_pipeline(
    folder: Path, index: dict[str, Any], scheduler: Any, dtype: torch.dtype, with_photos: bool
) -> TextPipeline:
    """Builds a pipeline from its folder.

    Args:
        folder: as written by `save_pretrained`.
        index: what its model_index.json holds.
        scheduler: the scheduler.
        dtype: of the networks.
        with_photos: whether it shall start from images instead of noise.
    """
    if importlib.util.find_spec("transformers") is None:
        raise GendataError(
            "pipelines that draw from text need transformers",
            do='pip install "gendata[hub]", or pip install transformers',
        )
    names = text_parts(folder, index)
    parts = {part: _load(folder, index, part, dtype) for part in names}
    labels: dict[str, Any] = index.get("id2label") or {}
    return TextPipeline(
        kind=_kind(folder, index),
        pipe=_assembled(folder, index, {**parts, "scheduler": scheduler}, with_photos),
        with_photos=with_photos,
        classes=[str(labels[key]) for key in sorted(labels, key=int)] or None,
        files=_files(folder, names),
    )


def text_parts(folder: Path, index: dict[str, Any]) -> list[str]:
    """Names the parts of a pipeline that draws from text, apart from the scheduler.

    Raises:
        GendataError: the pipeline, or the class of a part, is not supported.
    """
    _kind(folder, index)
    names = [
        part
        for part in PARTS
        if part in index and not (part in OPTIONAL and _entry(index, part) is None)
    ]
    for part in names:
        _part_class(folder, index, part)
    return names


def compile_unet(unet: nn.Module, wanted: object, device: torch.device) -> None:
    """Has `torch.compile` make the code of a pipeline's network, where that is wanted.

    Args:
        unet: the pipeline's network; its `forward` is replaced.
        wanted: the option `compile`.
        device: where the network will run.
    """
    plain = unet.forward

    def network(
        x: Tensor, time: Tensor, text: Tensor, condition: Tensor | None, **added: Tensor
    ) -> Tensor:
        return plain(
            x,
            time,
            encoder_hidden_states=text,
            timestep_cond=condition,
            added_cond_kwargs=added or None,
            return_dict=False,
        )[0]

    run = compile_network(network, wanted, device)
    if run is network:
        return

    def forward(x: Tensor, time: Tensor, **given: Any) -> tuple[Tensor]:
        added = given.get("added_cond_kwargs") or {}
        return (run(x, time, given["encoder_hidden_states"], given.get("timestep_cond"), **added),)

    unet.forward = forward


def _kind(folder: Path, index: dict[str, Any]) -> str:
    kind = str(index.get("_class_name"))
    if kind not in FAMILIES:
        raise GendataError(
            f"{folder} is not a pipeline of a supported kind",
            found=kind,
            expected=f"one of {', '.join(FAMILIES)}",
        )
    return kind


def _assembled(
    folder: Path, index: dict[str, Any], parts: dict[str, Any], with_photos: bool
) -> Any:
    """Makes diffusers' pipeline of its parts."""
    import diffusers

    kind = _kind(folder, index)
    if kind.startswith("StableDiffusionXL"):
        zeros = bool(index.get("force_zeros_for_empty_prompt", True))
        extra: dict[str, Any] = {"force_zeros_for_empty_prompt": zeros, "add_watermarker": False}
        if with_photos:
            extra["requires_aesthetics_score"] = bool(index.get("requires_aesthetics_score"))
    else:
        checked = parts.get("safety_checker") is not None
        extra = {
            "safety_checker": None,
            "feature_extractor": None,
            "requires_safety_checker": checked,
        }
    try:
        pipe = getattr(diffusers, FAMILIES[kind][with_photos])(**{**extra, **parts})
    except (TypeError, ValueError, AttributeError) as error:
        raise GendataError(f"the parts of {folder} make no {kind}", found=_line(error)) from error
    pipe.set_progress_bar_config(disable=True)
    return pipe


def _files(folder: Path, parts: list[str]) -> list[Path]:
    return sorted(
        path
        for part in parts
        for path in (folder / part).glob("*")
        if path.suffix in DATA or path.name in DATA_NAMES
    )


def _entry(index: dict[str, Any], part: str) -> str | None:
    entry = index.get(part)
    return str(entry[-1]) if isinstance(entry, list) and entry and entry[-1] else None


def _part_class(folder: Path, index: dict[str, Any], part: str) -> str:
    """Returns the class that is built for a part."""
    named = _entry(index, part)
    if named is None or named not in PARTS[part]:
        raise _unsupported(folder, part, named)
    return PARTS[part][named]


def _load(folder: Path, index: dict[str, Any], part: str, dtype: torch.dtype) -> Any:
    """Loads a part by its own class, from its own folder; networks complete or not at all."""
    chosen = _class(_part_class(folder, index, part))
    if not (folder / part).is_dir():
        raise _unsupported(folder, part, "no such folder")
    is_network = issubclass(chosen, nn.Module)
    extra: dict[str, Any] = {"output_loading_info": True} if is_network else {}
    if part == "safety_checker" or part.startswith("text_encoder"):
        extra["attn_implementation"] = "eager"  # a configuration could name somebody's kernel
    try:
        made = chosen.from_pretrained(str(folder / part), local_files_only=True, **extra)
    except Exception as error:  # two libraries and a damaged file can fail in any way
        raise _unreadable(folder, part, _line(error)) from error
    if not is_network:
        return made
    network, report = made
    lacking = [*report.get("missing_keys", ()), *report.get("mismatched_keys", ())]
    if lacking:
        raise _unreadable(folder, part, f"no fitting weights for {str(sorted(lacking)[0])[:100]}")
    return network.eval().requires_grad_(False).to(dtype)


def _class(name: str) -> Any:
    if name == "StableDiffusionSafetyChecker":
        from diffusers.pipelines.stable_diffusion import safety_checker

        return safety_checker.StableDiffusionSafetyChecker
    import diffusers
    import transformers

    own = name.startswith(("Autoencoder", "UNet"))
    return getattr(diffusers if own else transformers, name)


def _unsupported(folder: Path, part: str, found: str | None) -> GendataError:
    return GendataError(
        f"the {part} of {folder} is not of a supported class",
        found=found,
        expected=f"one of {', '.join(PARTS[part])}",
    )


def _unreadable(folder: Path, part: str, found: str) -> GendataError:
    return GendataError(
        f"the {part} of {folder} cannot be loaded",
        found=found,
        expected="configuration and weights as written by save_pretrained",
    )


def _line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
