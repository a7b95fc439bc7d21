"""Tables of a study in the layout of the paper's Tables 2, 3 and 4, and the files they go to.

Wang, Schmedding and Huber 2024 (https://arxiv.org/abs/2311.03959). To each figure the tables add
what the paper leaves out: the deviation, the number of seeds, the rule that chose the epoch, and
whether a method differs from its baseline.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from gendata.benchmarks.protocol import result_files
from gendata.benchmarks.protocol.layout import (
    GUIDANCE,
    LAYOUTS,
    Part,
    arranged,
    cells_of,
    column_names,
    guidance_of,
    is_upper_bound,
    paper_row,
    rank,
    varying,
)
from gendata.benchmarks.protocol.published import PublishedFigure, published, same_data
from gendata.benchmarks.protocol.statistics import Block, Cell, Summary, summarise
from gendata.benchmarks.tables import Table
from gendata.errors import GendataError

__all__ = ["comparison_table", "mark_of", "results_table", "write_results"]

BESIDE = ("table2", "table3", "table4")
LEVELS = (0.05, 0.01, 0.001)  # one star each
NONE = "–"
RULES = {
    "": "unknown rule",
    "last": "last epoch",
    "source-val": "best epoch on held-out training images (source-val)",
    "target-val": "best epoch on real validation images (target-val)",
    "oracle": "ORACLE, the best epoch on the test images: an upper bound, no fair figure",
}


@dataclass(frozen=True)
class Column:
    """A column of accuracies: ours of one cell, or the paper's of one source.

    Attributes:
        data: the head above it.
        name: its head.
        cell: of ours.
        figures: of the paper's.
    """

    data: str
    name: str
    cell: Cell | None = None
    figures: tuple[PublishedFigure, ...] = ()


def results_table(
    records: Sequence[Mapping[str, Any]], layout: str = "zero-shot", *, beside: str | None = None
) -> Table:
    """Makes the table of a study.

    Args:
        records: finished runs.
        layout: "zero-shot" (Table 2: methods by data and source, a part for each kind of initial
            weights), "low-shot" (Table 4: with a column for each kind of guidance) or "table3"
            (Table 3: a part for each network).
        beside: "table2", "table3" or "table4" adds the paper's figures for the data sets that it
            has too.

    Raises:
        GendataError: no run, runs that no table can hold, an unknown layout or table.
    """
    _check_choice("layout", layout, LAYOUTS)
    summaries = summarise(records)
    parts = arranged(summaries, layout)
    columns = _columns(summaries, beside)
    head = [*varying(parts, layout), "method", *(GUIDANCE if layout == "low-shot" else ())]
    usual = Counter(each.n for each in summaries).most_common(1)[0][0]
    rows, rules = _rows(parts, columns, layout, usual)
    best = [(part, column, _best(part, column.cell)) for part in parts for column in columns]
    places = [(part, label) for part in parts for label in part.rows]
    return Table(
        [*head, *(column.name for column in columns)],
        rows,
        _caption(summaries, usual, beside, columns),
        groups=[("", len(head)), *_groups(columns)],
        bold={
            (places.index((part, label)), len(head) + columns.index(column))
            for part, column, labels in best
            for label in labels
        },
        rules=rules,
        label=f"tab:{layout}",
    )


def comparison_table(summaries: Sequence[Summary], layout: str = "") -> Table:
    """Each row against its baseline, in points of accuracy, with every test.

    Args:
        summaries: the rows.
        layout: of the study, for LaTeX: a paper may show two studies.
    """
    cells = cells_of(summaries)
    summaries = sorted(summaries, key=lambda each: _place(each, cells))
    names = dict(zip(cells, column_names(cells), strict=True))
    blocks = varying([Part(each.block, {}) for each in summaries], "")
    rows = [
        [
            *(getattr(each.block, name) or NONE for name in blocks),
            each.cell.data,
            names.get(each.cell, each.cell.source or "real only"),
            each.row,
            *_compared(each),
        ]
        for each in summaries
        if each.comparison is not None
    ]
    head = ["data", "source", "method", "baseline", "seeds", "difference", "t"]
    return Table(
        [*blocks, *head, "p", "p (Holm)", "p (sign flips)", "note"],
        rows,
        "Accuracy minus that of the baseline, in points, ± the standard error of the mean "
        "difference, paired over the seeds in common. p: paired t test, two-sided; Holm: the same "
        "corrected over the rows of a column; sign flips: permutation test, uncorrected (~: of "
        "random signs).",
        label=f"tab:{layout}-comparisons" if layout else "tab:comparisons",
    )


def write_results(
    records: Sequence[Mapping[str, Any]],
    out: Path | str,
    layout: str = "zero-shot",
    *,
    beside: str | None = None,
) -> Table:
    """Writes results.json, .md, .tex, .txt and .csv into a folder, each whole or not at all.

    Args:
        records: finished runs.
        out: the folder; made if it is not there.
        layout: as in `results_table`.
        beside: as in `results_table`.

    Returns:
        The table of results.

    Raises:
        GendataError: as `results_table`, or a file cannot be written.
    """
    table = results_table(records, layout, beside=beside)
    parts = arranged(summarise(records), layout)
    summaries = [each for part in parts for row in part.rows.values() for each in row.values()]
    comparisons = comparison_table(summaries, layout)
    result_files.write(Path(out), table, comparisons, summaries, records, layout)
    return table


def mark_of(summary: Summary) -> str:
    """Stars for a row better than its baseline, † for one worse, by Holm-corrected p."""
    comparison = summary.comparison
    if comparison is None or comparison.holm_p is None or comparison.difference is None:
        return ""
    stars = sum(comparison.holm_p < level for level in LEVELS)
    return ("*" * stars) if comparison.difference > 0 else "†" * bool(stars)


def _columns(summaries: Sequence[Summary], beside: str | None) -> list[Column]:
    """Our columns; after those of each data set, the paper's of the same."""
    if beside is not None:
        _check_choice("table of the paper", beside, BESIDE)
    figures = published(beside) if beside else []
    cells = cells_of(summaries)
    columns = []
    for data, named in groupby(
        zip(cells, column_names(cells), strict=True), key=lambda pair: pair[0].data
    ):
        columns += [Column(data, name, cell) for cell, name in named]
        theirs = [each for each in figures if same_data(data, each.data)]
        for source in dict.fromkeys(each.source for each in theirs if each.source is not None):
            own = tuple(each for each in theirs if each.source in (source, None))
            columns.append(Column(data, f"paper: {source}", figures=own))
    return columns


