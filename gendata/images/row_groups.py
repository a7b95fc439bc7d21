"""The row groups of parquet files: what is read at a time to reach one image."""

from __future__ import annotations

import io
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from functools import cached_property
from itertools import accumulate
from threading import Lock
from typing import Any, BinaryIO, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from gendata.errors import GendataError
from gendata.images.places import Place, RemotePath

__all__ = ["Footer", "ParquetSource", "encoded_groups", "open_parquet", "read_footer"]


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
        yield from _encoded(file, reader, group, column).to_pylist()


class ParquetSource:
    """The image column of some files, as it is encoded; a row group is held once it was needed.

    Args:
        files: the files.
        column: the column's name.
        rows: of each row group of each file; None: as their footers say.
    """

    def __init__(
        self, files: Sequence[Place], column: str, rows: Sequence[Sequence[int]] | None = None
    ) -> None:
        self.files, self.column = list(files), column
        self.rows = rows if rows is not None else [read_footer(file).rows for file in files]
        self._held: dict[int, pa.Array] = {}
        self._lock = Lock()

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    def open(self, row: int) -> BinaryIO:
        """Opens one image."""
        number = bisect_right(self._ends, row)
        content = self._images(number)[row - self._first(number)].as_py()
        if content is None:
            raise OSError("no bytes in this row")
        return io.BytesIO(content)

    def place(self, row: int) -> str:
        """Names file and row."""
        file, group = self._groups[bisect_right(self._ends, row)]
        first = self._first(bisect_right(self._ends, row)) - sum(self.rows[file][:group])
        return f"{self.files[file]} row {row - first}"

    def __reduce__(self) -> tuple[Any, ...]:
        return ParquetSource, (self.files, self.column, self.rows)

    def _images(self, number: int) -> pa.Array:
        with self._lock:
            if number not in self._held:
                file, group = self._groups[number]
                reader = open_parquet(self.files[file])
                self._held[number] = _encoded(self.files[file], reader, group, self.column)
            return self._held[number]

    def _first(self, number: int) -> int:
        return self._ends[number - 1] if number else 0

    @cached_property
    def _groups(self) -> list[tuple[int, int]]:
        """File and number in it of each row group."""
        return [(file, group) for file, rows in enumerate(self.rows) for group in range(len(rows))]

    @cached_property
    def _ends(self) -> list[int]:
        return list(accumulate(count for rows in self.rows for count in rows))


def _encoded(file: Place, reader: pq.ParquetFile, group: int, column: str) -> pa.Array:
    """Reads the bytes of a row group's images: of `{bytes, path}` records, or of bytes alone."""
    try:
        read = reader.read_row_group(group, columns=[column]).column(0)
    except (pa.ArrowException, OSError) as error:
        raise GendataError(f"'{file}' is damaged", found=str(error)[:200]) from error
    chunks = [_bytes_of(file, chunk) for chunk in read.chunks]
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
