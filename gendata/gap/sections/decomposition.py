"""The gap in three parts: how synthetic images look, whether they are sound, what they show."""

from __future__ import annotations

from collections.abc import Mapping

from gendata.gap.decomposition.findings import DEFINITIONS, Decomposition
from gendata.gap.report.figures import Dots, interval_panel
from gendata.gap.result import CloneFindings, GapReport
from gendata.gap.sections.formatting import colours_of, number, signed_number
from gendata.page.blocks import Figure, Row, Section, Table

__all__ = ["decomposition_section"]

PARTS = ("appearance", "quality", "content")


def decomposition_section(
    report: GapReport, clones: Mapping[str, CloneFindings]
) -> Section | None:
    """Shows the three parts of each clone, beside those of two halves of the real images."""
    found = {name: each.decomposition for name, each in clones.items() if each.decomposition}
    if not found:
        return None
    return Section(
        "Appearance, quality, content",
        [_figure(report, found), _table(found), _statistics(found)],
        "What the gap is made of: images that look different (colour, contrast, detail), images "
        "that are broken, and images that show the frequent in the place of the rare. Each "
        "between 0, none, and 1.",
    )


def _figure(report: GapReport, found: Mapping[str, Decomposition]) -> Figure:
    colours = colours_of(report)
    dots = []
    for name, each in found.items():
        estimates = [getattr(each, part) for part in PARTS]
        value, low, high = (
            [getattr(estimate, end) for estimate in estimates] for end in ("value", "low", "high")
        )
        dots.append(Dots(name, value, low, high, colours[name]))
    first = next(iter(found.values()))
    reference = [getattr(first.floor, part).gap.value for part in PARTS]
    return Figure(
        [interval_panel("The parts of the gap", PARTS, dots, reference)],
        [(name, colours[name]) for name in found],
        caption="A dot is the figure, the bar its 95% interval; the upright mark is what two "
        "random halves of the real images give.",
    )


def _table(found: Mapping[str, Decomposition]) -> Table:
    floor = next(iter(found.values())).floor
    rows = [
        Row(
            part,
            [
                *(number(getattr(each, part)) for each in found.values()),
                number(getattr(floor, part).gap),
            ],
            None,
            DEFINITIONS[part],
        )
        for part in PARTS
    ]
    rows.append(
        Row(
            "loss asymmetry",
            [*(signed_number(each.loss_asymmetry) for each in found.values()), ""],
            None,
            DEFINITIONS["loss asymmetry"],
        )
    )
    first = next(iter(found.values()))
    encoder = first.encoder
    caption = (
        f"With 95% intervals, over {first.real_images:,} real and {first.synthetic_images:,} "
        f"synthetic images. Encoder {encoder['name']}, {encoder['resize']}."
    )
    return Table([*found, "two halves of the real"], rows, "part", caption=caption)


def _statistics(found: Mapping[str, Decomposition]) -> Table:
    """What appearance is made of, the statistic that differs most first."""
    parts = [each.parts.appearance.statistics for each in found.values()]
    names = sorted(parts[0], key=lambda name: -max(abs(each[name]) for each in parts))
    rows = [Row(name, [signed_number(each[name]) for each in parts]) for name in names]
    return Table(
        list(found),
        rows,
        "statistic",
        caption="How well each statistic alone tells the images apart, between -1 and 1: "
        "positive where the clone's images have more of it than real ones of the same content.",
        title="What appearance is made of",
        compact=True,
    )
