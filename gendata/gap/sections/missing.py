"""The real images that a clone does not cover: how many, of which classes, and which ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from gendata.gap.missing.findings import DEFINITIONS, Missing
from gendata.gap.missing.groups import MissingGroup
from gendata.gap.report.reading import brief
from gendata.gap.result import CloneFindings
from gendata.gap.sections.formatting import share_cell, share_text
from gendata.page.blocks import Cell, ImageGrid, ImageRow, Row, Section, Strip, Table

__all__ = ["missing_section"]

GROUPS, THEMES = 8, 4  # groups of a clone on the page, within classes and across them
SHOWN_CLASSES = 24  # rows of the class table

Examples = Sequence[tuple[np.ndarray, np.ndarray]]  # images, real beside the nearest synthetic


def missing_section(
    clones: Mapping[str, CloneFindings], classes: Sequence[str], judged: str
) -> Section | None:
    """Shows what is uncovered, class by class and group by group; `judged` names the real set."""
    found = {name: each.missing for name, each in clones.items() if each.missing}
    if not found:
        return None
    grids = []
    for name, missing in found.items():
        pictures, within = clones[name].groups, len(missing.groups)
        both = (
            ("within classes", missing.groups[:GROUPS], pictures[:within]),
            ("across classes", missing.themes[:THEMES], pictures[within:]),
        )
        for kind, groups, images in both:
            if groups:
                grids.append(_grid(f"{brief(name)}, {kind}", groups, images))
    if grids:
        grids[0] = replace(grids[0], definitions={"Uncovered": DEFINITIONS["uncovered"]})
    return Section(
        "Which real images are missing",
        [_table(found, classes, judged), *grids],
        "A real image is covered if a synthetic one lies nearer than its fifth nearest real one. "
        "What is uncovered beyond chance, the generator drops.",
    )


def _table(found: Mapping[str, Missing], classes: Sequence[str], judged: str) -> Table:
    """The whole first, then class by class, the one with the most missing first."""
    top = max((row.share.value for each in found.values() for row in each.per_class), default=1)
    by_class = {
        name: {row.name: row.share for row in each.per_class} for name, each in found.items()
    }
    gains = {
        name: float(np.mean([_gain(each, name) for each in found.values()])) for name in classes
    }
    shown = sorted(classes, key=lambda name: -gains[name])[:SHOWN_CLASSES]
    rows = [
        Row(
            "all classes",
            [share_cell(each.share) for each in found.values()],
            None,
            DEFINITIONS["uncovered"],
        ),
        Row(
            "by chance alone",
            [Cell(share_text(each.floor)) for each in found.values()],
            None,
            DEFINITIONS["floor"],
        ),
    ]
    for label in shown:
        cells = []
        for name in found:
            share = by_class[name].get(label)
            cells.append(
                share_cell(share, None if share is None else share.value / max(top, 1e-9))
            )
        rows.append(Row(label, cells))
    first = next(iter(found.values()))
    real, synthetic = first.images
    caption = (
        f"Uncovered share of {real:,} {judged} images, beside {synthetic:,} of each clone, "
        f"with 95% intervals; k = {first.nearest_k}, encoder {first.encoder['name']}, "
        f"{first.encoder['resize']}."
    )
    if len(shown) < len(classes):
        caption += f" The {len(shown)} classes that lack most; gap.json lists all."
    return Table(list(found), rows, "uncovered", caption=caption, compact=True)


def _gain(missing: Missing, name: str) -> float:
    return next((row.gain for row in missing.per_class if row.name == name), 0.0)


def _grid(title: str, groups: Sequence[MissingGroup], images: Sequence[Examples]) -> ImageGrid:
    rows = []
    for group, pairs in zip(groups, images, strict=False):
        name = _named(group)
        strips = [
            Strip([real for real, _ in pairs], f"real images of {name} that the clone lacks"),
            Strip([near for _, near in pairs], f"the nearest synthetic images, of {name}"),
        ]
        rows.append(ImageRow(name, strips, f"{len(group.rows)} of {group.size} uncovered"))
    return ImageGrid(
        ["real, uncovered", "the clone's nearest to each"],
        rows,
        title=f"What is missing: {title}",
        caption="Examples of each group of like real images, the most typical uncovered one "
        "first; the groups in which most is missing beyond chance come first.",
    )


def _named(group: MissingGroup) -> str:
    return " and ".join(name for name, _ in group.classes[:2])
