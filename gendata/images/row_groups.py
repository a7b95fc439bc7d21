"""The row groups of parquet files: what is read at a time to reach one image."""

from __future__ import annotations

import io
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import accumulate
from threading import Lock
from typing import Any, BinaryIO, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from gendata.errors import GendataError
from gendata.images.places import Place, RemotePath

__all__ = [
    "Footer",
    "ParquetSource",
    "RowGroups",
    "encoded_groups",
    "open_parquet",
    "read_footer",
]


class Footer(NamedTuple):
    """What a file's footer tells.

    Attributes:
        schema: its columns, with what the metadata says of them.
        rows: of each row group.
        sizes: bytes of each column, decompressed.
    """

    schema: pa.Schema
    rows: tuple[int, ...]
    sizes: dict[str, int]


def open_parquet(file: Place) -> pq.ParquetFile:
    """Opens a file; of one at a URL the footer is fetched, and later what is asked for."""
    if isinstance(file, RemotePath):
        return pq.ParquetFile(file.open(), pre_buffer=True)
    return pq.ParquetFile(file)


def read_footer(file: Place) -> Footer:
    """Reads a file's footer.

    Raises:
        GendataError: it is no whole parquet file.
    """
    try:
        reader = open_parquet(file)
        metadata = reader.metadata
    except (pa.ArrowException, OSError) as error:
        raise GendataError(
            f"'{file}' cannot be read", found=str(error)[:200], expected="a whole parquet file"
        ) from error
    groups = [metadata.row_group(number) for number in range(metadata.num_row_groups)]
    sizes: dict[str, int] = {}
    for group in groups:
        for number in range(group.num_columns):
            part = group.column(number)
            column = part.path_in_schema.split(".")[0]
            sizes[column] = sizes.get(column, 0) + part.total_uncompressed_size
    return Footer(reader.schema_arrow, tuple(group.num_rows for group in groups), sizes)


def encoded_groups(file: Place, column: str) -> Iterator[bytes | None]:
    """Yields the encoded images of a file, one row group in memory at a time."""
    reader = open_parquet(file)
    for group in range(reader.num_row_groups):
        yield from _encoded(file, _read(file, reader, group, [column])).to_pylist()


class RowGroups:
    """The row groups of some files, end to end.

    Args:
        files: the files.
        rows: of each row group of each file.
    """

    def __init__(self, files: Sequence[Place], rows: Sequence[Sequence[int]]) -> None:
        self.files, self.rows = list(files), rows
        self._groups = [
            (file, group) for file, each in enumerate(rows) for group in range(len(each))
        ]
        self._ends = list(accumulate(count for each in rows for count in each))

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    def find(self, row: int) -> tuple[int, int]:
        """Returns the number of a row's group, and the row's place in it."""
        number = bisect_right(self._ends, row)
        return number, row - (self._ends[number - 1] if number else 0)

    def file(self, number: int) -> Place:
        """Returns the file of a group."""
        return self.files[self._groups[number][0]]

    def read(self, number: int, columns: list[str]) -> pa.Table:
        """Reads columns of one group.

        Raises:
            GendataError: its file is damaged.
        """
        file = self.file(number)
        return _read(file, open_parquet(file), self._groups[number][1], columns)

    def place(self, row: int) -> str:
        """Names file and row."""
        number, place = self.find(row)
        file, group = self._groups[number]
        return f"{self.files[file]} row {sum(self.rows[file][:group]) + place}"


class ParquetSource:
    """The image column of some files, as it is encoded; a row group is held once it was needed.

    Args:
        groups: where the rows lie.
        column: the column's name.
    """

    def __init__(self, groups: RowGroups, column: str) -> None:
        self.groups, self.column = groups, column
        self._held: dict[int, pa.Array] = {}
        self._lock = Lock()

    def __len__(self) -> int:
        return len(self.groups)

    def open(self, row: int) -> BinaryIO:
        """Opens one image."""
        number, place = self.groups.find(row)
        content = self._images(number)[place].as_py()
        if content is None:
            raise OSError("no bytes in this row")
        return io.BytesIO(content)

    def place(self, row: int) -> str:
        """Names file and row."""
        return self.groups.place(row)

    def __reduce__(self) -> tuple[Any, ...]:
        return ParquetSource, (self.groups, self.column)

    def _images(self, number: int) -> pa.Array:
        with self._lock:
            if number not in self._held:
                read = self.groups.read(number, [self.column])
                self._held[number] = _encoded(self.groups.file(number), read)
            return self._held[number]


def _read(file: Place, reader: pq.ParquetFile, group: int, columns: list[str]) -> pa.Table:
    try:
        return reader.read_row_group(group, columns=columns)
    except (pa.ArrowException, OSError) as error:
        raise GendataError(f"'{file}' is damaged", found=str(error)[:200]) from error


def _encoded(file: Place, table: pa.Table) -> pa.Array:
    """The bytes of a column of images: of `{bytes, path}` records, or of bytes alone."""
    chunks = [_bytes_of(file, chunk) for chunk in table.column(0).chunks]
    return chunks[0] if len(chunks) == 1 else pa.chunked_array(chunks, pa.binary())


def _bytes_of(file: Place, chunk: pa.Array) -> pa.Array:
    if pa.types.is_struct(chunk.type) and chunk.type.get_field_index("bytes") >= 0:
        chunk = chunk.field("bytes")
    if pa.types.is_binary(chunk.type) or pa.types.is_large_binary(chunk.type):
        return chunk
    raise GendataError(
        f"'{file}' does not hold encoded images",
        found=f"an image column of type {chunk.type}",
        expected="bytes, or records with bytes",
    )
