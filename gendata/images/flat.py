"""A random-access copy of encoded images that are too many to hold in memory.

Parquet decodes a whole row group to reach one image. The copy, made once under
`~/.cache/gendata/flat`, is the images end to end in one file, and where each one ends.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import BinaryIO

import numpy as np

from gendata.errors import GendataError
from gendata.files import publish_folder
from gendata.images.places import Place, identity

__all__ = ["FlatSource", "flattened"]


class FlatSource:
    """Images in a flat copy.

    Args:
        folder: as `flattened` returns it.
        origin: what messages name instead of the copy.
    """

    def __init__(self, folder: Path, origin: Place) -> None:
        self.folder, self.origin = folder, origin
        self.ends = np.load(folder / "ends.npy", mmap_mode="r")

    def __len__(self) -> int:
        return len(self.ends)

    def open(self, row: int) -> BinaryIO:
        """Opens one image."""
        start = int(self.ends[row - 1]) if row else 0
        with open(self.folder / "bytes", "rb") as file:
            file.seek(start)
            return io.BytesIO(file.read(int(self.ends[row]) - start))

    def place(self, row: int) -> str:
        """Names the original folder and the row."""
        return f"{self.origin} row {row}"


def flattened(
    files: Sequence[Place], column: str, read: Callable[[Place, str], Iterable[bytes | None]]
) -> Path:
    """Copies a column's images, unless these very files have been copied before.

    Args:
        files: the originals.
        column: which column of them.
        read: yields the encoded images of a file.

    Returns:
        The folder of the copy.

    Raises:
        GendataError: it cannot be written.
    """
    stamp = [identity(file) for file in files]
    key = hashlib.sha256(repr((stamp, column)).encode()).hexdigest()[:24]
    folder = Path("~/.cache/gendata/flat").expanduser() / key
    if folder.is_dir():
        return folder
    try:
        publish_folder(folder, lambda partial: _write(partial, files, column, read))
    except OSError as error:
        if folder.is_dir():  # another process has just written the same copy
            return folder
        raise GendataError(
            f"no random-access copy of '{files[0].parent}' could be written to {folder.parent}",
            found=error.strerror,
            do="make room there",
        ) from error
    return folder


def _write(
    folder: Path,
    files: Sequence[Place],
    column: str,
    read: Callable[[Place, str], Iterable[bytes | None]],
) -> None:
    ends, position = [], 0
    with open(folder / "bytes", "wb") as output:
        for file in files:
            for content in read(file, column):
                position += output.write(content or b"")
                ends.append(position)
    np.save(folder / "ends.npy", np.array(ends, dtype=np.int64))
