"""The tables of the studies of rendered images, with the published figures beside ours."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from gendata.benchmarks.protocol.rendered.arguments import RenderedProtocol
from gendata.benchmarks.protocol.rendered.figures import (
    NONE,
    Figures,
    cell,
    columns_of,
    difference,
    mean_difference,
)
from gendata.benchmarks.protocol.rendered.published import (
    CAPACITY,
    COLUMNS,
    FACTORS,
    family_of,
    published_factor,
    published_rows,
)
from gendata.benchmarks.protocol.rendered.trainings import Training
from gendata.benchmarks.protocol.statistics import Summary
from gendata.benchmarks.tables import Table

__all__ = [
    "capacity_tables",
    "factor_tables",
    "quantity_tables",
    "published_losses",
    "repetition_tables",
]

Record = Mapping[str, Any]
PAPER = "Paper: Tang and Jia 2023"
MIXED = "mix"  # a factor that still varies between three values is not fixed
STRENGTHS = {
    "none": "none",
    "weak": "weak",
    "crop-flip": "weak",
    "strong": "strong",
    "strong-blur": "strong",
}
LAST = "after the last epoch"
MARKS = (
    "*, **, ***: better than {} at p < 0.05, 0.01, 0.001; †: worse at p < 0.05; paired t test, "
    "corrected by Holm over the rows."
)
BEST = (
    "ORACLE: the best of all epochs on the very images that are judged, for each figure apart; "
    "an upper bound, no fair figure"
)


def repetition_tables(records: Sequence[Record], protocol: RenderedProtocol) -> list[Table]:
    """Fixed against never repeated images, after the last epoch and at best.

    The layout is that of the authors' slides: a part for each network, FD (fixed data: true or
    false) and DA (augmentation: none, weak or strong).
    """
    figures = Figures(records)
    return [
        _repetition(figures, protocol, "", LAST, "tab:rendered"),
        _repetition(figures, protocol, "best_", BEST, "tab:rendered-best"),
    ]


def factor_tables(records: Sequence[Record], protocol: RenderedProtocol) -> list[Table]:
    """One factor fixed at a time, and which factors matter most."""
    figures = Figures(records)
    return [_factors(figures, protocol), _ranking(figures, protocol)]


def capacity_tables(records: Sequence[Record], protocol: RenderedProtocol) -> list[Table]:
    """Accuracy against the size of the network."""
    figures, columns = Figures(records), columns_of(protocol)
    sizes = {each["network"]: each["parameters"] for each in records}
    rows = []
    for training in protocol.trainings:
        network = training.row.options["network"]
        if network in sizes:
            shown = [cell(_found(figures, training, t, f), marked=False) for _, t, f in columns]
            letter = re.search(r"mixer-([sbl])", network)
            paper = f"{CAPACITY[letter[1].upper()]:.1f}" if letter else NONE
            rows.append([network, f"{sizes[network] / 1e6:.2f} M", *shown, paper])
    caption = (
        f"{_what(records, protocol, LAST)} Images that never come again. {PAPER}, Mixer-S, B "
        "and L at 224 pixels, strong augmentation, read off a picture."
    )
    head = ["network", "parameters", *(name for name, _, _ in columns), "paper: IID"]
    return [Table(head, rows, caption, label="tab:capacity")]


def quantity_tables(records: Sequence[Record], protocol: RenderedProtocol) -> list[Table]:
    """Accuracy against the number of images, at equal iterations."""
    figures, columns = Figures(records), columns_of(protocol)
    done = {each["row"] for each in records}
    classes = len(protocol.class_names)
    rows = []
    for training in protocol.trainings:
        if training.row.label in done:
            settings = protocol.settings_of(training.row)
            images = training.per_class * classes
            passes = (settings.iterations or 0) * settings.batch_size / images
            shown = [cell(_found(figures, training, t, f), marked=False) for _, t, f in columns]
            rows.append([f"{images:,}", f"{max(passes, 1):.1f}", *shown])
    head = ["images", "passes", *(name for name, _, _ in columns)]
    caption = f"{_what(records, protocol, LAST)} Equal iterations."
    return [Table(head, rows, caption, label="tab:quantity")]


def published_losses() -> dict[str, float]:
    """Points of IID accuracy that fixing each factor costs on average, of the paper's table."""
    full = FACTORS["full", "random"][0]
    by_factor: dict[str, list[float]] = {}
    for (factor, value), (iid, _) in FACTORS.items():
        if factor != "full" and value != MIXED:
            by_factor.setdefault(factor, []).append(full - iid)
    return {factor: math.fsum(each) / len(each) for factor, each in by_factor.items()}


