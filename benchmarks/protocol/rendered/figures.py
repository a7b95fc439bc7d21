"""What the seeds of a study of rendered images say of each row on each test set."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

from gendata.benchmarks.protocol.rendered.arguments import RenderedProtocol
from gendata.benchmarks.protocol.result_tables import mark_of
from gendata.benchmarks.protocol.statistics import Summary, summarise
from gendata.gap.measures import shares
from gendata.gap.measures.intervals import Estimate

__all__ = ["Difference", "Figures", "cell", "columns_of", "difference", "mean_difference"]

Record = Mapping[str, Any]
NONE = "–"
NORMAL = float(stats.norm.ppf(0.975))


@dataclass(frozen=True)
class Difference:
    """How much one accuracy lies above another, between -1 and 1, with its 95 % interval.

    Attributes:
        value: the difference.
        low: lower end of the interval.
        high: upper end.
        seeds: in common. With one alone the interval answers for the choice of test images, with
            several for that of the seed.
    """

    value: float
    low: float
    high: float
    seeds: int

    def __str__(self) -> str:
        value, low, high = (100 * each for each in (self.value, self.low, self.high))
        return f"{value:+.1f} [{low:+.1f}, {high:+.1f}]"


class Figures:
    """The summaries of a study by row, network and test set.

    Args:
        records: finished runs with their `tests`.
    """

    def __init__(self, records: Sequence[Record]) -> None:
        self.records = list(records)
        self._kept: dict[tuple[str, str], dict[tuple[str, str], Summary]] = {}

    def of(self, test: str, figure: str) -> dict[tuple[str, str], Summary]:
        """Summaries by (network, row).

        Args:
            test: name of the test set.
            figure: "accuracy" or "mean", or either with "best_" before it.
        """
        if (test, figure) not in self._kept:
            there = [each for each in self.records if test in each["tests"]]
            changed = [
                {
                    **each,
                    **{"data": test, "source": None, "per_class": None},
                    "accuracy": each["tests"][test][figure],
                    "images": each["tests"][test]["images"],
                }
                for each in there
            ]
            found = summarise(changed) if changed else []
            self._kept[test, figure] = {(each.block.network, each.row): each for each in found}
        return self._kept[test, figure]


def columns_of(protocol: RenderedProtocol) -> list[tuple[str, str, str]]:
    """Head, test set and measure of each column; where all classes are as large, one does."""
    rendered = [(name, name, "accuracy") for name in protocol.tests]
    real = [
        (f"{name}{words}", name, figure)
        for name in protocol.real
        for words, figure in (("", "accuracy"), (", mean", "mean"))
    ]
    return [*rendered, *real]


def cell(summary: Summary | None, marked: bool = True) -> str:
    """Mean and deviation over the seeds, percent."""
    if summary is None:
        return NONE
    std = f" ± {100 * summary.std:.1f}" if summary.std is not None else ""
    return f"{100 * summary.mean:.1f}{std}{mark_of(summary) if marked else ''}"


def difference(row: Summary, other: Summary) -> Difference:
    """How much a row lies above another.

    Over two or more seeds in common the t interval of the paired differences. With one, Newcombe's
    interval for two shares (1998, "Interval estimation for the difference between independent
    proportions", method 10): rather wide here, because both are of the same test images.
    """
    own, its = (dict(zip(e.seeds, e.accuracies, strict=True)) for e in (row, other))
    common = sorted(own.keys() & its.keys())
    if len(common) > 1:
        return _over_seeds([own[seed] - its[seed] for seed in common])
    apart = shares.difference(_single(row), _single(other))
    return Difference(apart.value, apart.low, apart.high, 1)


def mean_difference(rows: Sequence[Summary], other: Summary) -> Difference:
    """How much the mean of several rows lies above another row.

    With one seed the interval is the normal one for independent shares.
    """
    by_seed = [dict(zip(each.seeds, each.accuracies, strict=True)) for each in (*rows, other)]
    common = sorted(set.intersection(*(set(each) for each in by_seed)))
    if len(common) > 1:
        *own, its = by_seed
        return _over_seeds(
            [float(np.mean([each[seed] for each in own])) - its[seed] for seed in common]
        )
    value = float(np.mean([each.mean for each in rows])) - other.mean
    spread = sum(_variance(each) for each in rows) / len(rows) ** 2 + _variance(other)
    half = NORMAL * math.sqrt(spread)
    return Difference(value, value - half, value + half, 1)


def _over_seeds(values: Sequence[float]) -> Difference:
    mean, count = float(np.mean(values)), len(values)
    error = float(np.std(values, ddof=1)) / math.sqrt(count)
    half = float(stats.t.ppf(0.975, count - 1)) * error
    return Difference(mean, mean - half, mean + half, count)


def _single(summary: Summary) -> Estimate:
    """One run's accuracy, with its interval."""
    return Estimate(summary.mean, *(summary.single_run or (0.0, 1.0)))


def _variance(summary: Summary) -> float:
    """Of one share of so many test images."""
    return summary.mean * (1 - summary.mean) / summary.images if summary.images else 1.0