def _groups(columns: Sequence[Column]) -> list[tuple[str, int]]:
    """The data sets above the columns, and how many columns each has."""
    return [(data, len(list(own))) for data, own in groupby(column.data for column in columns)]


def _rows(
    parts: Sequence[Part], columns: Sequence[Column], layout: str, usual: int
) -> tuple[list[list[str]], set[int]]:
    """All rows, and those that begin a group of methods."""
    rows: list[list[str]] = []
    rules: set[int] = set()
    for part in parts:
        group = None
        for label, by_cell in part.rows.items():
            summary = next(iter(by_cell.values()))
            if group != (group := rank(summary, layout)[0]):
                rules.add(len(rows))
            row = [getattr(part.block, name) or NONE for name in varying(parts, layout)]
            row += [label, *(_checks(summary) if layout == "low-shot" else [])]
            row += [_shown(part, summary, column, layout, usual) for column in columns]
            rows.append(row)
    return rows, rules


def _shown(part: Part, summary: Summary, column: Column, layout: str, usual: int) -> str:
    """A cell: ours with deviation and marks, or the paper's figure."""
    if column.cell is None:
        return _published(part.block, paper_row(summary, layout), column.figures)
    found = part.at(summary.row, column.cell)
    if found is None:
        return NONE
    std = f" ± {100 * found.std:.1f}" if found.std is not None else ""
    seeds = f" (n={found.n})" if found.n != usual else ""
    return f"{100 * found.mean:.1f}{std}{mark_of(found)}{seeds}"


