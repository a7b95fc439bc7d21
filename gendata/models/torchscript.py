"""TorchScript files: networks that travel with their own definition."""

from __future__ import annotations

import warnings
from pathlib import Path

import torch
from torch import nn

from gendata.errors import GendataError

__all__ = ["read_torchscript"]


def read_torchscript(path: str | Path) -> nn.Module:
    """Reads a TorchScript module onto the CPU, in evaluation mode."""
    path = Path(path)
    if not path.is_file():
        raise GendataError("a TorchScript file is missing", found=f"nothing at {path}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # deprecated, but what people have
            return torch.jit.load(path, map_location="cpu").eval()
    except (RuntimeError, ValueError) as error:
        raise GendataError(
            f"{path} cannot be read as TorchScript",
            found="no TorchScript archive, or a damaged one",
            expected="a file written by torch.jit.save",
        ) from error
