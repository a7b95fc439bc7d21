"""Where named data sets lie on this machine."""

from __future__ import annotations

from pathlib import Path

__all__ = ["data_root"]


def data_root(root: str | None) -> Path:
    """Returns the folder given with the option `root`, or `~/.cache/gendata`."""
    return Path(root or "~/.cache/gendata").expanduser()
