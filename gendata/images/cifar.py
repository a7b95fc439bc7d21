"""Reading CIFAR-10 and CIFAR-100 as their authors publish them: pickles or binary, packed or not.

Krizhevsky (2009), "Learning multiple layers of features from tiny images".
"""

from __future__ import annotations

import io
import pickle
import tarfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np

from gendata.errors import GendataError
from gendata.images.memory import ArrayImages
from gendata.images.npz import from_arrays
from gendata.images.roots import data_root

__all__ = ["CIFAR_FILES", "read_cifar", "read_cifar10", "read_cifar100"]

Labels = Literal["fine", "coarse"]
BATCHES = [f"data_batch_{number}" for number in range(1, 6)]
MARKERS = {"batches.meta": 10, "batches.meta.txt": 10, "meta": 100, "fine_label_names.txt": 100}
CIFAR_FILES = frozenset([*BATCHES, *(f"{batch}.bin" for batch in BATCHES), *MARKERS])
SPLIT_FILES = {
    (10, "train"): BATCHES,
    (10, "test"): ["test_batch"],
    (100, "train"): ["train"],
    (100, "test"): ["test"],
}
HOMES = {
    kind: (f"cifar-{kind}-{folder}", f"cifar-{kind}-{other}", *archives)
    for kind, folder, other, archives in (
        (10, "batches-py", "batches-bin", ("cifar-10-python.tar.gz", "cifar-10-binary.tar.gz")),
        (100, "python", "binary", ("cifar-100-python.tar.gz", "cifar-100-binary.tar.gz")),
    )
}


def read_cifar10(
    rest: str,
    *,
    name: str,
    download: bool,
    root: str | None = None,
    split: str = "train",
) -> ArrayImages:
    """Opens `cifar10:train` or `cifar10:test` below a root, or `cifar10:PATH` with a split."""
    return _by_split_or_path(10, rest, name, download, root, split, "fine")


def read_cifar100(
    rest: str,
    *,
    name: str,
    download: bool,
    root: str | None = None,
    split: str = "train",
    labels: Labels = "fine",
) -> ArrayImages:
    """Opens `cifar100:train`, `cifar100:test` or `cifar100:PATH`; 100 fine or 20 coarse labels."""
    return _by_split_or_path(100, rest, name, download, root, split, labels)


def read_cifar(
    path: str, *, name: str, split: str = "train", labels: Labels = "fine"
) -> ArrayImages:
    """Opens an archive or an extracted folder of either set.

    Raises:
        GendataError: unreadable or incomplete files, or another split.
    """
    if split not in ("train", "test") or labels not in ("fine", "coarse"):
        raise GendataError(
            f"'{path}' has no such part",
            found=f"split={split}, labels={labels}",
            expected="split train or test, labels fine or coarse",
        )
    wanted = {text for (_, part), names in SPLIT_FILES.items() if part == split for text in names}
    wanted |= {f"{text}.bin" for text in wanted} | set(MARKERS) | {"coarse_label_names.txt"}
    contents = _contents(Path(path), wanted)
    marker = next((text for text in MARKERS if text in contents), None)
    if marker is None:
        raise GendataError(
            f"'{path}' is not CIFAR",
            found=", ".join(sorted(contents)) or "none of its files",
            expected=f"one of {', '.join(MARKERS)} beside the data",
        )
    read = _binary if marker.endswith(".txt") else _pickled
    pixels, numbers, classes = read(contents, MARKERS[marker], split, labels, path)
    return from_arrays(name, pixels.reshape(-1, 3, 32, 32), numbers, classes, path)


def _by_split_or_path(
    kind: int, rest: str, name: str, download: bool, root: str | None, split: str, labels: Labels
) -> ArrayImages:
    if rest not in ("train", "test"):
        images = read_cifar(rest, name=name, split=split, labels=labels)
        if len(images.classes) not in {10: (10,), 100: (20, 100)}[kind]:
            raise GendataError(
                f"'{rest}' is not CIFAR-{kind}", found=f"{len(images.classes)} classes"
            )
        return images
    folder = data_root(root)
    if download and not _home(folder, kind):
        _download(folder, kind)
    home = _home(folder, kind)
    if home is None:
        raise GendataError(
            f"CIFAR-{kind} is not in '{folder}'",
            expected=f"one of {', '.join(HOMES[kind])}",
            do=f"name its folder, cifar{kind}:{rest}?root=FOLDER, or allow the download with "
            "--download (download=True)",
        )
    return read_cifar(str(home), name=name, split=rest, labels=labels)


def _download(folder: Path, kind: int) -> None:
    from torchvision import datasets

    try:
        {10: datasets.CIFAR10, 100: datasets.CIFAR100}[kind](str(folder), download=True)
    except (RuntimeError, OSError) as error:
        raise GendataError(
            f"CIFAR-{kind} could not be downloaded to '{folder}'", found=error
        ) from error


def _home(folder: Path, kind: int) -> Path | None:
    return next((folder / text for text in HOMES[kind] if (folder / text).exists()), None)


