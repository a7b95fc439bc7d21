"""Image sets that are decoded when asked for, whatever holds the files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO, Protocol

import numpy as np
from torch import Tensor

from gendata.errors import GendataError
from gendata.images.columns import Columns
from gendata.images.damage import (
    Damage,
    DamagedImage,
    Damages,
    looks_whole,
    report_damages,
)
from gendata.images.memory import check_labels
from gendata.images.rgb import decode
from gendata.images.threads import in_threads

__all__ = ["FileSource", "LazyImages", "Source", "inspected"]


class Source(Protocol):
    """Holds encoded images; picklable, and usable from several threads."""

    def __len__(self) -> int:
        """Number of images, damaged ones included."""
        ...

    def open(self, row: int) -> BinaryIO:
        """Opens one encoded image."""
        ...

    def place(self, row: int) -> str:
        """Names one image in messages."""
        ...


class FileSource:
    """Images that are files of their own."""

    def __init__(self, paths: Sequence[str]) -> None:
        self.paths = paths

    def __len__(self) -> int:
        return len(self.paths)

    def open(self, row: int) -> BinaryIO:
        """Opens one file."""
        return open(self.paths[row], "rb")

    def place(self, row: int) -> str:
        """Returns the path."""
        return self.paths[row]


class LazyImages:
    """A labelled set that decodes an image when it is asked for.

    Args:
        name: what the set is called in messages and reports.
        classes: class names in label order.
        labels: (N,) integers.
        source: where the encoded images lie.
        rows: (N,) their numbers in the source.
        strict: whether damaged images stop whoever meets them.
        damaged: images that were left out.
        columns: what a clone's sampler said of the source's images; None: nothing.
    """

    def __init__(
        self,
        name: str,
        classes: Sequence[str],
        labels: np.ndarray,
        source: Source,
        rows: np.ndarray,
        strict: bool = False,
        damaged: Damages = (),
        columns: Columns | None = None,
    ) -> None:
        self.name, self.source, self.rows, self.columns = name, source, rows, columns
        self.classes: Sequence[str] = list(classes)
        self.labels = np.asarray(labels, dtype=np.int64)
        self.strict, self.damaged = strict, damaged
        check_labels(name, self.labels, len(rows), len(self.classes))

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        try:
            image = _decode(self.source, int(self.rows[index]))
        except DamagedImage as error:
            if self.strict:
                raise GendataError(str(error)) from error
            raise
        return image, int(self.labels[index])


def inspected(
    name: str, classes: Sequence[str], labels: np.ndarray, source: Source, strict: bool
) -> LazyImages:
    """Looks through all files once and leaves out the damaged ones, listed and counted.

    Nearly all files pass a cheap look (see `looks_whole`); the others are decoded to know.

    Raises:
        GendataError: strict and one is damaged, or all are.
    """
    check_labels(name, np.asarray(labels), len(source), len(classes))

    def error_of(row: int) -> DamagedImage | None:
        return _inspect(source, row)

    errors = list(in_threads(error_of, len(source), f"inspect {Path(name).name}"))
    damaged = report_damages(name, [error for error in errors if error], strict)
    rows = np.flatnonzero([error is None for error in errors])
    if not len(rows):
        raise GendataError(
            f"'{name}' holds no image that can be read",
            found=f"{len(damaged)} damaged ones, such as {damaged[0].place} ({damaged[0].reason})"
            if damaged
            else "none at all",
        )
    return LazyImages(name, classes, np.asarray(labels)[rows], source, rows, strict, damaged)


def _inspect(source: Source, row: int) -> DamagedImage | None:
    try:
        with source.open(row) as file:
            if looks_whole(file):
                return None
        _decode(source, row)
    except DamagedImage as error:
        return error
    except OSError as error:
        return DamagedImage(Damage(source.place(row), str(error)))
    return None


def _decode(source: Source, row: int) -> Tensor:
    try:
        with source.open(row) as file:
            return decode(file)
    except GendataError:  # its place cannot be read: the image is not to blame
        raise
    except Exception as error:  # decoders raise almost anything on hostile bytes
        reason = " ".join(str(error).split()) or type(error).__name__
        raise DamagedImage(Damage(source.place(row), _short(reason))) from error


def _short(reason: str) -> str:
    return "not an image" if reason.startswith("cannot identify image file") else reason[:120]
