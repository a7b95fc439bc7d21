"""Whether rows of a clone come out of its sampler again, and how near."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import torch

from gendata.clone.drawing import columns_of, draw_described, knows_conditions
from gendata.clone.plan import Plan
from gendata.clone.png import decode_image
from gendata.clone.run_file import Run, json_values
from gendata.clone.threads import cpu_threads
from gendata.errors import GendataError
from gendata.images.places import Place
from gendata.images.row_groups import open_parquet
from gendata.samplers import load_sampler
from gendata.settings_difference import settings_difference
from gendata.types import Sampler

__all__ = ["recorded_sampler", "redraw_rows"]


@dataclass
class Comparison:
    """How near the rows that were drawn again come to the stored ones.

    Attributes:
        rows: compared so far.
        identical_images: those whose pixels are the same.
        values: reds, greens and blues of all pixels.
        identical_values: those that are the same.
        largest_difference: of two values.
        changed: by column of the sampler's, rows that differ.
    """

    rows: int = 0
    identical_images: int = 0
    values: int = 0
    identical_values: int = 0
    largest_difference: int = 0
    changed: Counter[str] = field(default_factory=Counter)

    def add(self, table: pa.Table, again: np.ndarray, described: pa.Table | None) -> None:
        """Compares rows of a clone with uint8 (N, H, W, 3) and what the sampler says of them."""
        stored = [_decode_or_blank(row["bytes"], again) for row in table["image"].to_pylist()]
        difference = np.abs(again.astype(np.int16) - np.stack(stored))
        self.rows += len(difference)
        self.identical_images += int((difference.reshape(len(difference), -1).max(1) == 0).sum())
        self.identical_values += int((difference == 0).sum())
        self.values += difference.size
        self.largest_difference = max(self.largest_difference, int(difference.max()))
        if described is None:
            return
        for name in described.column_names:
            pairs = zip(table[name].to_pylist(), described[name].to_pylist(), strict=True)
            # By their texts, because a NaN differs from itself.
            self.changed[name] += sum(repr(before) != repr(after) for before, after in pairs)

    def report(self) -> dict[str, Any]:
        """What `redraw_rows` returns."""
        report: dict[str, Any] = {
            "rows": self.rows,
            "identical_images": self.identical_images / self.rows,
            "identical_values": self.identical_values / self.values,
            "largest_difference": self.largest_difference,
        }
        if self.changed:
            report["changed_columns"] = {name: n for name, n in self.changed.items() if n}
        return report


def redraw_rows(
    folder: Place,
    run: Run,
    sampler: Sampler,
    rows: Sequence[int],
    chosen: np.ndarray,
) -> dict[str, Any]:
    """Draws some rows again, in batches of the run's size.

    Args:
        folder: the clone.
        run: its `run.json`.
        sampler: what draws.
        rows: number of rows in each shard, 0 for those to leave out.
        chosen: (N,) int64, row numbers over all shards, ascending.

    Returns:
        `rows`; the shares of `identical_images` and of `identical_values`, a value being a
        pixel's red, green or blue; the `largest_difference` of values, 0 to 255; and, where the
        sampler describes its images, the `changed_columns` with the number of rows that differ.
    """
    described = list(run.settings["sampler"].get("columns", {}))
    _check_columns(sampler, described)
    batch_size, comparison = run.settings["batch_size"], Comparison()
    with cpu_threads(run.threads):
        for start in range(0, len(chosen), batch_size):
            table = _read_rows(folder, run, rows, chosen[start : start + batch_size], described)
            comparison.add(table, *_redraw(sampler, table, batch_size))
    return comparison.report()


def recorded_sampler(
    run: Run,
    device: str,
    trust: bool,
    download: bool = False,
    reference: str | None = None,
    changes: Mapping[str, Any] | None = None,
) -> Sampler:
    """Loads the sampler that `run.json` names.

    Args:
        run: the run.
        device: where the sampler runs.
        trust: run the code that it may name.
        download: fetch it if it is not on this machine.
        reference: where it lies now; None: where it lay.
        changes: options in place of recorded ones.

    Raises:
        GendataError: it cannot be loaded, or it is another one now.
    """
    recorded = run.settings["sampler"]
    options = {**recorded["options"], **recorded.get("files", {})}
    for consent in ("trust", "download"):
        options.pop(consent, None)  # not the file's to give
    if trust:
        options["trust"] = True
    name, kind = reference or recorded["name"], recorded["name"].partition(":")[0]
    if reference is not None and reference.partition(":")[0] != kind:
        raise GendataError(
            "this clone was drawn with a sampler of another kind",
            found=f"'{reference}'",
            expected=f"{kind}: and where it lies now",
        )
    try:
        sampler = load_sampler(
            name, device=device, download=download, **{**options, **(changes or {})}
        )
    except GendataError as error:
        raise GendataError(
            f"what this clone was drawn with cannot be loaded: {error}",
            do=f"run this where {name} is found, or say where it lies: --sampler and -o",
        ) from error
    own = {"sha256": sampler.card.sha256, "settings": dict(sampler.card.settings)}
    before = {part: recorded[part] for part in own}
    if difference := settings_difference(before, json_values(own)):
        raise GendataError(
            f"{name} is not the sampler that this clone was drawn with", found=difference
        )
    return sampler


def _decode_or_blank(content: bytes | None, like: np.ndarray) -> np.ndarray:
    """Decodes an image; one that is damaged or of another size differs everywhere."""
    try:
        pixels = decode_image(content).astype(np.int16)
    except ValueError:
        pixels = np.empty(0, dtype=np.int16)
    return pixels if pixels.shape == like.shape[1:] else np.full(like.shape[1:], -255, np.int16)


def _check_columns(sampler: Sampler, stored: list[str]) -> None:
    """Refuses a sampler that says other things of its images than the clone holds."""
    columns = columns_of(sampler)
    own = [] if columns is None else columns.names
    if own != stored:
        raise GendataError(
            f"{sampler.name} is not the sampler that this clone was drawn with",
            found=f"columns {', '.join(own) or 'none'}",
            expected=", ".join(stored) or "none",
        )


def _read_rows(
    folder: Place, run: Run, rows: Sequence[int], chosen: np.ndarray, described: list[str]
) -> pa.Table:
    """Reads rows by number; they lie in few shards, because they are ascending."""
    settings = run.settings
    plan = Plan(len(settings["classes"]["chosen"]), run.extents, settings["shard_size"])
    ends = np.cumsum(rows)
    homes = np.searchsorted(ends, chosen, side="right")
    tables = []
    for number in np.unique(homes).tolist():
        path = folder / plan.shards()[number].file_name
        table = open_parquet(path).read(["image", "seed", "conditioned_label", *described])
        tables.append(
            table.take(pa.array(chosen[homes == number] - (ends[number] - rows[number])))
        )
    return pa.concat_tables(tables)


def _redraw(
    sampler: Sampler, table: pa.Table, batch_size: int
) -> tuple[np.ndarray, pa.Table | None]:
    """Draws uint8 (N, H, W, 3) for N rows, in a batch of the run's size if that matters.

    Also returns what the sampler says of them, if it does.
    """
    count = len(table)
    fill = np.arange(batch_size if columns_of(sampler) is None else count) % count
    seeds = torch.from_numpy(table["seed"].to_numpy()[fill])
    labels = torch.from_numpy(table["conditioned_label"].to_numpy()[fill])
    with torch.no_grad():
        drawn = draw_described(sampler, labels if knows_conditions(sampler) else None, seeds)
    described = None if drawn.columns is None else drawn.columns.slice(0, count)
    return drawn.images[:count].permute(0, 2, 3, 1).cpu().numpy(), described
