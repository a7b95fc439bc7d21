"""What to remember of a measurement, what to do about it, and what was compared."""

from __future__ import annotations

from gendata.gap.advice.rules import Advice
from gendata.gap.report.reading import brief
from gendata.gap.result import GapReport
from gendata.gap.sections.formatting import colours_of, count_of
from gendata.gap.sections.headlines import Headline, headlines
from gendata.page.blocks import (
    Block,
    Cell,
    KeyFigure,
    KeyFigures,
    Row,
    Section,
    Step,
    Steps,
    Table,
)

__all__ = ["summary_section"]


def summary_section(report: GapReport) -> Section:
    """Shows the figures to remember, side by side for several clones, advice, and the sources."""
    found = headlines(report)
    names = [source.name for source in report.trained[1:]]
    blocks: list[Block] = []
    if len(names) > 1 and found:
        blocks.append(_comparison(found, names))
    elif found:
        blocks.append(_key_figures(found, names[0]))
    for name in names:
        advice = report.clones[name].advice if name in report.clones else None
        if advice is not None:
            blocks.append(_advice(advice, brief(name) if len(names) > 1 else ""))
    return Section("In short", [*blocks, _source_table(report)])


def _key_figures(found: list[Headline], clone: str) -> KeyFigures:
    figures = [
        KeyFigure(*each.values[clone][:1], each.label, each.values[clone][1], each.definition)
        for each in found
    ]
    return KeyFigures(figures)


def _comparison(found: list[Headline], names: list[str]) -> Table:
    rows = [
        Row(
            each.label.removeprefix("of the "),
            [Cell(*each.values[name]) if name in each.values else "" for name in names],
            None,
            each.definition,
        )
        for each in found
    ]
    return Table(names, rows, "", caption="Select a figure to see what it means.")


def _advice(advice: Advice, name: str) -> Steps:
    steps = [
        Step(f"{each.action[0].upper()}{each.action[1:]}.", each.reason)
        for each in advice.recommendations
    ]
    return Steps(steps, f"What to do: {name}" if name else "What to do")


def _source_table(report: GapReport) -> Table:
    colours = colours_of(report)
    rows = [
        Row(
            source.name,
            [source.origin, *map(count_of, (source.images, source.training, source.held_out))],
            colours.get(source.name),
        )
        for source in report.sources
    ]
    return Table(
        ["from", "images", "compared", "held out"],
        rows,
        "source",
        caption="The sources are compared on equally many images, the same number of each class; "
        "the held-out ones serve the validation curves alone.",
    )
