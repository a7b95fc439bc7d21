"""Choosing the weights of PG+RG on validation images, within a stated number of trainings.

The candidates are trained on the first seed's images and judged on the validation images, which
are real training images outside the few; no test image is read. The first candidate is
the row's own weights, the others are drawn without repetition, by seed, from the grid. The row's
own stay unless another is better by more than a standard error (Breiman et al. 1984, section
3.4.3): of several that few images cannot tell apart, the highest is luck.
"""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from gendata.benchmarks.protocol.arguments import Protocol
from gendata.benchmarks.protocol.presets import Row
from gendata.benchmarks.protocol.references import Source
from gendata.benchmarks.protocol.runs import Run
from gendata.benchmarks.protocol.sources import Bank
from gendata.benchmarks.protocol.sweep import Planned, Sweep
from gendata.errors import GendataError
from gendata.files import write_json

__all__ = ["Choice", "candidates", "chosen_rows", "tuned_row", "tuning_runs"]

METHOD = "pg+rg"
GRID: Mapping[str, Sequence[float]] = {
    "pg_weight": (0.03, 0.1, 0.3, 1.0, 3.0),
    "lambda1": (0.0, 0.3, 1.0, 3.0),
    "lambda2": (0.3, 1.0),
}


@dataclass(frozen=True)
class Choice:
    """What the validation images said.

    Attributes:
        source: whose images the candidates were trained on.
        budget: how many trainings were allowed.
        images: how many validation images there are.
        tried: the weights of each candidate, and its accuracy on the validation images; the
            row's own weights come first.
    """

    source: str
    budget: int
    images: int
    tried: Sequence[tuple[Mapping[str, float], float]]

    @property
    def chosen(self) -> Mapping[str, float]:
        """The highest accuracy's weights, where it is told from the first's; else the first."""
        own, highest = self.tried[0], max(self.tried, key=lambda each: each[1])
        variance = sum(share * (1 - share) / self.images for _, share in (own, highest))
        return (highest if highest[1] - own[1] > math.sqrt(variance) else own)[0]

    def to_json(self) -> dict[str, Any]:
        """Plain values; accuracies between 0 and 1."""
        tried = [{**weights, "validation_accuracy": value} for weights, value in self.tried]
        return {
            "source": self.source,
            "budget": self.budget,
            "trained": len(tried),
            "images": self.images,
            "tried": tried,
            "chosen": dict(self.chosen),
        }


def candidates(
    own: Mapping[str, float], grid: Mapping[str, Sequence[float]], budget: int, seed: int
) -> list[dict[str, float]]:
    """The row's own weights, then others of the grid in random order, `budget` in all.

    Raises:
        GendataError: the budget is no positive whole number.
    """
    if isinstance(budget, bool) or not isinstance(budget, int) or budget < 1:
        raise GendataError("tune is out of range", found=repr(budget), expected="at least 1")
    points = [dict(zip(grid, values, strict=True)) for values in itertools.product(*grid.values())]
    first = {name: own.get(name, 1.0) for name in grid}
    others = [point for point in points if point != first]
    random.Random(seed).shuffle(others)
    return [first, *others][:budget]


def base_row(protocol: Protocol) -> Row:
    """The row whose weights are chosen: the last of PG+RG, or the one that the preset names.

    Raises:
        GendataError: there is none.
    """
    rows = [row for row in protocol.rows if row.method == METHOD]
    named = [row for row in rows if row.name == protocol.tune.get("row")]
    if not rows:
        raise GendataError(
            "tune chooses the weights of a row that is not among the methods",
            found=", ".join(row.name for row in protocol.rows),
            expected=f"a row of {METHOD}",
        )
    return (named or rows[-1:])[0]


def tuned_row(protocol: Protocol, budget: int, weights: Mapping[str, float]) -> Row:
    """The row that the table shows for the chosen weights."""
    base = base_row(protocol)
    return replace(
        base,
        name=f"{METHOD}-tuned",
        label=f"{base.label}, λ tuned ({budget} trainings)",
        options={**base.options, **weights},
    )


def tuning_runs(protocol: Protocol, source: Source, budget: int) -> list[Run]:
    """The trainings of one source: its largest number of images, the first number of shots."""
    base = base_row(protocol)
    grid = {name: protocol.tune.get(name, values) for name, values in GRID.items()}
    own = protocol.options_for(base)
    return [
        Run(
            replace(base, label=f"candidate {number}", options={**base.options, **weights}),
            source.name,
            protocol.per_class_of(source)[-1],
            protocol.shots[0],
            protocol.seed,
            judge="validation",
        )
        for number, weights in enumerate(candidates(own, grid, budget, protocol.seed), start=1)
    ]


def chosen_rows(
    sweep: Sweep, bank: Bank, planned: Mapping[str, Sequence[Planned]], budget: int
) -> dict[str, Row]:
    """Trains the candidates of every source and chooses; the choice is kept in tuning.json.

    Args:
        sweep: does the trainings.
        bank: of the protocol.
        planned: the candidates by source.
        budget: trainings of each source.

    Returns:
        The tuned row by source; a source whose candidates are not all done is missing.
    """
    every = [each for plan in planned.values() for each in plan]
    records = {record["key"]: record for record in sweep.do(every)}
    protocol = bank.protocol
    choices: list[Choice] = []
    for source, plan in planned.items():
        done = [records[each.key] for each in plan if each.key in records]
        tried = [({n: each["options"][n] for n in GRID}, each["accuracy"]) for each in done]
        failed = [each for each in plan if sweep.failed(each)]
        if tried and len(tried) + len(failed) == len(plan):
            choices.append(Choice(source, budget, done[0]["images"], tried))
    if choices and sweep.writes:
        content = {"choices": [choice.to_json() for choice in choices], "data": protocol.name}
        write_json(sweep.out / "tuning.json", {**content, "command": sweep.command})
    return {each.source: tuned_row(protocol, budget, each.chosen) for each in choices}
