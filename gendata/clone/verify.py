"""Whether a clone is whole and is what it says."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from gendata.clone.plan import ClassTable, Plan, Shard
from gendata.clone.png import decode_image, pixel_digest
from gendata.clone.redraw import recorded_sampler, redraw_rows
from gendata.clone.rows import column_types, schema
from gendata.clone.run_file import Run, read_run
from gendata.clone.work import REJECTS
from gendata.errors import GendataError
from gendata.images.places import Place, place_of
from gendata.images.row_groups import open_parquet
from gendata.types import Sampler

__all__ = ["verify_clone"]

MOST_SHOWN = 20  # problems listed; all are counted


def verify_clone(
    folder: str | Place,
    *,
    sampler: Sampler | str | None = None,
    options: Mapping[str, Any] | None = None,
    count: int = 16,
    all: bool = False,
    device: str = "auto",
    trust: bool = False,
    download: bool = False,
) -> dict[str, Any]:
    """Checks every row of a clone, and draws some again.

    Args:
        folder: the clone: a folder, or a URL that fsspec knows.
        sampler: what draws again, or a reference to where that lies now; None: where `run.json`
            says. Of a sampler that is loaded already only the images are compared.
        options: of the sampler that is loaded here, in place of those that `run.json` names.
        count: rows to draw again, spread at random, always the same ones; 0: none.
        all: draw every row again.
        trust: run the code that a recorded sampler may name (`python:MODULE:FUNCTION`).
        device: where a sampler that is loaded here runs.
        download: fetch a recorded sampler that is not on this machine.

    Returns:
        `ok`, no problem and nothing redrawn more than one grey level off; `rows`; `complete`,
        whether the run is finished; `problem_count` and `problems`, the first of them; and
        `redrawn` (see `redraw_rows`) or None.

    Raises:
        GendataError: the folder is not a clone, or the sampler cannot be loaded.
    """
    folder = place_of(folder)
    run = read_run(folder)
    check = Check(run)
    if not run.finished:
        check.note("the run is not finished: the same gendata sample command continues it")
    rows = [check.shard(folder, shard) for shard in check.plan.shards()]
    if run.finished:
        check.report(folder)
    total = sum(rows)
    chosen = np.sort(
        np.random.default_rng(0).choice(total, total if all else min(count, total), replace=False)
    )
    redrawn = None
    if len(chosen):
        if sampler is None or isinstance(sampler, str):
            sampler = recorded_sampler(run, device, trust, download, sampler, options)
        redrawn = redraw_rows(folder, run, sampler, rows, chosen)
    return {
        "ok": not check.problem_count and (redrawn is None or _is_near(redrawn)),
        "rows": total,
        "complete": run.finished,
        "problem_count": check.problem_count,
        "problems": check.problems,
        "redrawn": redrawn,
    }


def _is_near(redrawn: dict[str, Any]) -> bool:
    """Says whether rows came out as they were, but for the last bit of rounding."""
    return redrawn["largest_difference"] <= 1 and not redrawn.get("changed_columns")


@dataclass
class Check:
    """What was found in the rows so far."""

    run: Run
    counts: Counter[int] = field(default_factory=Counter)
    problem_count: int = 0
    problems: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        classes = self.run.settings["classes"]
        self.classes = ClassTable(tuple(classes["names"]), tuple(classes["chosen"]))
        self.plan = Plan(
            len(self.classes.chosen), self.run.extents, self.run.settings["shard_size"]
        )

    def note(self, problem: str) -> None:
        """Notes a problem."""
        self.problem_count += 1
        if self.problem_count <= MOST_SHOWN:
            self.problems.append(problem)

    def shard(self, folder: Place, shard: Shard) -> int:
        """Checks one file; returns how many rows can be used."""
        path = folder / shard.file_name
        if not path.exists():
            self.note(f"{shard.file_name} is missing")
            return 0
        try:
            file = open_parquet(path)
            if not self._has_columns(file.schema_arrow):
                self.note(f"{shard.file_name} has other columns than a clone")
                return 0
            slots = self._slots(shard)
            for group in range(file.num_row_groups):
                for row in file.read_row_group(group).to_pylist():
                    self._row(shard, row, slots.pop(row["key"], None))
        except (pa.ArrowException, OSError) as error:
            self.note(f"{shard.file_name} is damaged: {error}")
            return 0
        return file.metadata.num_rows

    def report(self, folder: Place) -> None:
        """Compares the rows of each class with `rejects.json` and with what was asked for."""
        try:
            report = json.loads((folder / REJECTS).read_text(encoding="utf-8"))
            entries = [(entry["accepted"], entry["missing"]) for entry in report["classes"]]
        except (GendataError, OSError, ValueError, KeyError) as error:
            self.note(f"{REJECTS} cannot be read: {error}")
            return
        for position, (accepted, missing) in enumerate(entries):
            present, name = self.counts[position], self.classes.chosen_names[position]
            if present != accepted or present + missing != self.plan.per_class:
                self.note(
                    f"class '{name}' has {present} rows, {REJECTS} says {accepted} of "
                    f"{self.plan.per_class}"
                )

    def _has_columns(self, found: pa.Schema) -> bool:
        """Says whether a file has a clone's columns and those of its sampler, and no others."""
        own = schema(self.classes.chosen_names)
        theirs = self.run.settings["sampler"].get("columns", {})
        if found.names != [*own.names, *theirs]:
            return False
        described = pa.schema([found.field(name) for name in theirs])
        return pa.schema(list(found)[: len(own)]).equals(own) and column_types(described) == theirs

    def _slots(self, shard: Shard) -> dict[str, int]:
        """Keys that a shard may hold, with their labels."""
        slots = {}
        for slot in range(shard.first, shard.end):
            ordinal, position = divmod(slot, len(self.classes.chosen))
            slots[self.classes.key(self.classes.chosen[position], ordinal)] = position
        return slots

    def _row(self, shard: Shard, row: dict[str, Any], position: int | None) -> None:
        key = row["key"]
        if position is None:
            self.note(f"{shard.file_name}: key {key} does not belong there, or is there twice")
            return
        self.counts[position] += 1
        if row["label"] != position:
            self.note(f"{key}: label {row['label']}, its key says {position}")
        if not self._passes_filter(row, self.classes.chosen[position]):
            self.note(f"{key}: does not pass the filter that run.json names")
        try:
            digest = pixel_digest(decode_image(row["image"]["bytes"]))
        except ValueError as error:
            self.note(f"{key}: the image cannot be read: {error}")
            return
        if digest != row["sha256"]:
            self.note(f"{key}: the pixels are not those that were drawn (sha256 differs)")

    def _passes_filter(self, row: dict[str, Any], label: int) -> bool:
        """Applies the recorded filter to the stored probabilities."""
        settings = self.run.settings["filter"]
        if settings is None:
            return not row["probabilities"]
        probabilities = np.array(row["probabilities"], dtype=np.float32)
        if len(probabilities) != len(self.classes.names):
            return False
        asked, predicted = row["conditioned_label"], int(probabilities.argmax())
        label_fits = {
            "agree": asked == predicted == label,
            "condition": asked == label,
            "classifier": predicted == label,
        }[settings["label"]]
        sure = row["confidence"] == probabilities.max() > np.float32(settings["threshold"])
        return label_fits and bool(sure)
