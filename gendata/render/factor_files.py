"""Sets of files among which a factor chooses: pictures of surfaces, maps of environments.

A set is a folder, a file, or a list of both. `blender` stands for the eight environment maps that
come with Blender, `blender:forest` for one of them.
"""

from __future__ import annotations

import functools
import hashlib
import itertools
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from gendata.errors import GendataError

__all__ = ["BLENDER_MAPS", "FileSet", "read_files"]

BLENDER_MAPS = ("city", "courtyard", "forest", "interior", "night", "studio", "sunrise", "sunset")
"""Environment maps that come with every Blender (Greg Zaal, Poly Haven, CC0)."""

SUFFIXES = {
    "environment.files": (".hdr", ".exr"),
    "material.texture.files": (".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".bmp", ".exr"),
}

MAPS = {".hdr": b"#?", ".exr": b"\x76\x2f\x31\x01"}  # what their files begin with


@dataclass(frozen=True)
class FileSet:
    """Files of which one is chosen, all equally likely.

    Attributes:
        written: what was asked for, relative paths made absolute.
        paths: of the files; of Blender's own "blender:NAME.exr".
        names: of the files, as identity and parameters have them: from the folder that was named
            on, each of one file alone.
    """

    written: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()
    names: tuple[str, ...] = ()

    def sample(self, generator: np.random.Generator) -> str | None:
        """Draws a name; None from an empty set."""
        if not self.names:
            return None
        return self.names[int(generator.random() * len(self.names))]

    def extremes(self) -> tuple[Any, ...]:
        """The names."""
        return self.names

    def path(self, name: str) -> str:
        """Where a file lies; a name that is none of the set's is taken for a path."""
        return self._by_name.get(name, name)

    @functools.cached_property
    def _by_name(self) -> dict[str, str]:
        return dict(zip(self.names, self.paths, strict=True))

    def settings(self) -> Any:
        """What was asked for."""
        return list(self.written) or None

    def identity(self) -> list[list[str | None]]:
        """Name and SHA-256 of each file; a file of Blender's own has no digest."""
        return [
            [name, None if path.startswith("blender:") else _digest(path, *_state(path))]
            for name, path in zip(self.names, self.paths, strict=True)
        ]


def read_files(written: Any, factor: str, where: str, folder: Path) -> FileSet:
    """Finds the files that were asked for.

    Args:
        written: a text or a list of texts; None or "none": no files.
        factor: its name, which decides what suffixes count.
        where: what errors name.
        folder: where relative paths start.

    Raises:
        GendataError: there is no such file, or a folder has none.
    """
    if written is None or written == "none":
        return FileSet()
    several = isinstance(written, Sequence) and not isinstance(written, str)
    listed = list(written) if several else [written]
    if not listed or not all(isinstance(each, str | os.PathLike) for each in listed):
        raise GendataError(
            f"'{where}' is not as it should be",
            found=repr(written),
            expected="a folder, a file, or a list of them",
        )
    found: list[tuple[str, str]] = []
    full = []
    for each in map(os.fspath, listed):
        if each.partition(":")[0] == "blender" and factor == "environment.files":
            found += _of_blender(each, where)
            full.append(each)
        else:
            path = Path(os.path.abspath(folder / Path(each).expanduser()))
            files = _of_disk(path, SUFFIXES[factor], where)
            for _, file in files:
                _check_beginning(file, where)
            found += files
            full.append(str(path))
    return FileSet(tuple(full), tuple(path for _, path in found), _distinct(found))


def _of_blender(asked: str, where: str) -> list[tuple[str, str]]:
    name = asked.partition(":")[2].removesuffix(".exr")
    if name and name not in BLENDER_MAPS:
        raise GendataError(
            f"'{where}' asks for a map that Blender does not bring along",
            found=f"'{asked}'",
            expected=f"blender, or blender: and one of {', '.join(BLENDER_MAPS)}",
        )
    chosen = [f"blender:{each}.exr" for each in ([name] if name else BLENDER_MAPS)]
    return [(each, each) for each in chosen]


def _of_disk(path: Path, suffixes: Sequence[str], where: str) -> list[tuple[str, str]]:
    if path.is_file():
        if path.suffix.lower() not in suffixes:
            raise GendataError(
                f"'{where}' names a file of another type",
                found=str(path),
                expected=f"one that ends in {', '.join(suffixes)}",
            )
        return [(path.name, str(path))]
    if not path.is_dir():
        raise GendataError(f"'{where}' names what is not there", found=str(path))
    files = sorted(
        (each.relative_to(path).as_posix(), str(each))
        for each in path.rglob("*")
        if each.suffix.lower() in suffixes and each.is_file() and not each.name.startswith(".")
    )
    if not files:
        raise GendataError(
            f"'{where}' names a folder without such files",
            found=str(path),
            expected=f"files that end in {', '.join(suffixes)}",
        )
    return files


def _check_beginning(path: str, where: str) -> None:
    """Refuses a damaged map at once, and not when the first image with it is rendered."""
    expected = MAPS.get(os.path.splitext(path)[1].lower(), b"")
    with open(path, "rb") as file:
        if file.read(len(expected)) != expected:
            raise GendataError(f"'{where}' names a file that cannot be read", found=path)


def _distinct(found: Sequence[tuple[str, str]]) -> tuple[str, ...]:
    """The files' names; where two folders have files of one name, the later one is numbered."""
    taken: dict[str, str] = {}
    names = []
    for name, path in found:
        tries = itertools.chain([name], (f"{name} ({number})" for number in itertools.count(2)))
        names.append(next(each for each in tries if taken.setdefault(each, path) == path))
    return tuple(names)


def _state(path: str) -> tuple[int, int]:
    state = os.stat(path)
    return state.st_size, state.st_mtime_ns


@functools.lru_cache(maxsize=100_000)
def _digest(path: str, size: int, changed: int) -> str:
    """Hashes a file once, and again when it has changed."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
