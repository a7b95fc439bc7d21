"""The picture of a study of rendered images: accuracy against size, of networks or of sets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullLocator

from gendata.benchmarks.protocol.plot import COLOURS, MARKERS, SETTINGS
from gendata.benchmarks.protocol.rendered.arguments import RenderedProtocol
from gendata.benchmarks.protocol.rendered.figures import Figures, columns_of
from gendata.files import publish

__all__ = ["plot_curves"]

AXES = {"parameters": "parameters of the network", "per_class": "training images"}


def plot_curves(
    records: Sequence[Mapping[str, Any]], protocol: RenderedProtocol, axis: str, path: Path
) -> None:
    """Draws a line for each test set: means over the seeds, with the spread of single runs.

    Args:
        records: finished runs.
        protocol: of the study.
        axis: "parameters" or "per_class".
        path: a .png file.
    """
    figures = Figures(records)
    scale = len(protocol.class_names) if axis == "per_class" else 1
    places = {(each["network"], each["row"]): each[axis] * scale for each in records}
    with matplotlib.rc_context(SETTINGS):
        figure = Figure(figsize=(5, 3.6), layout="constrained")
        axes = figure.subplots()
        for number, (name, test, measure) in enumerate(columns_of(protocol)):
            points = sorted(
                (places[key], 100 * each.mean, 100 * (each.std or 0))
                for key, each in figures.of(test, measure).items()
            )
            x, y, spread = zip(*points, strict=True)
            marker, colour = MARKERS[number % len(MARKERS)], COLOURS[number % len(COLOURS)]
            axes.errorbar(x, y, spread, marker=marker, color=colour, capsize=2, label=name)
        axes.set(xscale="log", xlabel=AXES[axis], ylabel="accuracy (%)")
        axes.set_xticks(sorted(set(places.values())))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: _short(value)))
        axes.legend()
        publish(path, lambda file: figure.savefig(file, format="png", dpi=150, metadata={}))


def _short(value: float) -> str:
    """`69 k`, `1.3 M`."""
    for size, letter in ((1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:.3g} {letter}"
    return f"{value:.0f}"
