"""How numbers and names are written in every section."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from gendata.gap.cross_source.losses import mean_and_std
from gendata.gap.measures.intervals import Estimate
from gendata.gap.report.figures import LABEL_LENGTH
from gendata.gap.result import GapReport
from gendata.page.blocks import Cell

__all__ = [
    "average",
    "colours_of",
    "count_of",
    "legend_of",
    "loss_text",
    "number",
    "percent_cell",
    "plus_minus",
    "seeds_text",
    "share_cell",
    "share_text",
    "signed",
    "signed_number",
]


def colours_of(report: GapReport) -> dict[str, int]:
    """Number of the series colour of each source; the real one has 0."""
    return {source.name: index for index, source in enumerate(report.trained)}


def legend_of(report: GapReport) -> list[tuple[str, int]]:
    """Full names, where one of them is too long for a figure."""
    colours = colours_of(report)
    return list(colours.items()) if max(map(len, colours)) > LABEL_LENGTH else []


def average(runs: np.ndarray) -> float:
    """Mean over seeds."""
    return float(np.mean(runs))


def plus_minus(spread: float, digits: int = 1) -> str:
    """A standard deviation behind its mean; nothing where there is none."""
    return "" if np.isnan(spread) else f"± {spread:.{digits}f}"


def percent_cell(runs: np.ndarray) -> Cell:
    """Mean and standard deviation over seeds of shares, as percentages."""
    mean, std = mean_and_std(runs)
    return Cell(f"{100 * float(mean):.1f}%", plus_minus(100 * float(std)))


def loss_text(loss: float) -> str:
    """A loss in at most six characters."""
    if loss < 0.001:
        return "<0.001"
    return f"{loss:.3f}" if loss < 0.1 else f"{loss:.2f}" if loss < 100 else f"{loss:.0f}"


def count_of(number: int) -> str:
    """A count with its thousands set apart."""
    return f"{number:,}"


def seeds_text(seeds: Sequence[int]) -> str:
    """How many seeds, in words."""
    return "one seed" if len(seeds) == 1 else f"{len(seeds)} seeds"


def share_text(share: float) -> str:
    """A share as a percentage, with the digits that tell it from none and all."""
    percent = 100 * share
    near_an_end = 0 < percent < 1 or 99 < percent < 100
    return f"{percent:.{1 if near_an_end else 0}f}%".replace("-", "\N{MINUS SIGN}")


def share_cell(share: Estimate | None, heat: float | None = None) -> Cell | str:
    """A share between 0 and 1 with the ends of its interval, as percentages."""
    if share is None or math.isnan(share.value):
        return "\N{EN DASH}"
    interval = _interval(100 * share.low, 100 * share.high, ".1f")
    return Cell(f"{100 * share.value:.1f}%", interval, heat)


def number(estimate: Estimate | None, form: str = ".2f", heat: float | None = None) -> Cell | str:
    """A figure with the ends of its interval."""
    if estimate is None or math.isnan(estimate.value):
        return "\N{EN DASH}"
    if max(map(abs, (estimate.value, estimate.low, estimate.high))) >= 1000:
        form = ",.0f"  # the general form would turn to exponents
    text = f"{estimate.value:{form}}".replace("-", "\N{MINUS SIGN}")
    return Cell(text, _interval(estimate.low, estimate.high, form), heat)


def signed(difference: float) -> str:
    """A difference of shares in percentage points, with its sign."""
    return f"{100 * difference:+.1f}".replace("-", "\N{MINUS SIGN}")


def signed_number(value: float) -> str:
    """A figure between -1 and 1, with its sign."""
    if math.isnan(value):
        return "\N{EN DASH}"
    return f"{round(value, 2) + 0.0:+.2f}".replace("-", "\N{MINUS SIGN}")


def _interval(low: float, high: float, form: str) -> str:
    if not (math.isfinite(low) and math.isfinite(high)):
        return ""
    return f"{low:{form}} to {high:{form}}".replace("-", "\N{MINUS SIGN}")
