"""Reading image parquet in the Hugging Face layout: files, folders and clones."""

from __future__ import annotations

import io
import json
import re
from bisect import bisect_right
from collections.abc import Sequence
from functools import cached_property
from itertools import accumulate
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from gendata.errors import GendataError
from gendata.images.flat import FlatSource, flattened
from gendata.images.lazy import LazyImages, Source, inspected

__all__ = ["ParquetSource", "clone_state", "read_clone", "read_parquet"]

RUN_FILE = "run.json"
HELD_BYTES = 2 * 2**30  # encoded images that take more than this are read from disk
IMAGE_NAMES = ("image", "img", "images", "jpg", "png", "picture")
LABEL_NAMES = ("label", "labels", "fine_label", "target", "class", "cls")
SPLIT = re.compile(r"^(train|test|validation|valid|val|dev)\b|^(train|test|validation)[-_.]")


class ParquetSource:
    """The image column of some files, held in memory as it is encoded, once an image is asked for.

    Opening a set, as the end of drawing does, costs no more than its labels.
    """

    def __init__(self, files: Sequence[Path], column: str) -> None:
        self.files, self.column = list(files), column

    def __len__(self) -> int:
        return sum(pq.read_metadata(file).num_rows for file in self.files)

    def open(self, row: int) -> BinaryIO:
        """Opens one image."""
        chunk = bisect_right(self._ends, row)
        first = self._ends[chunk - 1] if chunk else 0
        content = self._chunks[chunk][row - first].as_py()
        if content is None:
            raise OSError("no bytes in this row")
        return io.BytesIO(content)

    def place(self, row: int) -> str:
        """Names file and row."""
        for file in self.files:
            count = pq.read_metadata(file).num_rows
            if row < count:
                return f"{file} row {row}"
            row -= count
        raise IndexError(row)

    def __getstate__(self) -> dict[str, Any]:
        return {"files": self.files, "column": self.column}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.files, self.column = state["files"], state["column"]

    @cached_property
    def _chunks(self) -> list[pa.Array]:
        return [chunk for file in self.files for chunk in _encoded(file, self.column)]

    @cached_property
    def _ends(self) -> list[int]:
        return list(accumulate(len(chunk) for chunk in self._chunks))


def read_parquet(
    path: str,
    *,
    name: str,
    strict: bool,
    split: str | None = None,
    image_column: str | None = None,
    label_column: str | None = None,
) -> LazyImages:
    """Opens a parquet file, or a folder of them (files of one split, where there are several).

    Raises:
        GendataError: unreadable files, or no image or label column.
    """
    root = Path(path)
    if root.is_dir():
        _check_finished(root)
    files = _files_of_split(root, split) if root.is_dir() else [root]
    classes, labels, source = _opened(files, image_column, label_column)
    return inspected(name, classes, labels, source, strict)


def read_clone(path: str, *, name: str, strict: bool, unfinished: bool = False) -> LazyImages:
    """Opens the shards of a drawn clone; `gendata verify` looks for damage, not this.

    Raises:
        GendataError: there are none, they are unreadable, or some are still to be drawn and
            `unfinished` does not say that those which are there will do.
    """
    if not unfinished:
        _check_finished(Path(path))
    files = sorted(Path(path).glob("shard-*.parquet"))
    if not files:
        raise GendataError(f"the clone '{path}' has no shards", do="draw it with gendata sample")
    classes, labels, source = _opened(files, "image", "label")
    return LazyImages(name, classes, labels, source, np.arange(len(source)), strict)


def clone_state(folder: Path) -> str | None:
    """Says whether a folder is a "finished" or an "unfinished" clone; None: it is no clone."""
    try:
        run = json.loads((folder / RUN_FILE).read_text(encoding="utf-8"))
        if run["format"] != "gendata clone":
            return None
        return "finished" if run["finished"] else "unfinished"
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _check_finished(folder: Path) -> None:
    if clone_state(folder) == "unfinished":
        raise GendataError(
            f"the clone '{folder}' is unfinished",
            found=f"{len(list(folder.glob('shard-*.parquet')))} of its shards",
            do="give the same gendata sample command again to draw the rest, or take what is "
            f"there: clone:{folder}?unfinished=true",
        )


def _opened(
    files: list[Path], image_column: str | None, label_column: str | None
) -> tuple[list[str], np.ndarray, Source]:
    schemas = [_schema(file) for file in files]
    features = _features(schemas[0])
    images = _column(files[0], schemas[0], features, "image", image_column)
    labels = _column(files[0], schemas[0], features, "label", label_column)
    for file, schema in zip(files, schemas, strict=True):
        missing = {images, labels} - set(schema.names)
        if missing:
            raise GendataError(f"'{file}' lacks columns", found=schema.names, expected=missing)
    classes, numbers = _labels(files, labels, features)
    size = sum(_column_bytes(file, images) for file in files)
    if size <= HELD_BYTES:
        return classes, numbers, ParquetSource(files, images)
    return classes, numbers, FlatSource(flattened(files, images, _encoded_groups), files[0].parent)


def _schema(file: Path) -> pa.Schema:
    try:
        return pq.read_schema(file)
    except (pa.ArrowException, OSError) as error:
        raise GendataError(
            f"'{file}' cannot be read", found=str(error)[:200], expected="a whole parquet file"
        ) from error


