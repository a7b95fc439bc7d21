"""Accuracy and loss of each source's classifiers over the epochs."""

from __future__ import annotations

import numpy as np

from gendata.gap.cross_source.findings import CrossFindings
from gendata.gap.cross_source.losses import mean_and_std
from gendata.gap.report.figures import Line, curve_panel, limits_of
from gendata.gap.result import GapReport
from gendata.gap.sections.formatting import colours_of, legend_of, seeds_text
from gendata.page.blocks import Figure, Section

__all__ = ["curve_section"]


def curve_section(report: GapReport, cross: CrossFindings) -> Section:
    """Shows the learning curves, while training and on held-out images of the same source."""
    panels = []
    for measure, percent in (("accuracy", True), ("loss", False)):
        training = _lines(report, cross, f"train_{measure}")
        held_out = _lines(report, cross, f"held_out_{measure}")
        limits = limits_of([*training, *held_out])
        name = measure.capitalize()
        panels += [
            curve_panel(training, f"{name} while training", percent=percent, limits=limits),
            curve_panel(
                held_out,
                f"{name} on held-out images of the same source",
                percent=percent,
                limits=limits,
            ),
        ]
    caption = f"Mean over {seeds_text(cross.seeds)}; the bands are one standard deviation."
    return Section(
        "How fast they are learnt",
        [Figure(panels, legend_of(report), caption=caption)],
        "Images without rare content make an easier task: their curve rises sooner and flattens "
        "sooner.",
    )


def _lines(report: GapReport, cross: CrossFindings, curve: str) -> list[Line]:
    colours = colours_of(report)
    lines = []
    for name in cross.trained_on:
        mean, std = mean_and_std(cross.curves[name][curve])
        lines.append(Line(name, np.arange(1, len(mean) + 1), mean, std, colours[name]))
    return lines
