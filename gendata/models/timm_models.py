"""Any timm model, with the weights that are on this machine."""

from __future__ import annotations

import difflib
import pickle
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from torch import nn

from gendata.errors import GendataError
from gendata.models.recipe import Recipe

__all__ = ["bare_name", "build_timm", "cached_weights", "last_layer_name", "pretrained_classes"]


def _timm() -> Any:
    """Imports timm where it is needed: it takes longer than all the rest of `gendata --help`."""
    import timm

    return timm


def bare_name(name: str, others: tuple[str, ...] = ()) -> str:
    """Returns the name without "timm:"; an unknown one is an error that lists close ones.

    Args:
        name: such as "timm:resnet50", or without the prefix.
        others: networks that are not timm's, to be listed too.
    """
    bare = name.removeprefix("timm:")
    if not _timm().is_model(bare):
        close = difflib.get_close_matches(bare, [*_timm().list_models(), *others], n=3)
        raise GendataError(
            f"no network is called '{name}'",
            expected=", ".join((*others, "or a timm model")),
            do=f"did you mean {' or '.join(close)}?" if close else None,
        )
    return bare


def build_timm(
    name: str, classes: int, input_size: int | None, weights_file: Path | None = None
) -> tuple[nn.Module, Recipe]:
    """Builds a model; a weights file of another number of classes leaves the last layer new."""
    config = _config(name)
    settings: dict[str, Any] = {}
    side = config.input_size[-1]
    if config.fixed_input_size:
        # Its position embeddings belong to one size: images are brought to it, or it to theirs.
        if input_size is not None and input_size != side:
            settings["img_size"] = side = input_size
        input_size = side
    if weights_file is not None:
        settings |= {"pretrained": True, "pretrained_cfg_overlay": {"file": str(weights_file)}}
    try:
        backbone = _timm().create_model(name, num_classes=classes, **settings)
    except (OSError, RuntimeError, ValueError, pickle.UnpicklingError, SafetensorError) as error:
        raise GendataError(
            f"{name} cannot be built with the weights in {weights_file}"
            if weights_file
            else f"{name} cannot be built for images of {side} pixels",
            found=str(error).strip().splitlines()[0],
        ) from error
    return backbone, Recipe(name, config.mean, config.std, input_size, probe_size=side)


def cached_weights(name: str, download: bool) -> Path:
    """Finds a model's pretrained weights on this machine, or fetches them when asked."""
    import huggingface_hub
    from torch.hub import get_dir

    config = _config(name)
    if isinstance(config.url, str) and config.url:
        file = Path(get_dir()) / "checkpoints" / Path(config.url).name
        if file.is_file():
            return file
    if config.hf_hub_id:
        file_name = config.hf_hub_filename or "model.safetensors"
        cached = huggingface_hub.try_to_load_from_cache(config.hf_hub_id, file_name)
        if isinstance(cached, str):
            return Path(cached)
        if download:
            try:
                return Path(huggingface_hub.hf_hub_download(config.hf_hub_id, file_name))
            except (OSError, ValueError) as error:
                raise GendataError(
                    f"the pretrained weights of {name} could not be downloaded",
                    found=str(error).strip().splitlines()[0],
                    do="try again when the network is back, or give a weights file",
                ) from error
    raise GendataError(
        f"the pretrained weights of {name} are not on this machine",
        do="ask for a download, give a weights file (timm:NAME@FILE), or use "
        "embedded:efficientnet-lite0, which comes with this package",
    )


def pretrained_classes(name: str) -> int:
    """Returns the number of classes of a model's pretrained weights."""
    return _config(name).num_classes


def last_layer_name(name: str) -> str:
    """Returns the name of a model's last layer, the first of them where there are several."""
    layer = _config(name).classifier
    return layer if isinstance(layer, str) else layer[0]


def _config(name: str) -> Any:
    # timm types this as optional, but has an entry, if an empty one, for every model it lists.
    return _timm().get_pretrained_cfg(name)