def _published(block: Block, row: str | None, figures: Sequence[PublishedFigure]) -> str:
    """The paper's figure of a row; of Table 2, that of the block's initial weights."""
    part = "A" if block.init in ("", "random") else "B"
    for figure in figures:
        if figure.row == row and figure.part in ("", part):
            return f"{figure.accuracy:.2f}"
    return NONE


def _best(part: Part, cell: Cell | None) -> set[str]:
    """The rows that show a column's highest mean; training on all real images does not compete."""
    if cell is None:
        return set()
    found = [part.at(row, cell) for row in part.rows]
    rivals = [each for each in found if each is not None and not is_upper_bound(each)]
    if len(rivals) < 2:
        return set()
    highest = max(f"{each.mean:.3f}" for each in rivals)  # as precise as it is shown
    return {each.row for each in rivals if f"{each.mean:.3f}" == highest}


def _checks(summary: Summary) -> list[str]:
    return ["✓" if has else "-" for has in guidance_of(summary)]


def _place(summary: Summary, cells: Sequence[Cell]) -> int:
    """The first column that a summary stands in."""
    return next(i for i, cell in enumerate(cells) if summary.cell.serves(cell))


def _compared(summary: Summary) -> list[str]:
    """The cells of a comparison, from the baseline on."""
    found = summary.comparison
    assert found is not None
    error = f" ± {100 * found.error:.2f}" if found.error is not None else ""
    return [
        found.baseline,
        str(found.seeds),
        NONE if found.difference is None else f"{100 * found.difference:+.2f}{error}",
        NONE if found.t is None else f"{found.t:.2f}",
        _p(found.p),
        _p(found.holm_p),
        ("" if found.exact is not False else "~") + _p(found.permutation_p),
        found.note,
    ]


def _p(value: float | None) -> str:
    if value is None:
        return NONE
    return "<0.0001" if value < 0.0001 else f"{value:.4f}"


def _caption(
    summaries: Sequence[Summary], usual: int, beside: str | None, columns: Sequence[Column]
) -> str:
    """What the figures are, and what every sign in the table means."""
    images = sorted({each.images for each in summaries if each.images})
    counted = f"{' or '.join(f'{n:,}' for n in images)} " if images else ""
    shots = sorted({each.cell.shots for each in summaries if each.cell.shots})
    real = (
        f" {' or '.join(map(str, shots))} real images of each class to train on." if shots else ""
    )
    spread = "mean ± standard deviation over" if usual > 1 else "of"
    seeds = f"{usual} seed{'s' * (usual > 1)}"
    unless = " unless n says otherwise" if len({each.n for each in summaries}) > 1 else ""
    select = sorted({each.block.select for each in summaries})
    words = [
        f"Accuracy (%) on {counted}real test images, {spread} {seeds}{unless}.{real}",
        *_students(summaries),
        f"Selection: {'; '.join(RULES.get(rule, rule) for rule in select)}.",
    ]
    if any(each.n > 1 and each.comparison for each in summaries):
        words.append(
            "*, **, ***: better than its baseline at p < 0.05, 0.01, 0.001; †: worse at p < 0.05 "
            "(paired t test over seeds, two-sided, Holm's correction over the rows of a column)."
        )
    words.append(f"Bold: the highest mean of a column and part. {NONE}: no figure.")
    if beside is not None:
        words.append(_beside_caption(beside, columns))
    return " ".join(words)


def _students(summaries: Sequence[Summary]) -> list[str]:
    """The student and its first weights, where all rows share them; else they are columns."""
    students = {(each.block.network, each.block.init) for each in summaries}
    network, init = next(iter(students))
    if len(students) > 1 or not network:
        return []
    return [f"Student: {network}{f', {init} initial weights' if init else ''}."]


def _beside_caption(beside: str, columns: Sequence[Column]) -> str:
    name = f"Table {beside.removeprefix('table')} of Wang et al. 2024"
    if any(column.figures for column in columns):
        return f"Paper: {name}, ResNet-50, its own generators, means of five runs."
    return f"{name} has none of these data sets."


def _check_choice(what: str, found: str, choices: Sequence[str]) -> None:
    if found not in choices:
        raise GendataError(f"unknown {what}", found=found, expected=f"one of {', '.join(choices)}")