def _features(schema: pa.Schema) -> dict[str, Any]:
    """Returns the Hugging Face feature descriptions by column, empty where there are none."""
    try:
        content = json.loads((schema.metadata or {})[b"huggingface"])
        features = content["info"]["features"]
    except (KeyError, ValueError, TypeError):
        return {}
    return features if isinstance(features, dict) else {}


def _column(
    file: Path, schema: pa.Schema, features: dict[str, Any], kind: str, asked: str | None
) -> str:
    """Finds the image or label column: as asked, by its usual name, or by its feature type."""
    feature, names = {
        "image": ("Image", IMAGE_NAMES),
        "label": ("ClassLabel", LABEL_NAMES),
    }[kind]
    typed = [name for name, value in features.items() if _type(value) == feature]
    candidates = [asked] if asked else [*names, *typed]
    for name in candidates:
        if name in schema.names:
            return name
    raise GendataError(
        f"'{file}' has no {kind} column{f' {asked!r}' if asked else ''}",
        found=", ".join(schema.names),
        expected=f"one of {', '.join(names)}",
        do=f"name it after the path: ?{kind}_column=NAME",
    )


def _type(feature: object) -> object:
    return feature.get("_type") if isinstance(feature, dict) else None


def _labels(
    files: list[Path], column: str, features: dict[str, Any]
) -> tuple[list[str], np.ndarray]:
    read = [_read(file, column).cast(_plain_type(file, column)) for file in files]
    values = pa.chunked_array([chunk for part in read for chunk in part.chunks], read[0].type)
    if values.null_count:
        raise GendataError(
            f"'{files[0].parent}' has rows without a label", found=f"{values.null_count} of them"
        )
    feature = features.get(column)
    named = feature.get("names") if isinstance(feature, dict) else None
    if pa.types.is_string(values.type):
        texts = values.to_pylist()
        classes = [str(name) for name in named] if named else sorted(set(texts))
        numbers = {text: label for label, text in enumerate(classes)}
        return classes, np.array([numbers.get(text, -1) for text in texts], dtype=np.int64)
    labels = values.to_numpy().astype(np.int64)
    classes = [str(name) for name in named or range(int(labels.max(initial=-1)) + 1)]
    return classes, labels


def _plain_type(file: Path, column: str) -> pa.DataType:
    kind = pq.read_schema(file).field(column).type
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    if pa.types.is_integer(kind):
        return pa.int64()
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return pa.string()
    raise GendataError(
        f"the labels in '{file}' are not labels",
        found=f"column {column} of type {kind}",
        expected="integers or texts",
        do="name the right one after the path: ?label_column=NAME",
    )


def _read(file: Path, column: str) -> pa.ChunkedArray:
    try:
        return pq.read_table(file, columns=[column], partitioning=None).column(0)
    except (pa.ArrowException, OSError) as error:
        raise GendataError(f"'{file}' is damaged", found=str(error)[:200]) from error


def _encoded(file: Path, column: str) -> list[pa.Array]:
    return [_bytes_of(file, chunk) for chunk in _read(file, column).chunks]


def _encoded_groups(file: Path, column: str) -> Any:
    """Yields the encoded images of a file, one row group in memory at a time."""
    reader = pq.ParquetFile(file)
    for group in range(reader.num_row_groups):
        for chunk in reader.read_row_group(group, columns=[column]).column(0).chunks:
            yield from _bytes_of(file, chunk).to_pylist()


def _bytes_of(file: Path, chunk: pa.Array) -> pa.Array:
    """Returns the bytes of an image column: `{bytes, path}` records, or bytes alone."""
    if pa.types.is_struct(chunk.type) and chunk.type.get_field_index("bytes") >= 0:
        chunk = chunk.field("bytes")
    if pa.types.is_binary(chunk.type) or pa.types.is_large_binary(chunk.type):
        return chunk
    raise GendataError(
        f"'{file}' does not hold encoded images",
        found=f"an image column of type {chunk.type}",
        expected="bytes, or records with bytes",
    )


def _column_bytes(file: Path, column: str) -> int:
    metadata = pq.read_metadata(file)
    return sum(
        part.total_uncompressed_size
        for group in range(metadata.num_row_groups)
        for part in _column_parts(metadata.row_group(group))
        if part.path_in_schema.split(".")[0] == column
    )


def _column_parts(group: Any) -> list[Any]:
    return [group.column(number) for number in range(group.num_columns)]


def _files_of_split(root: Path, split: str | None) -> list[Path]:
    """Lists a folder's parquet files; files of several splits need one to be chosen."""
    files = sorted(path for path in root.rglob("*.parquet") if path.name[0] != ".")
    splits: dict[str, list[Path]] = {}
    for file in files:
        splits.setdefault(_split_name(file.relative_to(root)), []).append(file)
    if split is None and len(splits) == 1:
        return files
    if split not in splits:
        raise GendataError(
            f"'{root}' has no parquet files{f' of a split {split!r}' if split else ''}"
            if not splits or split
            else f"'{root}' holds several splits",
            found=", ".join(sorted(filter(None, splits))) or f"{len(files)} files",
            expected="*.parquet" if not splits else "one split",
            do="choose one after the path: ?split=NAME" if len(splits) > 1 else None,
        )
    return splits[split]


def _split_name(path: Path) -> str:
    """Reads the split in `train-00000-of-00002.parquet` or `test/0000.parquet`; else ''."""
    for part in reversed(path.parts):
        match = SPLIT.match(part)
        if match:
            return match.group(1) or match.group(2)
    return ""