def _repetition(
    figures: Figures, protocol: RenderedProtocol, prefix: str, when: str, label: str
) -> Table:
    columns = columns_of(protocol)
    rows: list[list[str]] = []
    rules: set[int] = set()
    network = ""
    for training in protocol.trainings:
        found = [_found(figures, training, test, prefix + f) for _, test, f in columns]
        if not any(found):
            continue
        options = training.row.options
        if options["network"] != network:
            network = options["network"]
            rules.add(len(rows))
        fixed = options.get("repeat", True)
        rows.append(
            [
                network,
                "T" if fixed else "F",
                options["augment"],
                *map(cell, found),
                *_paper(network, fixed, STRENGTHS.get(options["augment"])),
            ]
        )
    caption = (
        f"{_what(figures.records, protocol, when)} FD: fixed data, true or false (each image "
        f"once, as many iterations). DA: augmentation. {MARKS.format('fixed data')} {PAPER}, the "
        "backbone of the same kind at 224 pixels, one run, its best evaluation on the test images."
    )
    head = ["network", "FD", "DA", *(name for name, _, _ in columns), *COLUMNS]
    groups = [("", 3), ("ours", len(columns)), ("paper", len(COLUMNS))]
    return Table(head, rows, caption, groups=groups, rules=rules, label=label)


def _paper(network: str, fixed: bool, strength: str | None) -> list[str]:
    family = family_of(network)
    for row in published_rows(family) if family else ():
        if (row.data, row.fixed, row.augmentation) == ("Ours", fixed, strength):
            return [f"{row.figures[name]:.2f}" for name in COLUMNS]
    return [NONE] * len(COLUMNS)


def _found(figures: Figures, training: Training, test: str, figure: str) -> Summary | None:
    network = str(training.row.options["network"])
    return figures.of(test, figure).get((network, training.row.label))


def _factors(figures: Figures, protocol: RenderedProtocol) -> Table:
    """Accuracy with each factor fixed, and what that costs against everything random."""
    columns = columns_of(protocol)
    rows: list[list[str]] = []
    rules: set[int] = set()
    before = ""
    for training in protocol.trainings:
        factor, _, value = training.row.label.partition(": ")
        found = [_found(figures, training, test, figure) for _, test, figure in columns]
        if not any(found):
            continue
        if factor != before:
            rules.add(len(rows))
        random = [_found(figures, protocol.trainings[0], t, f) for _, t, f in columns]
        shown = [
            word
            for own, other in zip(found, random, strict=True)
            for word in (cell(own), _apart(own, other) if value else NONE)
        ]
        paper = published_factor(factor, value) if value else FACTORS["full", "random"]
        theirs = [f"{each:.2f}" for each in paper] if paper else [NONE, NONE]
        rows.append([factor if factor != before else "", value or "all factors", *shown, *theirs])
        before = factor
    heads = [head for name, _, _ in columns for head in (name, f"{name}, against random")]
    caption = (
        f"{_what(figures.records, protocol, LAST)} One factor fixed, all others random, the same "
        "seeds for all; tested on images of which every factor is random. In brackets: 95 % "
        f"intervals of the difference, {_interval(figures.records)}. "
        f"{MARKS.format('everything random')} {PAPER}, ResNet-50 at 224 pixels, 120,000 images."
    )
    head = ["factor", "value", *heads, "paper: IID", "paper: w/o background"]
    return Table(head, rows, caption, rules=rules, label="tab:factors")


def _apart(own: Summary | None, other: Summary | None) -> str:
    return str(difference(own, other)) if own is not None and other is not None else NONE


def _ranking(figures: Figures, protocol: RenderedProtocol) -> Table:
    """The factors in the order of what fixing them costs."""
    test = next(iter(protocol.tests))
    random = _found(figures, protocol.trainings[0], test, "accuracy")
    by_factor: dict[str, list[Summary]] = {}
    for training in protocol.trainings[1:]:
        factor, _, value = training.row.label.partition(": ")
        found = _found(figures, training, test, "accuracy")
        if found is not None and value != MIXED:
            by_factor.setdefault(factor, []).append(found)
    apart = {
        factor: mean_difference(rows, random)
        for factor, rows in by_factor.items()
        if random is not None
    }
    rows = [
        [str(place), factor, str(len(by_factor[factor])), str(apart[factor]), *_published(factor)]
        for place, factor in enumerate(sorted(apart, key=lambda each: apart[each].value), start=1)
    ]
    caption = (
        f"Which factors matter most: points of accuracy on {test} against everything random, the "
        f"mean over a factor's fixed values ('{MIXED}' left out), with 95 % intervals, "
        f"{_interval(figures.records)}. {PAPER}."
    )
    head = ["rank", "factor", "values", "against random", "paper", "paper's rank"]
    return Table(head, rows, caption, label="tab:factor-ranking")


def _published(factor: str) -> tuple[str, str]:
    """What fixing a factor costs in the paper's table, and its place there."""
    losses = published_losses()
    if factor not in losses:
        return NONE, NONE
    place = 1 + sum(each > losses[factor] for each in losses.values())
    return f"{-losses[factor]:+.1f}", str(place)


def _interval(records: Sequence[Record]) -> str:
    seeds = len({each["seed"] for each in records})
    return "over seeds" if seeds > 1 else "for the choice of test images (one seed)"


def _what(records: Sequence[Record], protocol: RenderedProtocol, when: str) -> str:
    """What the figures of a table are."""
    seeds = len({each["seed"] for each in records})
    spread = "mean ± standard deviation over" if seeds > 1 else "of"
    counts = {name: each["images"] for r in records for name, each in r["tests"].items()}
    tests = ", ".join(f"{name} ({number:,} images)" for name, number in counts.items())
    return (
        f"{protocol.name}: accuracy (%), {when}; {spread} {seeds} seed{'s' * (seeds > 1)}. "
        f"Tests: {tests}."
    )
