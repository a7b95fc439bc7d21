"""One picture of a study: every seed, the mean with its interval, and the baseline.

A panel stands for one data set and source. Where the runs differ in the number of real or of
synthetic images, the panels show curves over that number instead of dots. Nothing is told by
colour alone, so that the picture reads in grey and on paper.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator

from gendata.benchmarks.protocol.layout import Part, arranged, cells_of, column_names, varying
from gendata.benchmarks.protocol.statistics import Cell, Summary, summarise
from gendata.errors import GendataError
from gendata.files import publish

__all__ = ["plot_results"]

SUFFIXES = (".png", ".svg", ".pdf")
ACROSS = 3  # panels side by side
FEWEST = 3  # seeds that an interval is drawn for
LONGEST = 30  # characters of a label
WIDEST = 34  # characters of a line above a panel
SETTINGS: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "gendata",
    "text.parse_math": False,  # a dollar in a name is a dollar
    "font.size": 9,
    "axes.titlesize": 9,
    "legend.fontsize": 8.5,
}
DASHES = ((0, (4, 2)), (0, (1, 1.5)), (0, (6, 2, 1, 2)), (0, (8, 3)))
MARKERS = "osD^vP*X<>hp"
# Okabe and Ito's colours, which the colour-blind tell apart, without the pale yellow.
COLOURS = ("#000000", "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")

SEED: dict[str, Any] = {"marker": "o", "ms": 3, "mfc": "none", "mec": "#777777", "ls": "none"}
MEAN: dict[str, Any] = {"marker": "D", "ms": 5, "mec": "k", "color": "k", "ls": "none"}
LEVEL: dict[str, Any] = {"color": "#555555", "lw": 0.9}

Panel = tuple[Part, Cell]


def plot_results(records: Sequence[Mapping[str, Any]], path: Path | str) -> Path:
    """Draws a study and writes the picture.

    Args:
        records: finished runs.
        path: a .png, .svg or .pdf file.

    Returns:
        The path.

    Raises:
        GendataError: no run, runs that no table can hold, or another suffix.
    """
    path = Path(path)
    if path.suffix.lower() not in SUFFIXES:
        raise GendataError(
            "unknown kind of picture", found=path.suffix or path.name, expected=", ".join(SUFFIXES)
        )
    summaries = summarise(records)
    layout = "low-shot" if any(each.block.setting == "low-shot" for each in summaries) else ""
    parts = arranged(summaries, layout or "zero-shot")
    cells = cells_of(summaries)
    with matplotlib.rc_context(SETTINGS):
        figure = _curves(parts, cells) if _axis_of(cells) else _dots(parts, cells)
        kind = path.suffix.lower()[1:]
        # Without the date and the version, the same runs give the same bytes.
        empty = {"svg": {"Date": None}, "pdf": {"CreationDate": None}, "png": {"Software": None}}
        publish(path, lambda file: figure.savefig(file, format=kind, metadata=empty[kind]))
    return path


def _dots(parts: Sequence[Part], cells: Sequence[Cell]) -> Figure:
    """A line of dots for each row."""
    panels = _filled(parts, cells)
    tallest = max(len(part.rows) for part, _ in panels)
    across = _across(len(cells), len(panels))
    figure, grid = _grid(len(panels), across, (2.9, 0.29 * tallest + 0.8), label_room=1.6)
    names = dict(zip(cells, column_names(cells), strict=True))
    baselines = _baselines([part for part, _ in panels])
    for number, ((part, cell), axes) in enumerate(zip(panels, grid, strict=True)):
        _dot_panel(axes, part, cell, baselines)
        axes.set_xlim(*_limits([own for own in panels if own[1].data == cell.data]))
        axes.set_title(_title(parts, part, cell.data, names[cell]), loc="left")
        same = number % across and list(panels[number - 1][0].rows) == list(part.rows)
        axes.set_yticks(range(len(part.rows)), [] if same else [_short(row) for row in part.rows])
        axes.set_xlabel("accuracy on real test images (%)")
    figure.legend(handles=_dot_legend(parts, baselines), loc="outside lower center", ncols=across)
    return figure


def _dot_panel(axes: Axes, part: Part, cell: Cell, baselines: Mapping[str, Any]) -> None:
    """Seeds, means and intervals of one column, and the means of its baselines."""
    for height, row in enumerate(part.rows):
        found = part.at(row, cell)
        if found is None:
            continue
        seeds = 100 * np.array(found.accuracies)
        if found.n > 1:  # below the mean, which would hide them
            axes.plot(seeds, [height + 0.3] * found.n, **SEED)
        low, high = _interval(found) or (found.mean, found.mean)
        bounds = [[100 * (found.mean - low)], [100 * (high - found.mean)]]
        axes.errorbar(100 * found.mean, height, xerr=bounds, fmt="none", ecolor="k", capsize=3)
        face = "k" if _differs(found) else "w"
        axes.plot(100 * found.mean, height, mfc=face, **MEAN)
        if row in baselines:
            axes.axvline(100 * found.mean, ls=baselines[row], zorder=0, **LEVEL)
    axes.set_ylim(len(part.rows) - 0.4, -0.6)
    axes.xaxis.set_major_locator(MaxNLocator(5))
    _bare(axes, "x")


def _dot_legend(parts: Sequence[Part], baselines: Mapping[str, Any]) -> list[Artist]:
    """What the signs mean; a sign that is not drawn is not explained."""
    found = [own for part in parts for row in part.rows.values() for own in row.values()]
    several = any(each.n > 1 for each in found)
    handles = [Line2D([], [], label="one seed", **SEED)] if several else []
    label = "mean, 95 % interval over seeds"
    label = label if any(map(_interval, found)) else "mean" if several else "one seed"
    handles.append(Line2D([], [], label=label, mfc="w", **MEAN))
    if any(map(_differs, found)):
        label = "differs from its baseline (p < 0.05, Holm)"
        handles.append(Line2D([], [], label=label, mfc="k", **MEAN))
    for row, dash in baselines.items():
        handles.append(Line2D([], [], label=f"mean of {_short(row)}", ls=dash, **LEVEL))
    return list(handles)


def _curves(parts: Sequence[Part], cells: Sequence[Cell]) -> Figure:
    """A line over the number of images for each row."""
    axis = _axis_of(cells)
    along: dict[Cell, list[Cell]] = {}
    for cell in cells:
        along.setdefault(replace(cell, **{axis: None}), []).append(cell)
    panels = [(part, own) for part in parts for own in along.values()]
    panels = [(part, own) for part, own in panels if any(_filled([part], own))]
    across = _across(len(along), len(panels))
    figure, grid = _grid(len(panels), across, (3.3, 3.0), label_room=0.3)
    styles = _styles(panels, axis)
    fixed = column_names(list(along))
    names = dict(zip(along, fixed, strict=True))
    for (part, own), axes in zip(panels, grid, strict=True):
        _curve_panel(axes, part, own, axis, styles)
        place = replace(own[0], **{axis: None})
        axes.set_ylim(
            *_limits([(p, c) for p, all_ in panels for c in all_ if c.data == place.data])
        )
        axes.set_title(_title(parts, part, place.data, names[place]), loc="left")
    handles = [Line2D([], [], label=_short(row), **style) for row, style in styles.items()]
    figure.legend(handles=handles, loc="outside lower center", ncols=2 * across)
    return figure


def _curve_panel(
    axes: Axes, part: Part, cells: Sequence[Cell], axis: str, styles: Mapping[str, Any]
) -> None:
    """The lines of one source; a row that knows no such number is level."""
    places = [getattr(cell, axis) for cell in cells]
    for row in part.rows:
        found = [(place, part.at(row, cell)) for place, cell in zip(places, cells, strict=True)]
        known = [(place, each) for place, each in found if each is not None]
        if not known:
            continue
        x = [place for place, _ in known]
        means = [100 * each.mean for _, each in known]
        reach = [100 * ((_interval(each) or (0.0, each.mean))[1] - each.mean) for _, each in known]
        if row in styles:
            axes.errorbar(x, means, yerr=reach, capsize=2.5, elinewidth=0.8, **styles[row])
        else:
            axes.axhline(means[0], **LEVEL)
            axes.text(min(places), means[0], _short(row), va="bottom", fontsize=8)
    if max(places) >= 8 * min(places):
        axes.set_xscale("log")
        axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_locator(FixedLocator(places))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    kind = "real" if axis == "shots" else "synthetic"
    axes.set_xlabel(f"{kind} images of each class")
    axes.set_ylabel("accuracy on real test images (%)")
    _bare(axes, "y")


def _styles(panels: Sequence[tuple[Part, Sequence[Cell]]], axis: str) -> dict[str, dict[str, Any]]:
    """A marker, colour and dash for each row that depends on the number, the same everywhere."""
    rows = dict.fromkeys(
        row
        for part, _ in panels
        for row, by_cell in part.rows.items()
        if any(getattr(cell, axis) is not None for cell in by_cell)
    )
    return {
        row: {
            "marker": MARKERS[number % len(MARKERS)],
            "color": COLOURS[number % len(COLOURS)],
            "ls": ("-", *DASHES)[number % (len(DASHES) + 1)],
            "ms": 4.5,
            "lw": 1.2,
        }
        for number, row in enumerate(rows)
    }


def _across(cells: int, panels: int) -> int:
    """How many panels stand side by side; a part of few columns begins a line of its own."""
    return min(panels, cells if cells <= ACROSS else 2 if cells == 4 else ACROSS)


def _grid(
    count: int, across: int, size: tuple[float, float], label_room: float
) -> tuple[Figure, list[Axes]]:
    """A figure with as many axes as there are panels, in lines; sizes in inches."""
    width, height = size
    down = -(-count // across)
    inches = (width * across + label_room, height * down + 0.6)
    figure = Figure(inches, layout="constrained", dpi=160)
    axes = figure.subplots(down, across, squeeze=False).ravel()
    for unused in axes[count:]:
        unused.remove()
    return figure, list(axes[:count])


def _filled(parts: Sequence[Part], cells: Sequence[Cell]) -> list[Panel]:
    """The panels that have something to show."""
    return [(p, c) for p in parts for c in cells if any(p.at(row, c) for row in p.rows)]


def _axis_of(cells: Sequence[Cell]) -> str:
    """The number of images that differs within a source; "" where none does."""
    for axis in ("shots", "per_class"):
        alike = {replace(cell, **{axis: None}) for cell in cells}
        if len(alike) < len(cells) and all(getattr(cell, axis) is not None for cell in cells):
            return axis
    return ""


def _limits(panels: Sequence[Panel]) -> tuple[float, float]:
    """A range that holds every seed and interval of the panels, in percent."""
    found = [part.at(row, cell) for part, cell in panels for row in part.rows]
    values = [v for each in found if each for v in (*each.accuracies, *(_interval(each) or ()))]
    margin = 0.06 * (max(values) - min(values)) or 0.01
    return 100 * (min(values) - margin), 100 * (max(values) + margin)


def _baselines(parts: Sequence[Part]) -> dict[str, Any]:
    """The rows that others are compared with, and how their lines are dashed."""
    rows = dict.fromkeys(
        each.comparison.baseline
        for part in parts
        for by_cell in part.rows.values()
        for each in by_cell.values()
        if each.comparison is not None
    )
    return {row: DASHES[number % len(DASHES)] for number, row in enumerate(rows)}


def _interval(summary: Summary) -> tuple[float, float] | None:
    """The interval of a mean; that of two seeds is wider than all else in the picture."""
    return summary.interval if summary.n >= FEWEST else None


def _differs(summary: Summary) -> bool:
    comparison = summary.comparison
    return comparison is not None and comparison.holm_p is not None and comparison.holm_p < 0.05


def _title(parts: Sequence[Part], part: Part, data: str, source: str) -> str:
    """Data and source, on a line each where they are long, and what tells the part from others."""
    place = [f"{data}, {source}"]
    place = place if len(place[0]) <= WIDEST else [data, source]
    differing = [getattr(part.block, name) for name in varying(parts, "")]
    lines = [*place, ", ".join(filter(None, differing))]
    return "\n".join(_short(line, WIDEST) for line in lines if line)


def _short(name: str, longest: int = LONGEST) -> str:
    return name if len(name) <= longest else f"{name[: longest - 1]}…"


def _bare(axes: Axes, along: str) -> None:
    """Leaves out what carries no information."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis=along, color="#e2e2e2", lw=0.6)  # type: ignore[arg-type]
    axes.set_axisbelow(True)
