"""Reading image parquet in the Hugging Face layout: files, folders and clones, also at URLs."""

from __future__ import annotations

import json
import re
from pathlib import PurePath
from typing import Any

import numpy as np
import pyarrow as pa

from gendata.errors import GendataError
from gendata.images.columns import Columns
from gendata.images.flat import FlatSource, flattened
from gendata.images.lazy import LazyImages, Source, inspected
from gendata.images.places import Place, place_of
from gendata.images.row_groups import (
    Footer,
    ParquetSource,
    RowGroups,
    encoded_groups,
    open_parquet,
    read_footer,
)

__all__ = ["clone_state", "read_clone", "read_parquet"]

RUN_FILE = "run.json"
HELD_BYTES = 2 * 2**30  # encoded images that take more than this are copied to disk
IMAGE_NAMES = ("image", "img", "images", "jpg", "png", "picture")
LABEL_NAMES = ("label", "labels", "fine_label", "target", "class", "cls")
SPLIT = re.compile(r"^(train|test|validation|valid|val|dev)\b|^(train|test|validation)[-_.]")


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
    root = place_of(path)
    if root.is_dir():
        _check_finished(root)
    files: list[Place] = _files_of_split(root, split) if root.is_dir() else [root]
    footers = [read_footer(file) for file in files]
    classes, labels, source = _opened(files, footers, image_column, label_column)
    return inspected(name, classes, labels, source, strict)


def read_clone(path: str, *, name: str, strict: bool, unfinished: bool = False) -> LazyImages:
    """Opens the shards of a drawn clone; `gendata verify` looks for damage, not this.

    Raises:
        GendataError: there are none, they are unreadable, or some are still to be drawn and
            `unfinished` does not say that those which are there will do.
    """
    folder = place_of(path)
    if not unfinished:
        _check_finished(folder)
    files: list[Place] = [*folder.glob("shard-*.parquet")]
    files.sort(key=str)
    if not files:
        raise GendataError(f"the clone '{path}' has no shards", do="draw it with gendata sample")
    footers = [read_footer(file) for file in files]
    classes, labels, source = _opened(files, footers, "image", "label")
    columns = _described(folder, files, footers)
    rows = np.arange(len(source))
    return LazyImages(name, classes, labels, source, rows, strict, columns=columns)


def clone_state(folder: Place) -> str | None:
    """Says whether a folder is a "finished" or an "unfinished" clone; None: it is no clone."""
    run = _read_run(folder)
    if run is None or "finished" not in run:
        return None
    return "finished" if run["finished"] else "unfinished"


def _read_run(folder: Place) -> dict[str, Any] | None:
    """Reads what a clone says of itself; None where that cannot be read, or it is none."""
    if not (folder / RUN_FILE).is_file():
        return None
    try:
        run = json.loads((folder / RUN_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return run if isinstance(run, dict) and run.get("format") == "gendata clone" else None


def _check_finished(folder: Place) -> None:
    if clone_state(folder) == "unfinished":
        raise GendataError(
            f"the clone '{folder}' is unfinished",
            found=f"{len(list(folder.glob('shard-*.parquet')))} of its shards",
            do="give the same gendata sample command again to draw the rest, or take what is "
            f"there: clone:{folder}?unfinished=true",
        )


def _described(folder: Place, files: list[Place], footers: list[Footer]) -> Columns | None:
    """The columns in which a clone's sampler describes its images; None where it does not."""
    try:
        names = list((_read_run(folder) or {})["settings"]["sampler"]["columns"])
    except (KeyError, TypeError):
        return None
    schema = footers[0].schema
    features = _features(schema)
    if not set(names) <= features.keys() & set(schema.names):
        return None  # not the files that it says: `verify` tells
    return Columns(
        RowGroups(files, [each.rows for each in footers]),
        pa.schema([schema.field(name) for name in names]),
        {name: features[name] for name in names},
    )


def _opened(
    files: list[Place],
    footers: list[Footer],
    image_column: str | None,
    label_column: str | None,
) -> tuple[list[str], np.ndarray, Source]:
    features = _features(footers[0].schema)
    images = _column(files[0], footers[0].schema, features, "image", image_column)
    labels = _column(files[0], footers[0].schema, features, "label", label_column)
    for file, footer in zip(files, footers, strict=True):
        missing = {images, labels} - set(footer.schema.names)
        if missing:
            raise GendataError(
                f"'{file}' lacks columns", found=footer.schema.names, expected=missing
            )
    classes, numbers = _labels(files, footers, labels, features)
    if sum(footer.sizes.get(images, 0) for footer in footers) <= HELD_BYTES:
        groups = RowGroups(files, [each.rows for each in footers])
        return classes, numbers, ParquetSource(groups, images)
    return classes, numbers, FlatSource(flattened(files, images, encoded_groups), files[0].parent)


def _features(schema: pa.Schema) -> dict[str, Any]:
    """Returns the Hugging Face feature descriptions by column, empty where there are none."""
    try:
        content = json.loads((schema.metadata or {})[b"huggingface"])
        features = content["info"]["features"]
    except (KeyError, ValueError, TypeError):
        return {}
    return features if isinstance(features, dict) else {}


def _column(
    file: Place, schema: pa.Schema, features: dict[str, Any], kind: str, asked: str | None
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
    files: list[Place], footers: list[Footer], column: str, features: dict[str, Any]
) -> tuple[list[str], np.ndarray]:
    read = [
        _read(file, column).cast(_plain_type(file, footer.schema, column))
        for file, footer in zip(files, footers, strict=True)
    ]
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


def _plain_type(file: Place, schema: pa.Schema, column: str) -> pa.DataType:
    kind = schema.field(column).type
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


def _read(file: Place, column: str) -> pa.ChunkedArray:
    try:
        return open_parquet(file).read(columns=[column]).column(0)
    except (pa.ArrowException, OSError) as error:
        raise GendataError(f"'{file}' is damaged", found=str(error)[:200]) from error


def _files_of_split(root: Place, split: str | None) -> list[Place]:
    """Lists a folder's parquet files; files of several splits need one to be chosen."""
    found: list[Place] = [*root.rglob("*.parquet")]
    files = sorted((path for path in found if path.name[0] != "."), key=str)
    splits: dict[str, list[Place]] = {}
    for file in files:
        splits.setdefault(_split_name(PurePath(str(file)[len(str(root)) :])), []).append(file)
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


def _split_name(path: PurePath) -> str:
    """Reads the split in `train-00000-of-00002.parquet` or `test/0000.parquet`; else ''."""
    for part in reversed(path.parts):
        match = SPLIT.match(part)
        if match:
            return match.group(1) or match.group(2)
    return ""
