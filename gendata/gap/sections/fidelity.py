"""How near a clone comes to real images in an encoder's features, as a whole and by class."""

from __future__ import annotations

from collections.abc import Mapping

from gendata.gap.fidelity.findings import DEFINITIONS, Fidelity, Figures
from gendata.gap.fidelity.published_fid import DEFINITIONS as PUBLISHED
from gendata.gap.fidelity.published_fid import PublishedFid
from gendata.gap.measures.intervals import Estimate
from gendata.gap.report.reading import brief, listed
from gendata.gap.result import CloneFindings
from gendata.gap.sections.formatting import number, share_cell
from gendata.page.blocks import Block, Cell, Row, Section, Table

__all__ = ["fidelity_section"]

SHOWN_CLASSES = 24  # rows of a class table: those of least coverage
NAMES = {
    "frechet": "Fréchet distance",
    "frechet_corrected": "the same, for endless images",
    "kernel": "kernel distance",
    "precision": "precision",
    "recall": "recall",
    "density": "density",
    "coverage": "coverage",
    "rarity": "rarity",
    "realism": "realism, median",
}
SHARES = ("precision", "recall", "coverage")
BY_CLASS = ("precision", "recall", "density", "coverage", "kernel")


def fidelity_section(clones: Mapping[str, CloneFindings], judged: str) -> Section | None:
    """Shows every figure of every clone, clean-fid's own, and the figures of each class."""
    found = {name: each.fidelity for name, each in clones.items() if each.fidelity}
    published = {name: each.published_fid for name, each in clones.items() if each.published_fid}
    blocks: list[Block] = []
    if found:
        blocks.append(_table(found, judged))
    if published:
        blocks.append(_published(published))
    for name, fidelity in found.items():
        if any(each.estimates for each in fidelity.per_class.values()):
            blocks.append(_class_table(name, fidelity))
    if not blocks:
        return None
    return Section(
        "Near the real images, and all of them?",
        blocks,
        "Distances and neighbourhoods in an encoder's features: precision asks whether the "
        "clone's images look like real ones, recall and coverage whether all real ones are there.",
    )


def _table(found: Mapping[str, Fidelity], judged: str) -> Table:
    first = next(iter(found.values()))
    rows = [
        Row(
            NAMES[name],
            [_cell(name, each.overall.estimates.get(name)) for each in found.values()],
            None,
            DEFINITIONS[name],
        )
        for name in NAMES
    ]
    overall, encoder = first.overall, first.encoder
    caption = (
        f"With 95% intervals, over {overall.real:,} {judged} images and "
        f"{overall.synthetic:,} of each clone; k = {first.nearest_k}, for rarity "
        f"{first.rarity_k}. Encoder {encoder.name}, {encoder.resize}; seed {first.seed}, gendata "
        f"{first.version}. They depend on encoder, k and number of images: compare like with like."
    )
    return Table(list(found), rows, "figure", caption=" ".join([caption, *_remarks(found)]))


def _cell(name: str, estimate: Estimate | None) -> Cell | str:
    if name in SHARES:
        return share_cell(estimate)
    form = ".2f" if name in ("density", "realism") else ".3g"
    return number(estimate, form)


def _remarks(found: Mapping[str, Fidelity]) -> list[str]:
    """Why a figure is not to be trusted, or is not there; each reason once."""
    whose: dict[str, list[str]] = {}
    for clone, fidelity in found.items():
        overall = fidelity.overall
        warned = {reason for reasons in overall.warnings.values() for reason in reasons}
        for name, reasons in overall.warnings.items():
            for reason in reasons:
                whose.setdefault(f"{NAMES[name]}: {reason}", []).append(brief(clone))
        for name, reason in overall.absent.items():
            if reason not in warned:
                whose.setdefault(f"{NAMES[name]}, left out: {reason}", []).append(brief(clone))
    return [
        f"{remark[0].upper()}{remark[1:]}{f' ({listed(names)})' if len(found) > 1 else ''}."
        for remark, names in whose.items()
    ]


def _published(found: Mapping[str, PublishedFid]) -> Table:
    rows = [
        Row("FID", [f"{each.fid:.2f}" for each in found.values()], None, PUBLISHED["fid"]),
        Row("KID", [f"{each.kid:.5f}" for each in found.values()], None, PUBLISHED["kid"]),
        Row("real images", [f"{each.real_images:,}" for each in found.values()]),
        Row("synthetic images", [f"{each.synthetic_images:,}" for each in found.values()]),
    ]
    first = next(iter(found.values()))
    few = all(each.enough_images for each in found.values())
    caption = f"{first.version}, mode {first.mode}. Encoder {first.encoder.name}."
    if not few:
        caption += " Too few images for a figure that compares with published ones."
    return Table(list(found), rows, "as published", caption=caption, title="By clean-fid itself")


def _class_table(name: str, fidelity: Fidelity) -> Table:
    """One row a class, the least covered first."""
    classes = sorted(fidelity.per_class, key=lambda label: _coverage(fidelity.per_class[label]))
    shown = classes[:SHOWN_CLASSES]
    rows = [
        Row(label, [_of_class(figure, fidelity.per_class[label]) for figure in BY_CLASS])
        for label in shown
    ]
    caption = "Each class by itself, its synthetic images against its real ones."
    if len(shown) < len(classes):
        caption += f" The {len(shown)} classes of least coverage; gap.json lists all."
    absent = {
        reason
        for label in shown
        for figure, reason in fidelity.per_class[label].absent.items()
        if figure in BY_CLASS
    }
    if absent:
        caption += f" Left out: {'; '.join(sorted(absent))}."
    return Table(
        [NAMES[figure] for figure in BY_CLASS],
        rows,
        "class",
        caption=caption,
        title=f"Class by class: {brief(name)}",
        compact=True,
    )


def _of_class(figure: str, figures: Figures) -> Cell | str:
    cell = _cell(figure, figures.estimates.get(figure))
    if figure != "coverage" or isinstance(cell, str):
        return cell
    return Cell(cell.text, cell.note, 1 - figures.estimates[figure].value)


def _coverage(figures: Figures) -> float:
    estimate = figures.estimates.get("coverage")
    return 2.0 if estimate is None else estimate.value
