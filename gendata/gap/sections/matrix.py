"""Accuracy of the classifiers of each source on the images of every other."""

from __future__ import annotations

import numpy as np

from gendata.gap.cross_source.findings import DEFINITIONS, CrossFindings
from gendata.gap.cross_source.losses import mean_and_std
from gendata.gap.report.reading import listed
from gendata.gap.result import GapReport
from gendata.gap.sections.formatting import colours_of, plus_minus, seeds_text
from gendata.page.blocks import Cell, Row, Section, Table

__all__ = ["matrix_section"]


def matrix_section(report: GapReport, cross: CrossFindings) -> Section:
    """Shows the matrix: a row is what was trained on, a column what was tested on."""
    mean, std = mean_and_std(cross.accuracy)
    low = min(float(mean.min()), 0.9)
    colours = colours_of(report)
    rows = [
        Row(
            name,
            [
                Cell(f"{100 * value:.1f}", plus_minus(100 * spread), _heat(value, low))
                for value, spread in zip(mean[index], std[index], strict=True)
            ],
            colours[name],
        )
        for index, name in enumerate(cross.trained_on)
    ]
    table = Table(
        list(cross.tested_on),
        rows,
        "trained on",
        "tested on",
        caption=_caption(report, cross),
        definitions={"The gap": DEFINITIONS["gap"]},
    )
    return Section(
        "Trained here, tested there",
        [table],
        "How well the classifiers of each source do on the images of every other.",
    )


def _caption(report: GapReport, cross: CrossFindings) -> str:
    caption = (
        f"Accuracy in percent, mean and standard deviation over {seeds_text(cross.seeds)}. A row "
        "is what the classifier was trained on, a column whose images it was tested on, without "
        "augmentation. The images are each source's training images, so the diagonal says whether "
        "a classifier has converged, not how good it is"
    )
    tested = [source.name for source in report.sources if source.role == "test"]
    return caption + (f"; {listed(tested)} was never trained on." if tested else ".")


def _heat(value: float, low: float) -> float:
    return float(np.clip((value - low) / max(1 - low, 1e-9), 0, 1))
