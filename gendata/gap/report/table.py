"""`gap.csv`: every figure of a measurement in long form, one a line.

The columns: clone; class, or "all"; measure; value; low and high, the ends of its 95% interval
where there is one; n, the images it was taken on; encoder, where it is of features; seed, of the
training or of the bootstrap. Shares and accuracies are between 0 and 1, losses in nats.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterator
from dataclasses import astuple, fields

import numpy as np

from gendata.gap.cross_source.findings import CrossFindings
from gendata.gap.cross_source.losses import LossSpread, asymmetry
from gendata.gap.report.records import ALL, Record, clone_records
from gendata.gap.result import GapReport

__all__ = ["csv_text", "records"]


def csv_text(report: GapReport) -> str:
    """The content of `gap.csv`."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    names = [field.name for field in fields(Record)]
    writer.writerow(["class" if name == "class_name" else name for name in names])
    writer.writerows(map(_line, records(report)))
    return file.getvalue()


def records(report: GapReport) -> Iterator[Record]:
    """Every figure of a report, clone by clone."""
    for source in report.trained[1:]:
        if report.cross is not None:
            yield from _accuracies(report.cross, source.name, _counts(report))
            yield from _losses(report.cross, source.name, report)
        if source.name in report.clones:
            yield from clone_records(source.name, report.clones[source.name])


def _counts(report: GapReport) -> dict[str, int]:
    return {source.name: source.training for source in report.sources}


def _accuracies(cross: CrossFindings, clone: str, counts: dict[str, int]) -> Iterator[Record]:
    real, *_ = cross.trained_on
    pairs = {
        f"accuracy_{real}_to_clone": (real, clone),
        f"accuracy_clone_to_{real}": (clone, real),
    }
    for name in cross.tested_on[len(cross.trained_on) :]:
        pairs["accuracy_clone_to_test"] = (clone, name)
        pairs["accuracy_real_to_test"] = (real, name)
    for measure, (trained_on, tested_on) in pairs.items():
        runs = cross.runs(trained_on, tested_on)
        for seed, value in zip(cross.seeds, runs, strict=True):
            yield Record(clone, ALL, measure, float(value), n=counts[tested_on], seed=seed)
    for seed, value in zip(cross.seeds, cross.gap(clone), strict=True):
        yield Record(clone, ALL, "gap", float(value), n=counts[clone], seed=seed)


def _losses(cross: CrossFindings, clone: str, report: GapReport) -> Iterator[Record]:
    ours, theirs = cross.clone_under_real[clone], cross.real_under_clone[clone]
    yield from _spreads(cross, clone, ALL, ours.spread, theirs.spread)
    for name, *both in zip(report.classes, ours.by_class, theirs.by_class, strict=True):
        yield from _spreads(cross, clone, name, *both)


def _spreads(
    cross: CrossFindings, clone: str, class_name: str, ours: LossSpread, theirs: LossSpread
) -> Iterator[Record]:
    values: dict[str, np.ndarray] = {}
    for way, spread in (("clone_under_real", ours), ("real_under_clone", theirs)):
        values[f"{way}_loss_below_0.01"] = spread.below
        values[f"{way}_loss_above_1"] = spread.above
        values[f"{way}_loss_median"] = spread.median
    values["loss_asymmetry"] = asymmetry(ours, theirs)
    for measure, runs in values.items():
        for seed, value in zip(cross.seeds, runs, strict=True):
            yield Record(clone, class_name, measure, float(value), n=ours.images, seed=seed)


def _line(record: Record) -> list[str]:
    return [_text(value) for value in astuple(record)]


def _text(value: object) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    return f"{value:.9g}" if isinstance(value, float) else str(value)
