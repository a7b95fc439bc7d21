"""Which row of the paper's tables a method is, and the order in which rows stand.

Wang, Schmedding and Huber 2024 (https://arxiv.org/abs/2311.03959), Tables 2, 3 and 4: baselines
first, then published alternatives, then their own method in all its combinations; Tables 2 and 3
end with training on real images. Methods that the paper does not have stand with the alternatives.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gendata.benchmarks.protocol.statistics import Block, Cell, Summary

__all__ = [
    "GUIDANCE",
    "LAYOUTS",
    "Part",
    "arranged",
    "cells_of",
    "column_names",
    "guidance_of",
    "is_upper_bound",
    "paper_row",
    "rank",
    "varying",
]

LAYOUTS = ("zero-shot", "low-shot", "table3")
GUIDANCE = ("RG", "PG-R", "PG-F")  # in the order of Table 4's columns

_ZERO_SHOT = {"fake": "Baseline", "asg": "ASG", "csg": "CSG", "real": "Real"}
_LOW_SHOT = {
    "real": "Baseline (Real)",
    "fake": "Baseline (Fake)",
    "adp": "Baseline (Adp.)",
    "aug": "Baseline (Aug.)",
    "adda": "ADDA",
    "dada": "DADA",
    "dann": "DANN",
    "ltda": "LTDA",
    "agem": "A-GEM",
}
_BASELINES = ("real", "fake", "adp", "aug")
_OURS = ("pg", "rg", "pgrg")


@dataclass(frozen=True)
class Part:
    """The rows of one block, in the order in which they are shown.

    Attributes:
        block: what they share.
        rows: by label, the row's summaries by the cell they were run for.
    """

    block: Block
    rows: Mapping[str, Mapping[Cell, Summary]]

    def at(self, row: str, cell: Cell) -> Summary | None:
        """What a row shows in a column: of the runs that serve it, the nearest."""
        serving = [each for each in self.rows.get(row, {}) if each.serves(cell)]
        nearest = min(serving, key=lambda each: each.narrowed.count(None), default=None)
        return None if nearest is None else self.rows[row][nearest]


def arranged(summaries: Sequence[Summary], layout: str) -> list[Part]:
    """Sorts summaries into the parts of a table; random weights come before others."""
    blocks = list(dict.fromkeys(each.block for each in summaries))
    blocks.sort(key=lambda block: block.init not in ("", "random"))
    parts = []
    for block in blocks:
        own = [each for each in summaries if each.block == block]
        own.sort(key=lambda each: rank(each, layout))
        rows: dict[str, dict[Cell, Summary]] = {each.row: {} for each in own}
        for each in own:
            rows[each.row][each.cell] = each
        parts.append(Part(block, rows))
    return parts


def cells_of(summaries: Sequence[Summary]) -> list[Cell]:
    """The columns: all cells but those whose runs serve another column anyway.

    Those of one data set stand together, fewer shots and images first.
    """
    cells = list(dict.fromkeys(each.cell for each in summaries))
    kept = [cell for cell in cells if not any(cell != o and cell.serves(o) for o in cells)]
    data, sources = ([getattr(cell, name) for cell in cells] for name in ("data", "source"))
    return sorted(
        kept,
        key=lambda cell: (
            data.index(cell.data),
            sources.index(cell.source),
            cell.shots or 0,
            cell.per_class or 0,
        ),
    )


def column_names(cells: Sequence[Cell]) -> list[str]:
    """A name below the data set for each column: the source, and what else tells columns apart."""
    names = []
    for cell in cells:
        words = [cell.source or "real only"]
        if len({each.shots for each in cells}) > 1 and cell.shots is not None:
            words.append(f"{cell.shots} shots")
        if len({each.per_class for each in cells}) > 1 and cell.per_class is not None:
            words.append(f"{cell.per_class:,} a class")
        names.append(", ".join(words))
    return names


def varying(parts: Sequence[Part], layout: str) -> list[str]:
    """Which properties of the blocks a table must name: those of its layout, and what differs."""
    always = {"zero-shot": "init", "table3": "network"}.get(layout)
    return [
        name
        for name in ("setting", "init", "network", "select")
        if name == always or len({getattr(part.block, name) for part in parts}) > 1
    ]


def guidance_of(summary: Summary) -> tuple[bool, bool, bool]:
    """Whether a row has Real Guidance, and Pretrained Guidance on real and synthetic images."""
    method = _plain(summary.method)
    default = {"pg": "f", "pgrg": "fr"}.get(method, "")
    acts_on = str(summary.options.get("pg_on", default)) if default else ""
    return method in ("rg", "pgrg"), "r" in acts_on, "f" in acts_on


def is_upper_bound(summary: Summary) -> bool:
    """Whether a row was trained on all real images, which the others have not seen."""
    return _plain(summary.method) == "real" and summary.cell.shots is None


def paper_row(summary: Summary, layout: str) -> str | None:
    """The paper's row that a row of ours repeats; None where there is none.

    The few real images alone are not the paper's "Real", which has them all.
    """
    method = _plain(summary.method)
    if method == "real" and not is_upper_bound(summary):
        return None
    if layout != "low-shot":
        if method == "pg":
            return f"Ours ({str(summary.options.get('pg_loss', 'kl')).upper()})"
        return _ZERO_SHOT.get(method)
    if method not in _OURS:
        return _LOW_SHOT.get(method)
    names = [name for name, has in zip(GUIDANCE, guidance_of(summary), strict=True) if has]
    return f"Ours ({', '.join(names)})"


def rank(summary: Summary, layout: str) -> tuple[int, int]:
    """Where a row stands: its group, between whose rows a line is drawn, and its place there."""
    method = _plain(summary.method)
    if method in _OURS:
        return 2, _guidance_rank(summary, layout)
    if layout != "low-shot":
        if method == "real":
            return 3, 0
        return (0, 0) if method == "fake" else (1, _place(method, _ZERO_SHOT))
    return (0 if method in _BASELINES else 1), _place(method, _LOW_SHOT)


def _guidance_rank(summary: Summary, layout: str) -> int:
    """L1 before KL, or Table 4's order: PG on both, RG, RG with PG-R, with PG-F, with both."""
    if layout != "low-shot":
        return int(str(summary.options.get("pg_loss", "kl")) == "kl")
    has_rg, on_real, on_synthetic = guidance_of(summary)
    return 4 * has_rg + 2 * on_synthetic + on_real


def _place(method: str, order: dict[str, str]) -> int:
    return list(order).index(method) if method in order else len(order)


def _plain(method: str) -> str:
    """The letters and digits of a method's name: `a-gem`, `agem` and `A-GEM` are one."""
    return re.sub(r"[^a-z0-9]", "", method.lower())
