"""Weights files: read without running code, fitted to a module or refused with the differences."""

from __future__ import annotations

import hashlib
import json
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor, nn

from gendata.errors import GendataError
from gendata.files import publish

__all__ = ["digest_of", "fit_weights", "read_weights", "save_weights"]

CONTAINERS = ("state_dict", "model_state_dict", "model", "net")
PREFIXES = ("module.", "_orig_mod.", "backbone.")
SHOWN = 3
# What torch.load makes of a damaged file, besides what it means to raise.
DAMAGE = (
    *(SafetensorError, pickle.UnpicklingError, RuntimeError, EOFError, ValueError, OSError),
    *(LookupError, AssertionError, TypeError, AttributeError),
)


def read_weights(path: str | Path) -> dict[str, Tensor]:
    """Reads tensors by name from a safetensors file or a PyTorch one (tensors only, no code).

    The prefixes that data parallelism, compilation and our own networks add are taken off.
    """
    path = Path(path)
    if not path.is_file():
        raise GendataError("a weights file is missing", found=f"nothing at {path}")
    try:
        if path.suffix == ".safetensors":
            content: Any = load_file(path)
        else:
            content = torch.load(path, map_location="cpu", weights_only=True)
    except DAMAGE as error:
        raise GendataError(
            f"{path} cannot be read as weights",
            found=str(error).splitlines()[0] if str(error) else type(error).__name__,
            expected="a safetensors file, or a PyTorch file that holds nothing but tensors",
        ) from error
    for name in CONTAINERS:
        if isinstance(content, Mapping) and isinstance(content.get(name), Mapping):
            content = content[name]
    if not isinstance(content, Mapping) or not all(map(torch.is_tensor, content.values())):
        raise GendataError(
            f"{path} holds no state dict",
            found=type(content).__name__,
            expected=f"tensors by name, alone or under one of {', '.join(CONTAINERS)}",
        )
    weights = dict(content)
    for prefix in PREFIXES:
        if weights and all(name.startswith(prefix) for name in weights):
            weights = {name.removeprefix(prefix): value for name, value in weights.items()}
    return weights


def fit_weights(module: nn.Module, weights: Mapping[str, Tensor], origin: str | Path) -> None:
    """Loads weights into a module; every name and every shape must agree.

    Half-precision weights become the module's precision. Counters of batch normalisation may be
    missing: older files have none.

    Raises:
        GendataError: they do not fit; the first differing names and shapes are shown.
    """
    wanted = module.state_dict()
    missing = [
        name for name in wanted if name not in weights and not name.endswith("num_batches_tracked")
    ]
    surplus = [name for name in weights if name not in wanted]
    shapes = [
        f"{name} {tuple(value.shape)} instead of {tuple(wanted[name].shape)}"
        for name, value in weights.items()
        if name in wanted and value.shape != wanted[name].shape
    ]
    parts = [
        f"{len(names)} {what} ({', '.join(names[:SHOWN])}{', …' if len(names) > SHOWN else ''})"
        for what, names in (("missing", missing), ("unknown", surplus), ("misshapen", shapes))
        if names
    ]
    if parts:
        raise GendataError(
            f"the weights in {origin} do not fit {type(module).__name__}",
            found="; ".join(parts),
            do="check the network's name and its number of classes",
        )
    module.load_state_dict(dict(weights), strict=False)


def save_weights(module: nn.Module, path: str | Path, **about: Any) -> None:
    """Writes a module's tensors as safetensors; `about` goes into the header as JSON."""
    tensors = {name: value.detach().contiguous() for name, value in module.state_dict().items()}
    header = {name: json.dumps(value) for name, value in about.items()}
    content = save(tensors, metadata={"format": "pt", **header})
    publish(Path(path), lambda file: file.write(content))


def digest_of(*paths: str | Path) -> str:
    """Returns the SHA-256 of one file, or of the digests of several, in hexadecimal."""
    digests = []
    for path in paths:
        with open(path, "rb") as file:
            digests.append(hashlib.file_digest(file, "sha256").hexdigest())
    if len(digests) == 1:
        return digests[0]
    return hashlib.sha256("".join(digests).encode()).hexdigest()
