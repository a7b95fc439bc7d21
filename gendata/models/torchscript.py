"""TorchScript files: networks that travel with their own definition."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import nn

from gendata.errors import GendataError

__all__ = ["quiet_torchscript", "read_torchscript"]

DEPRECATED = r"`torch\.jit\.\w+` is deprecated"


@contextmanager
def quiet_torchscript() -> Iterator[None]:
    """Keeps torch's lines on the deprecation of TorchScript to itself: no user can act on them.

    Every other warning is shown. The category differs among torch's versions, the words do not.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=DEPRECATED)
        yield


def read_torchscript(path: str | Path) -> nn.Module:
    """Reads a TorchScript module onto the CPU, in evaluation mode."""
    path = Path(path)
    if not path.is_file():
        raise GendataError("a TorchScript file is missing", found=f"nothing at {path}")
    try:
        with quiet_torchscript():
            return torch.jit.load(path, map_location="cpu").eval()
    except (RuntimeError, ValueError) as error:
        raise GendataError(
            f"{path} cannot be read as TorchScript",
            found="no TorchScript archive, or a damaged one",
            expected="a file written by torch.jit.save",
        ) from error
