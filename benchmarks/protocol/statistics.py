"""What the seeds of a study say: mean, spread, and how sure a difference from the baseline is.

Two runs of one seed share the order of their batches and the start of their networks as far as
the methods allow, so a method is compared with its baseline seed by seed. A p-value answers for
the choice of seed alone; for the choice of test images there is the interval of a single run.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
from scipy import stats

from gendata.benchmarks.protocol.significance import Comparison, holm, paired
from gendata.errors import GendataError

__all__ = ["Block", "Cell", "Summary", "compare", "summarise"]

NEEDED = ("data", "source", "row", "seed", "accuracy")

Record = Mapping[str, Any]


@dataclass(frozen=True)
class Block:
    """What must agree for rows to stand in one part of a table.

    Attributes:
        setting: "zero-shot" or "low-shot".
        init: where the student's weights start.
        network: the student.
        select: the rule that chose the epoch.
    """

    setting: str = ""
    init: str = ""
    network: str = ""
    select: str = ""


@dataclass(frozen=True)
class Cell:
    """What a column of a table stands for; None where a row has no such thing.

    Attributes:
        data: the real images.
        source: the generator.
        shots: real images of a class to train on.
        per_class: synthetic images of a class.
    """

    data: str
    source: str | None = None
    shots: int | None = None
    per_class: int | None = None

    def serves(self, other: Cell) -> bool:
        """Whether its runs are the other cell's, too.

        Training on real images alone has no source, and so serves the columns of all sources.
        """
        return self.data == other.data and all(
            own in (None, its) for own, its in zip(self.narrowed, other.narrowed, strict=True)
        )

    @property
    def narrowed(self) -> tuple[str | int | None, ...]:
        """What it names besides the data."""
        return self.source, self.shots, self.per_class


@dataclass(frozen=True)
class Summary:
    """All seeds of one row in one column.

    Attributes:
        block: the part of the table.
        cell: the column.
        row: its label.
        method: the registered name.
        options: the method's own.
        seeds: in ascending order.
        accuracies: between 0 and 1, one a seed.
        images: test images; 0 where not known.
        comparison: with the baseline; None for a row without one.
    """

    block: Block
    cell: Cell
    row: str
    method: str
    options: Mapping[str, Any]
    seeds: tuple[int, ...]
    accuracies: tuple[float, ...]
    images: int = 0
    comparison: Comparison | None = field(default=None, compare=False)

    @property
    def n(self) -> int:
        """How many seeds there are."""
        return len(self.seeds)

    @property
    def mean(self) -> float:
        """The mean over the seeds."""
        return math.fsum(self.accuracies) / self.n

    @property
    def std(self) -> float | None:
        """The sample standard deviation; None for one seed."""
        return float(np.std(self.accuracies, ddof=1)) if self.n > 1 else None

    @property
    def error(self) -> float | None:
        """The standard error of the mean; None for one seed."""
        return self.std / math.sqrt(self.n) if self.std is not None else None

    @property
    def interval(self) -> tuple[float, float] | None:
        """The 95 % t interval of the mean, within 0 and 1: the choice of seed; None for one."""
        if self.error is None:
            return None
        half = float(stats.t.ppf(0.975, self.n - 1)) * self.error
        return max(0.0, self.mean - half), min(1.0, self.mean + half)

    @property
    def single_run(self) -> tuple[float, float] | None:
        """The 95 % Wilson interval of one run of the mean's accuracy: the choice of test images.

        None where the number of test images is not known.
        """
        if not self.images:
            return None
        hits = round(self.mean * self.images)
        interval = stats.binomtest(hits, self.images).proportion_ci(method="wilson")
        return float(interval.low), float(interval.high)

    def to_json(self) -> dict[str, Any]:
        """Everything as plain values; accuracies and differences between 0 and 1."""
        return {
            **asdict(self.block),
            **asdict(self.cell),
            "row": self.row,
            "method": self.method,
            "options": dict(self.options),
            "n": self.n,
            "seeds": list(self.seeds),
            "accuracies": list(self.accuracies),
            "mean": self.mean,
            "std": self.std,
            "error": self.error,
            "interval": self.interval,
            "images": self.images,
            "single_run": self.single_run,
            "comparison": asdict(self.comparison) if self.comparison else None,
        }


def summarise(records: Sequence[Record]) -> list[Summary]:
    """Gathers the seeds of each row and compares each row with its baseline.

    Args:
        records: finished runs, in any order; those judged on validation images are left out.

    Returns:
        One summary for each row of each column, in the order in which the rows first appear.

    Raises:
        GendataError: no run, a run without what a table needs, an accuracy that is none, or two
            different runs that would share a seed of one cell.
    """
    records = [each for each in records if each.get("judge", "test") == "test"]
    if not records:
        raise GendataError("there is no finished run", do="run the study first")
    gathered: dict[tuple[Block, Cell, str], dict[int, Record]] = {}
    for record in records:
        check(record)
        place = (block_of(record), cell_of(record), str(record["row"]))
        _add(gathered.setdefault(place, {}), record, place)
    summaries = [_summary(place, runs) for place, runs in gathered.items()]
    baselines = [
        next((run["baseline"] for run in runs.values() if run.get("baseline")), None)
        for runs in gathered.values()
    ]
    compared = [
        replace(each, comparison=None if baseline is None else _compare(each, baseline, summaries))
        for each, baseline in zip(summaries, baselines, strict=True)
    ]
    return _corrected(compared)


def compare(records: Sequence[Record], row: str, baseline: str) -> list[Summary]:
    """Compares a row with any other, not only with the baseline that its preset names.

    Args:
        records: finished runs.
        row: its label.
        baseline: the other's label.

    Returns:
        The row's summaries, one a block and column, with that comparison; without Holm's
        correction, which a single question does not need.

    Raises:
        GendataError: no such rows, or runs that `summarise` refuses.
    """
    summaries = summarise(records)
    known = list(dict.fromkeys(each.row for each in summaries))
    for label in (row, baseline):
        if label not in known:
            raise GendataError("no such row", found=label, expected=f"one of {', '.join(known)}")
    own = [each for each in summaries if each.row == row]
    return [replace(each, comparison=_compare(each, baseline, summaries)) for each in own]


def check(record: Record) -> None:
    """Refuses a run that no table can hold.

    Raises:
        GendataError: a field is missing, or the accuracy is not between 0 and 1.
    """
    missing = [name for name in NEEDED if name not in record]
    run = record.get("key", "a run")
    if missing:
        raise GendataError(f"{run} lacks {', '.join(missing)}", do="run the study again")
    accuracy = record["accuracy"]
    if not (isinstance(accuracy, float | int) and 0 <= accuracy <= 1):
        raise GendataError(
            f"{run} has no accuracy", found=accuracy, expected="a number between 0 and 1"
        )


def block_of(record: Record) -> Block:
    """The part of the table that a run belongs to."""
    return Block(
        *(str(record.get(name) or "") for name in ("setting", "init", "network", "select"))
    )


def cell_of(record: Record) -> Cell:
    """The column that a run belongs to; nought shots are none."""
    options = record.get("options") or {}
    shots = record.get("shots") or options.get("shots")
    per_class = record.get("per_class") or options.get("per_class")
    return Cell(str(record["data"]), record["source"] or None, shots or None, per_class or None)


def _add(runs: dict[int, Record], record: Record, place: tuple[Block, Cell, str]) -> None:
    """Adds a run to its cell; the same run twice is one."""
    seed = int(record["seed"])
    other = runs.setdefault(seed, record)
    if other is not record and other.get("key") != record.get("key"):
        raise GendataError(
            f"two runs are seed {seed} of '{place[2]}' on {place[1].data}",
            found=f"{other.get('key')} and {record.get('key')}",
            do="give them different rows, or a table each",
        )


def _summary(place: tuple[Block, Cell, str], runs: Mapping[int, Record]) -> Summary:
    block, cell, row = place
    seeds = tuple(sorted(runs))
    first = runs[seeds[0]]
    return Summary(
        block=block,
        cell=cell,
        row=row,
        method=str(first.get("method") or ""),
        options=dict(first.get("options") or {}),
        seeds=seeds,
        accuracies=tuple(float(runs[seed]["accuracy"]) for seed in seeds),
        images=int(first.get("images") or 0),
    )


def _compare(row: Summary, baseline: str, summaries: Sequence[Summary]) -> Comparison:
    """Pairs a row with its baseline; of several that serve, the one nearest to its column."""
    candidates = [
        each
        for each in summaries
        if each.row == baseline and each.block == row.block and each.cell.serves(row.cell)
    ]
    if not candidates:
        return Comparison(baseline, note="the baseline has no finished run")
    other = max(
        candidates, key=lambda each: len(each.cell.narrowed) - each.cell.narrowed.count(None)
    )
    own, its = (dict(zip(e.seeds, e.accuracies, strict=True)) for e in (row, other))
    common = sorted(own.keys() & its.keys())
    partial = len(common) < max(row.n, other.n)
    note = f"paired over {len(common)} of {row.n} and {other.n} seeds" if partial else ""
    return paired(baseline, [own[seed] - its[seed] for seed in common], note)


def _corrected(summaries: Sequence[Summary]) -> list[Summary]:
    """Corrects the p-values of each block and column together."""
    families: dict[tuple[Block, Cell], dict[int, tuple[Comparison, float]]] = {}
    for index, each in enumerate(summaries):
        if each.comparison is not None and each.comparison.p is not None:
            family = families.setdefault((each.block, each.cell), {})
            family[index] = (each.comparison, each.comparison.p)
    corrected = list(summaries)
    for family in families.values():
        values = holm([p for _, p in family.values()])
        for (index, (comparison, _)), value in zip(family.items(), values, strict=True):
            comparison = replace(comparison, holm_p=value)
            corrected[index] = replace(summaries[index], comparison=comparison)
    return corrected
