"""Reading WebDataset tars: one image and one label file per sample, read at random."""

from __future__ import annotations

import glob
import io
import json
import re
import tarfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from gendata.errors import GendataError
from gendata.images.class_names import read_class_names
from gendata.images.imagefolder import IMAGE_SUFFIXES
from gendata.images.lazy import LazyImages, inspected

__all__ = ["expand_braces", "read_webdataset"]

BRACES = re.compile(r"\{([^{}]*)\}")


@dataclass
class _Sample:
    place: str
    tar: str = ""
    offset: int = -1
    size: int = 0
    label: Any = None
    fields: dict[str, Any] = field(default_factory=dict)


class TarSource:
    """Images inside tars, found by their offsets."""

    def __init__(self, samples: list[_Sample]) -> None:
        self.places = [sample.place for sample in samples]
        self.tars = [sample.tar for sample in samples]
        self.offsets = np.array([sample.offset for sample in samples])
        self.sizes = np.array([sample.size for sample in samples])

    def __len__(self) -> int:
        return len(self.tars)

    def open(self, row: int) -> BinaryIO:
        """Opens one image."""
        with open(self.tars[row], "rb") as file:
            file.seek(int(self.offsets[row]))
            return io.BytesIO(file.read(int(self.sizes[row])))

    def place(self, row: int) -> str:
        """Names tar and member."""
        return self.places[row]


def read_webdataset(path: str, *, name: str, strict: bool) -> LazyImages:
    """Opens tars: a file, a folder of them, or a pattern such as `shard-{00000..00003}.tar`.

    A sample's label is its `cls` file, or `label` (and the name in `class`) of its `json` file.

    Raises:
        GendataError: no tars, a damaged one, or a sample without image or label.
    """
    tars = _tars(path)
    samples = [sample for tar in tars for sample in _samples(tar)]
    listed = read_class_names(Path(tars[0]).parent)
    classes, labels = _classes(samples, listed[0] if listed else None)
    return inspected(name, classes, labels, TarSource(samples), strict)


def expand_braces(pattern: str) -> list[str]:
    """Expands `{00000..00003}` and `{a,b}` as a shell does."""
    match = BRACES.search(pattern)
    if not match:
        return [pattern]
    first, separator, last = match[1].partition("..")
    if separator and first.isdigit() and last.isdigit():
        options = [f"{number:0{len(first)}d}" for number in range(int(first), int(last) + 1)]
    else:
        options = match[1].split(",")
    before, after = pattern[: match.start()], pattern[match.end() :]
    return [text for option in options for text in expand_braces(before + option + after)]


def _tars(path: str) -> list[str]:
    if Path(path).is_dir():
        tars = sorted(str(tar) for tar in Path(path).rglob("*.tar"))
    elif Path(path).is_file():
        tars = [path]
    else:
        tars = [
            tar
            for text in expand_braces(path)
            for tar in (sorted(glob.glob(text)) if "*" in text else [text])
        ]
    missing = [tar for tar in tars if not Path(tar).is_file()]
    if missing or not tars:
        raise GendataError(
            f"'{path}' names tars that are not there",
            found=f"{len(tars) - len(missing)} of {len(tars)}, not {', '.join(missing[:3])}"
            if missing
            else "none",
            expected="WebDataset tars",
        )
    return tars


def _samples(tar: str) -> list[_Sample]:
    """Indexes one tar: a sample is all members whose names agree up to the first dot."""
    samples: dict[str, _Sample] = {}
    try:
        with tarfile.open(tar, "r:") as archive:
            for member in archive:
                if member.isfile():
                    _add(samples, tar, archive, member)
    except (tarfile.TarError, OSError, ValueError) as error:
        raise GendataError(
            f"'{tar}' cannot be read", found=error, expected="a whole, uncompressed tar"
        ) from error
    for sample in samples.values():
        if sample.offset < 0 or sample.label is None:
            raise GendataError(
                f"the sample {sample.place} is incomplete",
                found="no image" if sample.offset < 0 else "no label",
                expected="an image (png, jpg, …) and its label (cls or json)",
            )
    return list(samples.values())


def _add(
    samples: dict[str, _Sample], tar: str, archive: tarfile.TarFile, member: tarfile.TarInfo
) -> None:
    folder, _, file = member.name.rpartition("/")
    stem, _, extension = file.partition(".")
    suffix = f".{extension.rpartition('.')[2].lower()}"
    key = f"{folder}/{stem}"
    sample = samples.setdefault(key, _Sample(f"{tar}:{key.lstrip('/')}"))
    if suffix in IMAGE_SUFFIXES:
        if sample.offset >= 0 and "." in extension:
            return  # a picture of another kind beside the image, such as 000.mask.png
        sample.tar, sample.offset, sample.size = tar, member.offset_data, member.size
    elif suffix in (".cls", ".json"):
        content = archive.extractfile(member)
        text = content.read().decode("utf-8").strip() if content else ""
        label: Any = text
        if suffix == ".json":
            fields = json.loads(text)
            sample.fields = fields if isinstance(fields, dict) else {}
            label = sample.fields.get("label", sample.fields.get("cls"))
        sample.label = label if sample.label is None else sample.label


def _classes(samples: list[_Sample], listed: list[str] | None) -> tuple[list[str], np.ndarray]:
    """Numbers the classes: as listed, as the samples number and name them, or by sorted name."""
    try:
        labels = np.array([int(sample.label) for sample in samples], dtype=np.int64)
    except (TypeError, ValueError):
        texts = [str(sample.label) for sample in samples]
        classes = listed or sorted(set(texts))
        numbers = {text: label for label, text in enumerate(classes)}
        return classes, np.array([numbers.get(text, -1) for text in texts], dtype=np.int64)
    if listed:
        return listed, labels
    names = {
        int(label): str(sample.fields["class"])
        for label, sample in zip(labels, samples, strict=True)
        if "class" in sample.fields
    }
    return [
        names.get(label, str(label)) for label in range(int(labels.max(initial=-1)) + 1)
    ], labels