def _contents(path: Path, wanted: set[str]) -> dict[str, bytes]:
    """Reads the wanted files of a folder or an archive, by their bare names."""
    try:
        if path.is_dir():
            inner = [path, *sorted(path.glob("cifar-*"))]
            files = [folder / name for folder in inner for name in wanted]
            return {file.name: file.read_bytes() for file in files if file.is_file()}
        with tarfile.open(path, "r:*") as archive:
            return {
                Path(member.name).name: content.read()
                for member in archive
                if member.isfile() and Path(member.name).name in wanted
                for content in [archive.extractfile(member)]
                if content
            }
    except (OSError, EOFError, tarfile.TarError, zlib.error) as error:
        raise GendataError(
            f"'{path}' cannot be read", found=error, expected="a CIFAR archive or folder"
        ) from error


Part = tuple[np.ndarray, np.ndarray, list[str]]


def _pickled(contents: dict[str, bytes], kind: int, split: str, labels: Labels, path: str) -> Part:
    batches = [_unpickled(contents, text, path) for text in SPLIT_FILES[kind, split]]
    meta = _unpickled(contents, "batches.meta" if kind == 10 else "meta", path)
    key = "labels" if kind == 10 else f"{labels}_labels"
    names = meta.get("label_names" if kind == 10 else f"{labels}_label_names")
    for batch in batches:
        pixels = batch.get("data")
        if not isinstance(pixels, np.ndarray) or pixels.dtype != np.uint8 or key not in batch:
            raise _not_cifar(path, f"a batch of {', '.join(map(str, batch))}")
    if not isinstance(names, list):
        raise _not_cifar(path, "no class names")
    pixels = np.concatenate([batch["data"] for batch in batches])
    numbers = np.concatenate([np.asarray(batch[key], dtype=np.int64) for batch in batches])
    return _checked(pixels, path), numbers, [_text(text) for text in names]


def _binary(contents: dict[str, bytes], kind: int, split: str, labels: Labels, path: str) -> Part:
    names_file = "batches.meta.txt" if kind == 10 else f"{labels}_label_names.txt"
    names = [f"{text}.bin" for text in SPLIT_FILES[kind, split]]
    missing = [text for text in [*names, names_file] if text not in contents]
    if missing:
        raise _not_cifar(path, f"no {', '.join(missing)}")
    content = np.frombuffer(b"".join(contents[text] for text in names), dtype=np.uint8)
    head = 1 if kind == 10 else 2  # CIFAR-100 rows start with the coarse and the fine label
    if len(content) % (head + 3072):
        raise _not_cifar(path, f"{len(content)} bytes, not a multiple of {head + 3072}")
    rows = content.reshape(-1, head + 3072)
    column = 0 if kind == 10 or labels == "coarse" else 1
    classes = contents[names_file].decode("utf-8").split()
    return rows[:, head:], rows[:, column].astype(np.int64), classes


def _checked(pixels: np.ndarray, path: str) -> np.ndarray:
    if pixels.ndim != 2 or pixels.shape[1] != 3072:
        raise _not_cifar(path, f"pixels of shape {pixels.shape}")
    return pixels


def _not_cifar(path: str, found: str) -> GendataError:
    return GendataError(
        f"'{path}' is not whole", found=found, expected="the files as published", do="get it again"
    )


def _text(value: object) -> str:
    return value.decode("utf-8") if isinstance(value, bytes) else str(value)


def _unpickled(contents: dict[str, bytes], file: str, path: str) -> dict[str, Any]:
    if file not in contents:
        raise _not_cifar(path, f"no {file}")
    try:
        record = _Unpickler(io.BytesIO(contents[file]), encoding="bytes").load()
    except GendataError:
        raise
    except Exception as error:  # a damaged pickle may raise anything
        raise _not_cifar(path, f"{file}: {error}") from error
    if not isinstance(record, dict):
        raise _not_cifar(path, f"{file} with a {type(record).__name__}")
    return {_text(key): value for key, value in record.items()}


class _Unpickler(pickle.Unpickler):
    """Makes nothing but numpy arrays, containers, numbers and bytes."""

    def find_class(self, module: str, name: str) -> Callable[..., Any]:
        """Returns one of the four constructors that numpy's own pickles need."""
        from numpy._core.multiarray import _reconstruct

        plain = module.replace("numpy._core", "numpy.core")
        allowed: dict[tuple[str, str], Callable[..., Any]] = {
            ("numpy.core.multiarray", "_reconstruct"): _reconstruct,
            ("numpy", "ndarray"): np.ndarray,
            ("numpy", "dtype"): np.dtype,
            ("_codecs", "encode"): _encode,
        }
        if (plain, name) not in allowed:
            raise GendataError(
                "a pickle asks for more than data",
                found=f"{module}.{name}",
                expected="numpy arrays, containers and bytes",
                do="do not trust this file",
            )
        return allowed[plain, name]


def _encode(text: str, encoding: str) -> bytes:
    """Stands in for `_codecs.encode`, by which Python 3 pickles bytes in old protocols."""
    if encoding != "latin1":
        raise ValueError(f"bytes encoded as {encoding}")
    return text.encode("latin1")
