"""How many real images one synthetic image replaces, and the curves it is read off."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from gendata.gap.cross_source.losses import mean_and_std
from gendata.gap.measures.exchange import Prediction
from gendata.gap.report.figures import Line, curve_panel
from gendata.gap.report.reading import brief, rate_text
from gendata.gap.result import CloneFindings, GapReport
from gendata.gap.sections.formatting import colours_of, legend_of, number, seeds_text, signed
from gendata.gap.worth.findings import DEFINITIONS, LearningCurve, Worth, worth_sentence
from gendata.page.blocks import Cell, Figure, Panel, Row, Section, Table, Text

__all__ = ["worth_section"]


def worth_section(report: GapReport, clones: Mapping[str, CloneFindings]) -> Section | None:
    """Shows accuracy against the number of images, and the exchange rate of each clone."""
    found = {name: each.worth for name, each in clones.items() if each.worth}
    if not found:
        return None
    sentences = [Text(_sentence(name, each)) for name, each in found.items()]
    return Section(
        "What a synthetic image is worth",
        [*sentences, _figure(report, found), _table(report, found)],
        "Classifiers trained on more and more images of each source, for equally many steps, and "
        "tested on real images. Where a clone's curve meets the height of the real one, so many "
        "real images would do as well.",
    )


def _sentence(name: str, worth: Worth) -> str:
    sentence = worth_sentence(worth.exchange.at_size)
    return f"{brief(name)}: {sentence[0].lower()}{sentence[1:]}."


def _figure(report: GapReport, found: Mapping[str, Worth]) -> Figure:
    colours = colours_of(report)
    real = report.trained[0].name
    first = next(iter(found.values()))
    curves = {real: first.real, **{name: each.synthetic for name, each in found.items()}}
    lines = [_line(name, curve, colours[name]) for name, curve in curves.items()]
    ticks = sorted({int(size) for curve in curves.values() for size in curve.sizes})
    panel: Panel = curve_panel(
        lines,
        f"Accuracy on {first.test_images:,} real images",
        percent=True,
        x_label="training images of each class",
        ticks=_apart(ticks),
    )
    held_out = ", held out of the real set" if first.test_held_out else ""
    caption = (
        f"Mean over {seeds_text(first.seeds)}; the bands are one standard deviation. Tested on "
        f"{first.test_images:,} real images{held_out}. {first.trainings} trainings of "
        f"{first.steps:,} steps."
    )
    return Figure([panel], legend_of(report), caption=caption)


def _line(name: str, curve: LearningCurve, colour: int) -> Line:
    mean, std = mean_and_std(curve.accuracy)
    return Line(name, curve.sizes, mean, std, colour)


def _apart(ticks: list[int]) -> list[int]:
    """Leaves out positions whose names would run into each other."""
    kept = ticks[-1:]
    for tick in reversed(ticks[:-1]):
        if tick < 0.6 * kept[0]:
            kept.insert(0, tick)
    return kept


def _table(report: GapReport, found: Mapping[str, Worth]) -> Table:
    exchanges = [each.exchange for each in found.values()]
    rows = [
        Row(
            "real images for one synthetic",
            [Cell(*rate_text(each)) for each in exchanges],
            None,
            DEFINITIONS["rate"],
        ),
        Row(
            "worth of all, a class",
            [number(each.at_size.real, ",.0f") for each in exchanges],
            None,
            DEFINITIONS["worth"],
        ),
        Row("synthetic images, a class", [f"{each.at_size.synthetic:,.0f}" for each in exchanges]),
        Row(
            "worth when doubled",
            [number(each.doubling) for each in exchanges],
            None,
            DEFINITIONS["doubling"],
        ),
        Row(
            "points for twice as many synthetic",
            [_gain(each.synthetic_ahead) for each in exchanges],
            None,
            DEFINITIONS["gain"],
        ),
        Row(
            "points for twice as many real",
            [_gain(each.real_ahead) for each in exchanges],
            None,
            DEFINITIONS["gain"],
        ),
    ]
    first = next(iter(found.values()))
    settings = ", ".join(f"{key} {value}" for key, value in first.settings.items())
    caption = f"With 95% intervals over test images and seeds. {settings}."
    return Table(list(found), rows, "", caption=caption)


def _gain(ahead: Sequence[Prediction]) -> Cell | str:
    """Points of accuracy that twice as many images are predicted to add."""
    if not ahead:
        return "\N{EN DASH}"
    gain = ahead[0].gain
    note = f"{signed(gain.low)} to {signed(gain.high)}" if np.isfinite(gain.low) else ""
    return Cell(signed(gain.value), note)
