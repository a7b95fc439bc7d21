"""Opening a labelled image set of any layout, from one line of text."""

from __future__ import annotations

import difflib
import inspect
import json
import re
from collections.abc import Callable, Mapping
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

from gendata.errors import GendataError
from gendata.images.cifar import CIFAR_FILES, read_cifar, read_cifar10, read_cifar100
from gendata.images.embedded import read_embedded
from gendata.images.export import METADATA
from gendata.images.imagefolder import read_image_folder
from gendata.images.npz import read_npz
from gendata.images.parquet import clone_state, read_clone, read_parquet
from gendata.images.places import Place, is_url, place_of
from gendata.images.torchvision_sets import TORCHVISION_SETS, read_torchvision
from gendata.images.webdataset import read_webdataset
from gendata.types import Images

__all__ = ["open_images"]

Reader = Callable[..., Images]
OPTIONS = re.compile(r"(?P<ref>.*)\?(?P<options>\w+=[^?&]*(&\w+=[^?&]*)*)", re.DOTALL)

BY_PATH: Mapping[str, Reader] = {
    "cifar": read_cifar,
    "clone": read_clone,
    "imagefolder": read_image_folder,
    "npz": read_npz,
    "parquet": read_parquet,
    "webdataset": read_webdataset,
}
AT_URLS = ("clone", "parquet")
BY_NAME: Mapping[str, Reader] = {
    "cifar10": read_cifar10,
    "cifar100": read_cifar100,
    "fashion-mnist": read_embedded,
    **{kind: partial(read_torchvision, kind) for kind in TORCHVISION_SETS},
}


def open_images(
    ref: str | Path | Images, *, download: bool = False, strict: bool = False, **options: Any
) -> Images:
    """Opens a labelled image set.

    Damaged images are found when the set is opened: they are listed on the log and in the set's
    `damaged`, and left out. An image that proves damaged only when it is decoded is left out in
    the same way where the whole set is decoded, and otherwise is an error that names it.

    Args:
        ref: a path, recognised by its content; `imagefolder:`, `clone:`, `parquet:`,
            `webdataset:`, `npz:` or `cifar:` and a path; or the name and split of a known set:
            `fashion-mnist:train` (embedded), `cifar10:test`, `flowers102:test`, … Of a clone and
            of parquet files the path may be a URL that fsspec knows, such as `s3://bucket/clone`.
            Options may follow, as in `parquet:PATH?split=test&label_column=kind`. An open set is
            returned as it is.
        download: allow torchvision to download a known set.
        strict: stop at damaged images.
        options: of the layout, such as root (of known sets), split, image_column, label_column;
            they override those in the reference.

    Raises:
        GendataError: nothing there, an unknown layout or option, or unreadable content.
    """
    if not isinstance(ref, (str, Path)):
        return ref
    text, inside = _split_options(str(ref))
    options = {**inside, **options}
    kind, separator, rest = text.partition(":")
    common = {"name": str(ref), "download": download, "strict": strict}
    if separator and kind in BY_NAME:
        return _read(kind, BY_NAME[kind], rest, common, options)
    if is_url(text):
        kind, rest = _recognised_url(place_of(text)), text
    elif separator and kind in BY_PATH:
        _check_present(rest, kind)
    else:
        _check_present(text, "", kind if separator and len(kind) > 1 else "")
        kind, rest = _recognised(Path(text)), text
    return _read(kind, BY_PATH[kind], rest, common, options)


def _split_options(ref: str) -> tuple[str, dict[str, Any]]:
    """Takes `?key=value&…` off a reference; a path that exists as it stands is left whole."""
    match = OPTIONS.fullmatch(ref)
    if not match or Path(ref).exists() or Path(ref.partition(":")[2] or ref).exists():
        return ref, {}
    pairs = (pair.split("=", 1) for pair in match["options"].split("&"))
    return match["ref"], {key: _value(text) for key, text in pairs}


def _value(text: str) -> Any:
    """Reads a value as JSON where it can be."""
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text


def _read(
    kind: str, reader: Reader, rest: str, common: dict[str, Any], options: dict[str, Any]
) -> Images:
    """Calls a reader with what it takes of the common settings, and its own options."""
    known = {
        parameter.name
        for parameter in inspect.signature(reader).parameters.values()
        if parameter.kind is parameter.KEYWORD_ONLY
    }
    unknown = sorted(set(options) - (known - set(common)))
    if unknown:
        raise GendataError(
            f"'{kind}' does not have the option{'s' if len(unknown) > 1 else ''}",
            found=", ".join(unknown),
            expected=", ".join(sorted(known - set(common))) or "none",
        )
    return reader(rest, **{key: common[key] for key in common if key in known}, **options)


def _check_present(path: str, layout: str, kind: str = "") -> None:
    if is_url(path) and layout not in AT_URLS:
        raise GendataError(
            f"'{layout}' is not read from URLs", found=path, expected=" or ".join(AT_URLS)
        )
    if layout in ("", "webdataset") and any(sign in path for sign in "{*"):
        return  # a pattern; its reader says what is missing
    if path and place_of(path).exists():
        return
    close = difflib.get_close_matches(kind, [*BY_NAME, *BY_PATH], n=3) if kind else []
    raise GendataError(
        f"there are no images at '{path}'",
        found="no such file or folder",
        expected="a path, LAYOUT:PATH, or a known set such as fashion-mnist:train",
        do=f"did you mean {' or '.join(close)}?" if close else "check the path",
    )


def _recognised(path: Path) -> str:
    kind = _kind_of_folder(path) if path.is_dir() else _kind_of_file(path)
    if kind is None:
        entries = sorted(entry.name for entry in path.iterdir())[:5] if path.is_dir() else []
        raise GendataError(
            f"'{path}' is no image set that can be recognised",
            found=(", ".join(entries) or "an empty folder") if path.is_dir() else "another file",
            expected="class folders, a clone, parquet files, WebDataset tars, .npz or CIFAR",
            do="name the layout, for example imagefolder:PATH",
        )
    return kind


def _recognised_url(place: Place) -> str:
    """Tells a clone from other parquet files."""
    if not place.exists():
        raise GendataError(f"there are no images at '{place}'", do="check the URL")
    if not place.is_dir():
        return "parquet"  # its reader says where it is none
    if clone_state(place):
        return "clone"
    if not any(place.rglob("*.parquet")):
        entries: list[Place] = [*place.iterdir()]
        raise GendataError(
            f"'{place}' is no image set that can be recognised",
            found=", ".join(entry.name for entry in entries[:5]) or "nothing",
            expected="a clone or parquet files",
        )
    return "parquet"


def _kind_of_folder(path: Path) -> str | None:
    if clone_state(path):
        return "clone"
    names = {entry.name for entry in path.iterdir()}
    for suffix, kind in ((".parquet", "parquet"), (".tar", "webdataset")):
        files = chain(path.glob(f"*{suffix}"), path.glob(f"*/*{suffix}"))
        if any(file.name != METADATA for file in files):
            return kind
    if names & CIFAR_FILES:
        return "cifar"
    if any(entry.is_dir() for entry in path.iterdir()):
        return "imagefolder"
    return None


def _kind_of_file(path: Path) -> str | None:
    if any(sign in str(path) for sign in "{*") and not path.exists():
        return "webdataset"
    with path.open("rb") as file:
        start = file.read(512)
    if start.startswith(b"PAR1"):
        return "parquet"
    if start.startswith(b"PK"):
        return "npz"
    if start[257:262] == b"ustar":
        return "webdataset"
    return "cifar" if start.startswith(b"\x1f\x8b") else None
