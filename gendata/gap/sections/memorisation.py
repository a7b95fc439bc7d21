"""Copies of real images, beside how close other real images come by chance."""

from __future__ import annotations

from collections.abc import Mapping

from gendata.gap.measures.intervals import Estimate
from gendata.gap.measures.shares import ComparedShare
from gendata.gap.memorisation.findings import DEFINITIONS, Memorisation, memorisation_sentence
from gendata.gap.report.reading import brief
from gendata.gap.result import CloneFindings
from gendata.gap.sections.formatting import share_cell
from gendata.page.blocks import Block, ImagePair, ImagePairs, Row, Section, Table, Text

__all__ = ["memorisation_section"]

PAIRS = 12  # suspicious pairs of a clone on the page
_ROWS = {
    "copies": "copies",
    "near_duplicates": "near duplicates",
    "look_alikes": "look-alikes",
    "suspicious": "any of these",
    "authenticity": "authenticity",
}


def memorisation_section(clones: Mapping[str, CloneFindings]) -> Section | None:
    """Shows the shares, and the most suspicious pairs of each clone."""
    found = {name: each.memorisation for name, each in clones.items() if each.memorisation}
    if not found:
        return None
    blocks: list[Block] = []
    for name, each in found.items():
        opening = f"{brief(name)}: " if len(found) > 1 else ""
        blocks.append(Text(opening + memorisation_sentence(each)))
    blocks.append(_table(found))
    for name, each in found.items():
        if each.pairs:
            blocks.append(_pairs(name, clones[name], each))
    return Section(
        "Are real images repeated?",
        blocks,
        "How close the clone's images come to single real images, beside how close real images "
        "that were held out come. Only what exceeds that speaks of memorisation.",
    )


def _table(found: Mapping[str, Memorisation]) -> Table:
    rows = [
        Row(
            label,
            _compared([getattr(each, name) for each in found.values()]),
            None,
            DEFINITIONS[name],
        )
        for name, label in _ROWS.items()
    ]
    repetitions = [each.repetition for each in found.values()]
    rows.append(
        Row(
            "repeated within the clone",
            [*(share_cell(each.repeated) for each in repetitions), ""],
            None,
            DEFINITIONS["repeated"],
        )
    )
    rows.append(
        Row(
            "crowded within the clone",
            _compared([each.crowded for each in repetitions]),
            None,
            DEFINITIONS["crowded"],
        )
    )
    first = next(iter(found.values()))
    training, _, held_out = first.images
    which = "test images" if first.held_out == "test" else "real images, each beside the others"
    caption = (
        f"Shares of images with 95% intervals, against {training:,} real images; held out: "
        f"{held_out:,} {which}. Encoder {first.encoder['name']}, {first.encoder['resize']}."
    )
    return Table([*found, "held-out real"], rows, "share of images", caption=caption)


def _compared(shares: list[ComparedShare | None]) -> list:
    reference: Estimate | None = next((each.reference for each in shares if each), None)
    return [*(share_cell(each.share if each else None) for each in shares), share_cell(reference)]


def _pairs(name: str, clone: CloneFindings, found: Memorisation) -> ImagePairs:
    pairs = [
        ImagePair(
            images,
            f"{pair.kind}: image {pair.synthetic} of {name} and real image {pair.real}",
            f"{pair.kind}{', mirrored' if pair.mirrored else ''}",
        )
        for pair, images in zip(found.pairs[:PAIRS], clone.pairs, strict=False)
    ]
    more = (
        f" {len(pairs)} of {len(found.pairs)} recorded pairs." if len(found.pairs) > PAIRS else ""
    )
    return ImagePairs(
        pairs,
        title=f"The most suspicious pairs: {brief(name)}",
        caption="Left the clone's image, right the real one that it is close to."
        f"{more} gap.json lists their rows and distances.",
    )
