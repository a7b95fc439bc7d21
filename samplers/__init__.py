"""Samplers: generators as labels and seeds in, uint8 images out; one file a model family."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from gendata.errors import GendataError
from gendata.registry import samplers
from gendata.types import Sampler

__all__ = ["call_with_options", "load_sampler"]

TORCHSCRIPT_SUFFIXES = {".pt", ".pth", ".ts", ".torchscript"}


def load_sampler(
    ref: str | Path,
    *,
    device: str | torch.device = "auto",
    download: bool = False,
    **options: Any,
) -> Sampler:
    """Loads a sampler.

    Args:
        ref: "embedded:fashion-diffusion", "embedded:fashion-gan", "diffusers:FOLDER",
            "diffusers:OWNER/NAME@REVISION" (of the Hugging Face hub), "stylegan:FILE",
            "edm:FILE", "lsgm:FILE", "biggan:FOLDER", "torchscript:FILE", "onnx:FILE",
            "python:MODULE:FUNCTION", "folder:IMAGES", or another kind that is registered under
            `gendata.samplers`. A bare path is recognised by its content.
        device: "auto", "cpu", "cuda", …
        download: fetch what is not on this machine.
        **options: settings of that kind, such as steps and guidance; an unknown one is an error
            that lists the known ones.
    """
    kind, separator, rest = str(ref).partition(":")
    if not separator or (Path(ref).exists() and kind not in samplers.names()):
        kind, rest = _recognised(Path(ref)), str(ref)
    load = samplers.get(kind)
    fixed: dict[str, Any] = {"device": device}
    if "download" in inspect.signature(load).parameters:
        fixed["download"] = download
    return call_with_options(load, kind, options, rest, **fixed)


def call_with_options(
    load: Callable[..., Sampler], kind: str, options: Mapping[str, Any], *args: Any, **fixed: Any
) -> Sampler:
    """Calls a sampler's loader, whose options are its keyword-only parameters."""
    parameters = inspect.signature(load).parameters.values()
    known = {part.name for part in parameters if part.kind is part.KEYWORD_ONLY} - set(fixed)
    anything = any(part.kind is part.VAR_KEYWORD for part in parameters)
    unknown = sorted(set(options) - known)
    if unknown and not anything:
        raise GendataError(
            f"sampler '{kind}' has no option {', '.join(unknown)}",
            expected=f"some of {', '.join(sorted(known))}" if known else "no options",
        )
    return load(*args, **fixed, **options)


def _recognised(path: Path) -> str:
    if (path / "model_index.json").is_file():
        return "diffusers"
    if (path / "config.json").is_file() and "channel_width" in (path / "config.json").read_text():
        return "biggan"
    if path.is_file() and path.suffix == ".onnx":
        return "onnx"
    if path.is_file() and path.suffix == ".pkl":
        return _recognised_pickle(path)
    if path.is_file() and path.suffix in TORCHSCRIPT_SUFFIXES:
        return "torchscript"
    if path.exists():
        return "folder"
    raise GendataError(
        f"'{path}' is no sampler",
        expected=f"KIND:PATH (kinds: {', '.join(samplers.names())}) or a path that exists",
    )


def _recognised_pickle(path: Path) -> str:
    from gendata.samplers.inspection import inspect_checkpoint

    found = inspect_checkpoint(path)
    if found.reference is None:
        raise GendataError(
            f"no sampler draws from {path}",
            found=found.family,
            expected="a generator of StyleGAN's family or of EDM",
        )
    return found.reference.partition(":")[0]
