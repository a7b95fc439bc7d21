"""What a row of a clone holds, and how rows are gathered and become a parquet file."""

from __future__ import annotations

import json
from concurrent.futures import Future
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from gendata.errors import GendataError
from gendata.images.places import Place
from gendata.images.row_groups import open_parquet

__all__ = [
    "Encoded",
    "RowGroup",
    "Rows",
    "column_types",
    "read_note",
    "read_rows",
    "schema",
    "write_table",
]

ROWS_PER_GROUP = 256  # what a reader must decode to reach one image
NOTE = b"gendata"
IMAGE = pa.struct({"bytes": pa.binary(), "path": pa.string()})

Encoded = tuple[list[bytes], list[str]]
"""PNG files and pixel digests of a batch, as `png.encode_batch` returns them."""


class RowGroup(NamedTuple):
    """Some rows of one file, in any order.

    Attributes:
        order: (B,) int64, where they belong: slot or draw numbers.
        keys: B unique names.
        labels: (B,) int64, the clone's labels.
        seeds: (B,) int64.
        asked: (B,) int64, the sampler's labels they were asked for, -1 where none was.
        confidence: (B,) float32.
        probabilities: (B, K) float32.
        encoded: files and digests, once the background thread has made them.
        described: B rows of what the sampler says of the images; None where it says nothing.
    """

    order: np.ndarray
    keys: list[str]
    labels: np.ndarray
    seeds: np.ndarray
    asked: np.ndarray
    confidence: np.ndarray
    probabilities: np.ndarray
    encoded: Future[Encoded]
    described: pa.Table | None = None


class Rows:
    """Gathers the rows of one file.

    Args:
        class_names: names behind the labels.
        described: columns of what the sampler says of its images; None where it says nothing.
    """

    def __init__(self, class_names: list[str], described: pa.Schema | None = None) -> None:
        self.class_names, self.schema = class_names, schema(class_names, described)
        self.groups: list[RowGroup] = []

    def add(self, group: RowGroup) -> None:
        """Adds some rows."""
        self.groups.append(group)

    def table(self) -> pa.Table:
        """Waits for the images and returns all rows by ascending order number."""
        if not self.groups:
            return self.schema.empty_table()
        encoded = [group.encoded.result() for group in self.groups]
        files = [file for batch, _ in encoded for file in batch]
        digests = [digest for _, batch in encoded for digest in batch]
        names = [key for group in self.groups for key in group.keys]
        at = np.argsort(self._joined("order"))
        keys = [names[row] for row in at]
        columns = {
            "image": pa.StructArray.from_arrays(
                [pa.array([files[row] for row in at]), pa.array([f"{key}.png" for key in keys])],
                names=["bytes", "path"],
            ),
            "label": self._joined("labels")[at],
            "key": keys,
            "seed": self._joined("seeds")[at],
            "conditioned_label": self._joined("asked")[at],
            "confidence": self._joined("confidence")[at],
            "probabilities": _lists(self._joined("probabilities")[at]),
            "sha256": [digests[row] for row in at],
            **self._described(at),
        }
        return pa.table(columns, schema=self.schema)

    def _joined(self, column: str) -> np.ndarray:
        return np.concatenate([getattr(group, column) for group in self.groups])

    def _described(self, at: np.ndarray) -> dict[str, pa.ChunkedArray]:
        tables = [group.described for group in self.groups if group.described is not None]
        if not tables:
            return {}
        table = pa.concat_tables(tables).take(pa.array(at))
        return dict(zip(table.column_names, table.columns, strict=True))


def schema(class_names: list[str], described: pa.Schema | None = None) -> pa.Schema:
    """Columns of a clone, described in the metadata as Hugging Face `datasets` reads it.

    Args:
        class_names: names behind the labels.
        described: further columns, of what the sampler says of its images.

    Raises:
        GendataError: one of those has the name of a clone's own, or a type of no known feature.
    """
    columns: dict[str, tuple[pa.DataType, dict[str, Any]]] = {
        "image": (IMAGE, {"_type": "Image"}),
        "label": (pa.int64(), {"names": class_names, "_type": "ClassLabel"}),
        "key": (pa.string(), _value("string")),
        "seed": (pa.int64(), _value("int64")),
        "conditioned_label": (pa.int64(), _value("int64")),
        "confidence": (pa.float32(), _value("float32")),
        "probabilities": (
            pa.list_(pa.float32()),
            {"feature": _value("float32"), "_type": "Sequence"},
        ),
        "sha256": (pa.string(), _value("string")),
    }
    for field in described or ():
        if field.name in columns:
            raise GendataError(f"a sampler cannot describe its images in '{field.name}'")
        columns[field.name] = (field.type, _feature(field))
    features = {name: feature for name, (_, feature) in columns.items()}
    return pa.schema(
        [(name, kind) for name, (kind, _) in columns.items()],
        metadata={b"huggingface": json.dumps({"info": {"features": features}}).encode()},
    )


def column_types(described: pa.Schema) -> dict[str, str]:
    """Names and types of a sampler's columns, as `run.json` holds them."""
    return {field.name: _type_name(field.type) for field in described}


def write_table(file: BinaryIO, table: pa.Table, note: dict[str, Any]) -> None:
    """Writes a table, with a note that travels in the file's footer."""
    metadata = {**(table.schema.metadata or {}), NOTE: json.dumps(note).encode()}
    pq.write_table(
        table.replace_schema_metadata(metadata),
        file,
        row_group_size=ROWS_PER_GROUP,
        use_dictionary=["label", "conditioned_label"],
        compression="zstd",
        compression_level=2,
    )


def read_rows(path: Path) -> pa.Table:
    """Reads a file's rows through one handle: another process may be replacing the file."""
    with path.open("rb") as file:
        return pq.read_table(file)


def read_note(path: Place) -> dict[str, Any]:
    """Reads the note in a file's footer, without its rows."""
    return json.loads(open_parquet(path).schema_arrow.metadata[NOTE])


def _lists(values: np.ndarray) -> pa.Array:
    """Turns (N, K) float32 into N lists."""
    count, length = values.shape
    offsets = np.arange(count + 1, dtype=np.int32) * np.int32(length)
    return pa.ListArray.from_arrays(pa.array(offsets), pa.array(values.ravel()))


def _type_name(kind: pa.DataType) -> str:
    """Names a type; parquet files call the items of a list otherwise than memory does."""
    if kind.equals(IMAGE):
        return "image"
    return f"list<{_type_name(kind.value_type)}>" if pa.types.is_list(kind) else str(kind)


def _feature(field: pa.Field) -> dict[str, Any]:
    """What Hugging Face `datasets` calls a type."""
    kind = field.type
    if kind.equals(IMAGE):
        return {"_type": "Image"}
    if pa.types.is_list(kind):
        return {"feature": _feature(kind.value_field), "_type": "Sequence"}
    if pa.types.is_nested(kind):
        raise GendataError(f"the column '{field.name}' cannot be stored", found=kind)
    return _value({"float": "float32", "double": "float64"}.get(str(kind), str(kind)))


def _value(kind: str) -> dict[str, str]:
    return {"dtype": kind, "_type": "Value"}
