"""The figures of the report: curves over epochs, and losses under the other's classifier."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MaxNLocator

from gendata.gap.cross_source.losses import EDGES, HIGH, NEAR_ZERO
from gendata.page.blocks import Panel
from gendata.page.drawing import MUTED, RULE, SERIES, TINT, axes_of_panel, svg_of
from gendata.page.names import shortened

__all__ = [
    "LABEL_LENGTH",
    "Dots",
    "Line",
    "curve_panel",
    "interval_panel",
    "limits_of",
    "loss_panel",
]

LABEL_LENGTH = 15  # characters of a name beside its line or its share
LABEL_SPACING = 0.075  # least distance between two labels, as a share of the panel's height


@dataclass(frozen=True)
class Line:
    """One line of a panel.

    Attributes:
        name: shown at the line's end, shortened there.
        x: (E,) positions, such as epochs.
        mean: (E,) heights.
        std: (E,) half the height of the band around it; nan draws none.
        colour: which of the page's series colours; the real set has 0.
    """

    name: str
    x: Sequence[float] | np.ndarray
    mean: Sequence[float] | np.ndarray
    std: Sequence[float] | np.ndarray
    colour: int


@dataclass(frozen=True)
class Dots:
    """Figures of one source, each with its interval.

    Attributes:
        name: of the source.
        value: (R,) the figures.
        low: (R,) lower ends.
        high: (R,) upper ends.
        colour: which of the page's series colours.
    """

    name: str
    value: Sequence[float]
    low: Sequence[float]
    high: Sequence[float]
    colour: int


def limits_of(lines: Sequence[Line]) -> tuple[float, float]:
    """Returns a range of heights in which all lines and their bands have room."""
    bands = [np.nan_to_num(np.asarray(line.std, dtype=float)) for line in lines]
    means = [np.asarray(line.mean, dtype=float) for line in lines]
    low = min(float((mean - band).min()) for mean, band in zip(means, bands, strict=True))
    high = max(float((mean + band).max()) for mean, band in zip(means, bands, strict=True))
    margin = 0.04 * (high - low) or 0.01
    return low - margin, high + margin


def curve_panel(
    lines: Sequence[Line],
    title: str,
    *,
    percent: bool,
    limits: tuple[float, float] | None = None,
    x_label: str = "epoch",
    ticks: Sequence[int] | None = None,
) -> Panel:
    """Draws lines with bands of one standard deviation, each named at its end.

    Args:
        lines: what to draw; heights between 0 and 1 if `percent`.
        title: what the heights are.
        percent: whether the heights are shares, shown as percentages.
        limits: range of heights, for panels that share one; by default what the lines need.
        x_label: what the positions are.
        ticks: positions to name, which are then set out by their logarithms.
    """
    figure, axes = axes_of_panel(right=0.74)
    for line in lines:
        x, mean, std = (
            np.asarray(values, dtype=float) for values in (line.x, line.mean, line.std)
        )
        colour = SERIES[line.colour % len(SERIES)]
        band = np.nan_to_num(std)
        axes.fill_between(x, mean - band, mean + band, color=colour, alpha=0.16, linewidth=0)
        marker = "o" if len(x) == 1 or ticks else ""
        style: dict[str, Any] = {"marker": marker, "markersize": 4, "solid_capstyle": "round"}
        axes.plot(x, mean, color=colour, linewidth=1.8, **style)
    axes.grid(axis="y", color=RULE, linewidth=0.8)
    axes.yaxis.set_major_locator(MaxNLocator(5))
    if ticks:
        axes.set_xscale("log")
        axes.set_xticks(list(ticks), [f"{tick:,}" for tick in ticks])
        axes.minorticks_off()
    else:
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    if percent:
        axes.yaxis.set_major_formatter(FuncFormatter(_percent))
    axes.margins(x=0.02)
    axes.set_ylim(*(limits or limits_of(lines)))
    axes.set_xlabel(x_label, color=MUTED, labelpad=4)
    _name_lines(axes, lines)
    return Panel(title, svg_of(figure, _described(lines, title, percent)))


def loss_panel(
    title: str,
    filled: Line,
    outlined: Line,
    below: tuple[float, float],
    above: tuple[float, float],
) -> Panel:
    """Draws two histograms over the shared bins of `gendata.gap.cross_source.losses`.

    Args:
        title: which two sources are compared.
        filled: the clone's images under the real set's classifier, as a filled shape; `mean` are
            the shares (37,) of the bins.
        outlined: the real images under the clone's classifier, as an outline.
        below: share of either (filled, outlined) below NEAR_ZERO.
        above: share of either above HIGH.
    """
    figure, axes = axes_of_panel()
    positions = np.arange(len(EDGES) + 2)
    for line, solid in ((filled, True), (outlined, False)):
        colour = SERIES[line.colour % len(SERIES)]
        shares = np.asarray(line.mean)
        if solid:
            axes.stairs(shares, positions, fill=True, color=colour, alpha=0.42, linewidth=0)
        axes.stairs(shares, positions, color=colour, linewidth=1.6 if not solid else 1.0)
    top = 1.62 * max(float(np.max(filled.mean)), float(np.max(outlined.mean)), 1e-9)
    axes.set(xlim=(0, positions[-1]), ylim=(0, top))
    left, right = (1 + int(np.searchsorted(EDGES, limit)) for limit in (NEAR_ZERO, HIGH))
    axes.axvspan(0, left, color=TINT, zorder=0, linewidth=0)
    axes.axvspan(right, positions[-1], color=TINT, zorder=0, linewidth=0)
    _annotate(axes, 0.02, "left", f"loss below {NEAR_ZERO:g}", below, (filled, outlined))
    _annotate(axes, 0.985, "right", f"above {HIGH:g}", above, (filled, outlined))
    ticks = 1 + np.searchsorted(EDGES, [1e-6, 1e-4, 0.01, 1])
    axes.set_xticks(ticks, ["10⁻⁶", "10⁻⁴", "0.01", "1"])
    axes.set_yticks([])
    axes.set_xlabel("cross-entropy of one image, nats", color=MUTED, labelpad=4)
    axes.set_position((0.02, 0.17, 0.96, 0.81))
    alt = (
        f"{title}. {filled.name}: {below[0]:.1%} of the images below {NEAR_ZERO:g}, "
        f"{above[0]:.1%} above {HIGH:g}. "
        f"{outlined.name}: {below[1]:.1%} below, {above[1]:.1%} above."
    )
    return Panel(title, svg_of(figure, alt))


def _annotate(
    axes: Axes,
    x: float,
    side: str,
    heading: str,
    shares: tuple[float, float],
    lines: tuple[Line, Line],
) -> None:
    """Writes the two shares of a zone into its upper corner."""
    place: dict[str, Any] = {"transform": axes.transAxes, "ha": side, "va": "top"}
    axes.text(x, 0.98, heading, color=MUTED, **place)
    for row, (share, line) in enumerate(zip(shares, lines, strict=True)):
        colour = SERIES[line.colour % len(SERIES)]
        name = shortened(line.name, LABEL_LENGTH)
        text = f"{share:.1%} {name}" if side == "left" else f"{name} {share:.1%}"
        axes.text(x, 0.895 - 0.085 * row, text, color=colour, fontweight="bold", **place)


def _name_lines(axes: Axes, lines: Sequence[Line]) -> None:
    """Names each line at its end; names that would overlap are moved apart, in order of height."""
    low, high = axes.get_ylim()
    heights = [(float(np.asarray(line.mean)[-1]) - low) / (high - low) for line in lines]
    for line, height in zip(lines, _spread_out(heights), strict=True):
        axes.text(
            1.03,
            height,
            shortened(line.name, LABEL_LENGTH),
            color=SERIES[line.colour % len(SERIES)],
            fontweight="bold",
            va="center",
            transform=axes.transAxes,
        )


def _spread_out(heights: Sequence[float]) -> list[float]:
    """Moves heights apart to LABEL_SPACING, keeping their order and, if they fit, below 1."""
    order = np.argsort(heights, kind="stable")
    placed = np.asarray(heights, dtype=float).copy()
    for lower, upper in itertools.pairwise(order):
        placed[upper] = max(placed[upper], placed[lower] + LABEL_SPACING)
    ceiling = 1.0
    for index in order[::-1]:
        placed[index] = min(placed[index], ceiling)
        ceiling = placed[index] - LABEL_SPACING
    return placed.tolist()


def _described(lines: Sequence[Line], title: str, percent: bool) -> str:
    shown = "{:.1%}" if percent else "{:.3f}"
    ends = (f"{line.name} ends at {shown.format(np.asarray(line.mean)[-1])}" for line in lines)
    return f"{title}: {', '.join(ends)}."


def _percent(share: float, _: int) -> str:
    return f"{100 * share:g}%"


def interval_panel(
    title: str, rows: Sequence[str], dots: Sequence[Dots], reference: Sequence[float]
) -> Panel:
    """Draws figures between 0 and 1 as dots with the intervals that hold them, one row each.

    Args:
        title: what is shown.
        rows: names of the figures, from the top down.
        dots: of each source, one a row.
        reference: (R,) what chance alone gives, as a mark in each row; nan draws none.
    """
    figure, axes = axes_of_panel()
    axes.set_position((0.26, 0.17, 0.7, 0.8))
    spacing = 0.6 / max(len(dots), 1)
    for number, each in enumerate(dots):
        colour = SERIES[each.colour % len(SERIES)]
        heights = np.arange(len(rows)) + spacing * (number - (len(dots) - 1) / 2)
        low, high = np.asarray(each.low, dtype=float), np.asarray(each.high, dtype=float)
        axes.hlines(heights, low, high, color=colour, alpha=0.42, linewidth=5)
        axes.plot(each.value, heights, "o", color=colour, markersize=6)
    axes.vlines(reference, np.arange(len(rows)) - 0.38, np.arange(len(rows)) + 0.38, color=MUTED)
    axes.grid(axis="x", color=RULE, linewidth=0.8)
    axes.set(xlim=(-0.02, 1.02), ylim=(len(rows) - 0.5, -0.5))
    axes.set_xticks([0, 0.25, 0.5, 0.75, 1], ["0", "", "0.5", "", "1"])
    axes.set_yticks(range(len(rows)), list(rows))
    shown = (
        f"{each.name}: "
        + ", ".join(f"{row} {value:.2f}" for row, value in zip(rows, each.value, strict=True))
        for each in dots
    )
    return Panel(title, svg_of(figure, f"{title}. {'. '.join(shown)}."))
