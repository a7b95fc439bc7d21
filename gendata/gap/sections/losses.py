"""How the losses of one source's images are spread under the classifiers of the other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from gendata.gap.cross_source.findings import DEFINITIONS, CrossFindings, CrossLosses
from gendata.gap.cross_source.losses import LossSpread, mean_and_std
from gendata.gap.report.figures import Line, loss_panel
from gendata.gap.report.reading import brief
from gendata.gap.result import GapReport
from gendata.gap.sections.formatting import (
    average,
    colours_of,
    legend_of,
    loss_text,
    percent_cell,
    plus_minus,
    seeds_text,
    signed,
)
from gendata.page.blocks import Cell, Figure, Panel, Row, Section, Table

__all__ = ["SHOWN_CLASSES", "loss_section"]

SHOWN_CLASSES = 24  # rows of a class table: the most asymmetric ones
_NAMES = {"loss": "Loss", "below_0.01": "Below 0.01", "above_1": "Above 1"}
_COLUMNS = ["asymmetry", *3 * ("clone's", "real")]
_GROUPS = [("", 1), ("loss below 0.01", 2), ("above 1", 2), ("median", 2)]


def loss_section(report: GapReport, cross: CrossFindings) -> Section:
    """Shows the histograms of both directions, their shares, and both by class."""
    colours = colours_of(report)
    figure = Figure(
        [_panel(cross, clone, colours) for clone in cross.clone_under_real],
        legend_of(report),
        caption="Filled: the clone's images under classifiers trained on the real ones. "
        "Outlined: the real images under classifiers trained on the clone. Both in the same "
        "bins, five a decade, with a bin at either end for everything beyond; heights are shares "
        "of images.",
        definitions={shown: DEFINITIONS[name] for name, shown in _NAMES.items()},
    )
    by_class = [_class_table(report, cross, clone) for clone in cross.clone_under_real]
    by_class[0] = replace(by_class[0], definitions={"Asymmetry": DEFINITIONS["asymmetry"]})
    return Section(
        "What is news to the other's classifier",
        [figure, _table(report, cross), *(by_class if len(report.classes) > 1 else [])],
        "A loss near zero means that the classifier knew such images already; a loss above one "
        "means that the image holds something it never saw.",
    )


def _panel(cross: CrossFindings, clone: str, colours: Mapping[str, int]) -> Panel:
    real = cross.trained_on[0]
    ours, theirs = cross.clone_under_real[clone].spread, cross.real_under_clone[clone].spread
    none = np.full(len(ours.shares), np.nan)
    return loss_panel(
        f"{brief(clone)} and {real}",
        Line(clone, none, ours.shares, none, colours[clone]),
        Line(real, none, theirs.shares, none, colours[real]),
        below=(average(ours.below), average(theirs.below)),
        above=(average(ours.above), average(theirs.above)),
    )


def _table(report: GapReport, cross: CrossFindings) -> Table:
    colours, real, rows = colours_of(report), cross.trained_on[0], []
    for clone in cross.clone_under_real:
        pairs = (
            (clone, real, cross.clone_under_real[clone]),
            (real, clone, cross.real_under_clone[clone]),
        )
        rows += [Row(a, [b, *_shares(losses)], colours[a]) for a, b, losses in pairs]
    images = cross.clone_under_real[cross.trained_on[1]].spread.images
    return Table(
        ["classifier trained on", "loss below 0.01", "above 1", "median loss"],
        rows,
        "images of",
        caption=f"Mean and standard deviation over {seeds_text(cross.seeds)}, of {images:,} "
        "images each.",
    )


def _shares(losses: CrossLosses) -> list[Cell | str]:
    """Cells of the two shares and the median."""
    spread = losses.spread
    return [*map(percent_cell, (spread.below, spread.above)), loss_text(average(spread.median))]


def _class_table(report: GapReport, cross: CrossFindings, clone: str) -> Table:
    """One row a class, the one that the clone lacks most first."""
    runs = cross.class_asymmetry(clone)
    mean, std = mean_and_std(runs)
    order = np.argsort(-mean, kind="stable")
    if len(order) > SHOWN_CLASSES:  # from either end, whichever is the more asymmetric
        farthest = set(np.argsort(-np.abs(mean), kind="stable")[:SHOWN_CLASSES].tolist())
        order = np.array([label for label in order if int(label) in farthest])
    top = max(float(np.abs(mean).max()), 1e-9)
    rows = [
        Row(
            report.classes[label],
            [
                Cell(
                    signed(float(mean[label])),
                    plus_minus(100 * float(std[label])),
                    max(0.0, float(mean[label])) / top,
                ),
                *_both_ways(
                    cross.clone_under_real[clone].by_class[label],
                    cross.real_under_clone[clone].by_class[label],
                ),
            ],
        )
        for label in order.tolist()
    ]
    each = cross.clone_under_real[clone].by_class[0].images
    caption = (
        f"Mean and standard deviation over {seeds_text(cross.seeds)}, of {each:,} images of every "
        "class each; asymmetry in points, the class that the clone lacks most first."
    )
    if len(rows) < len(report.classes):
        caption += f" The {len(rows)} most asymmetric classes; gap.json lists all."
    return Table(
        _COLUMNS,
        rows,
        "class",
        caption=caption,
        title=f"Class by class: {brief(clone)}",
        groups=_GROUPS,
        compact=True,
    )


def _both_ways(clone: LossSpread, real: LossSpread) -> list[Cell | str]:
    return [
        *map(percent_cell, (clone.below, real.below, clone.above, real.above)),
        loss_text(average(clone.median)),
        loss_text(average(real.median)),
    ]
