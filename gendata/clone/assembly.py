"""How draws become shards: each slot takes its candidate, and spare candidates stay for later."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from gendata.clone.plan import Shard
from gendata.clone.rows import read_note, read_rows, write_table
from gendata.clone.stream import DrawRun, Tally, draw_key, draw_range
from gendata.clone.writer import BackgroundWriter
from gendata.files import publish

__all__ = ["assemble_shards", "drop_used_candidates"]


def assemble_shards(
    run: DrawRun, tally: Tally, shards: Sequence[Shard], folder: Path, writer: BackgroundWriter
) -> None:
    """Writes the shards that are not there yet."""
    note = {"attempts": run.attempts}
    for shard in shards:
        path = folder / shard.file_name
        if not path.exists():
            shard_table = _shard_table(run, tally, shard, folder, writer)
            publish(path, lambda file, table=shard_table: write_table(file, table, note))  # type: ignore[misc]


def drop_used_candidates(run: DrawRun, tally: Tally, folder: Path) -> None:
    """Rewrites the ranges without the images that are in shards; what became of draws stays."""
    for number in range(tally.ranges):
        path = run.path(folder, number)
        keys = pa.array([draw_key(draw) for draw in tally.used_in(number)], pa.string())
        table = read_rows(path)
        spare = table.filter(pc.invert(pc.is_in(table["key"], keys)))
        if len(spare) < len(table):
            note = read_note(path)
            publish(path, lambda file, table=spare, note=note: write_table(file, table, note))  # type: ignore[misc]


def _shard_table(
    run: DrawRun, tally: Tally, shard: Shard, folder: Path, writer: BackgroundWriter
) -> pa.Table:
    wanted: dict[int, list[tuple[int, str, str]]] = {}  # by range: slot, key, candidate's key
    for slot in range(shard.first, shard.end):
        ordinal, position = divmod(slot, len(run.classes.chosen))
        label = run.classes.chosen[position]
        if ordinal < len(tally.filled[label]):
            draw = tally.filled[label][ordinal]
            entry = (slot, run.classes.key(label, ordinal), draw_key(draw))
            wanted.setdefault(draw // run.range_size, []).append(entry)
    if not wanted:
        return pq.read_schema(run.path(folder, 0)).empty_table()
    pieces = [
        _candidates(run, number, [candidate for *_, candidate in entries], folder, writer)
        for number, entries in wanted.items()
    ]
    entries = [entry for group in wanted.values() for entry in group]
    order = np.argsort([slot for slot, *_ in entries])
    return _renamed(pa.concat_tables(pieces), [key for _, key, _ in entries]).take(pa.array(order))


def _candidates(
    run: DrawRun, number: int, keys: list[str], folder: Path, writer: BackgroundWriter
) -> pa.Table:
    """Reads candidates by key; a range that gave them to a shard since lost is drawn again."""
    for _ in range(2):
        table = read_rows(run.path(folder, number))
        rows = pc.index_in(pa.array(keys), table["key"])
        if not rows.null_count:
            return table.take(rows)
        draw_range(run, folder, number, writer)
    raise AssertionError(f"range {number} does not hold its own candidates")


def _renamed(table: pa.Table, keys: list[str]) -> pa.Table:
    files = pc.struct_field(table["image"], "bytes").combine_chunks()
    paths = pa.array([f"{key}.png" for key in keys])
    columns = {
        "image": pa.StructArray.from_arrays([files, paths], names=["bytes", "path"]),
        "key": pa.array(keys),
    }
    for name, column in columns.items():
        table = table.set_column(table.column_names.index(name), table.schema.field(name), column)
    return table
