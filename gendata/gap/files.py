"""Writing a result so that it is there in full or not at all."""

from __future__ import annotations

import os
from pathlib import Path

from gendata.errors import GendataError

__all__ = ["write_text"]


def write_text(path: Path, text: str) -> None:
    """Writes UTF-8 text under a temporary name and renames it; makes the folder if need be.

    Raises:
        GendataError: it cannot be written, for example because the disk is full.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise GendataError(
            f"cannot write {path}", found=error.strerror, do="free space or choose another --out"
        ) from error
