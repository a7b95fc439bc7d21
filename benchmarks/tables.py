"""Tables of results: as text for a terminal, Markdown for a page, LaTeX for a paper, and JSON."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["StudyResult", "Table", "latex_escaped", "with_interval"]

GAP = 2  # spaces between the columns of text


@dataclass(frozen=True)
class Table:
    """Columns and rows of already formatted cells.

    Args:
        columns: the head, one word or two each.
        rows: one sequence of cells per row, as long as the head.
        caption: what the table shows, with n, seeds and device.
        groups: a head above the head: a label and how many columns it spans, for all of them;
            an empty label spans columns that belong to none.
        bold: places (row, column) that Markdown and LaTeX show in bold.
        rules: rows that a line is drawn above, where there may be lines.
        label: what LaTeX refers to the table by.
    """

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    caption: str = ""
    groups: Sequence[tuple[str, int]] = ()
    bold: Collection[tuple[int, int]] = ()
    rules: Collection[int] = ()
    label: str = ""

    def text(self) -> str:
        """Aligned columns for a terminal."""
        lines = [list(self.columns), *(list(row) for row in self.rows)]
        widths = [max(len(line[i]) for line in lines) for i in range(len(self.columns))]
        above = self._group_line(widths)  # widens columns below a long label
        rule = ["-" * width for width in widths]
        ruled = [lines[0], rule]
        for number, line in enumerate(lines[1:]):
            ruled += [rule, line] if number and number in self.rules else [line]
        body = "\n".join(
            (" " * GAP)
            .join(cell.ljust(width) for cell, width in zip(line, widths, strict=True))
            .rstrip()
            for line in ruled
        )
        body = f"{above}\n{body}" if above else body
        return f"{self.caption}\n\n{body}" if self.caption else body

    def markdown(self) -> str:
        """A GitHub table; a group's label stands before the names of its columns."""
        over = [label for label, span in self.groups for _ in range(span)]
        head = [
            f"{label}: {name}" if label else name
            for label, name in zip(over or [""] * len(self.columns), self.columns, strict=True)
        ]
        rows = [[_markdown(cell) for cell in row] for row in self.rows]
        for row, column in self.bold:
            rows[row][column] = f"**{rows[row][column]}**"
        lines = [[_markdown(name) for name in head], ["---"] * len(self.columns), *rows]
        return "\n".join("| " + " | ".join(line) + " |" for line in lines)

    def latex(self) -> str:
        """A floating table for the packages booktabs, amssymb and graphicx.

        One wider than the line is shrunk to it.
        """
        cells = [[latex_escaped(cell) for cell in row] for row in self.rows]
        for row, column in self.bold:
            cells[row][column] = rf"\textbf{{{cells[row][column]}}}"
        body: list[str] = []
        for number, line in enumerate(cells):
            body += [r"\midrule"] if number and number in self.rules else []
            body.append(_latex_line(line))
        caption = [rf"\caption{{{latex_escaped(self.caption)}}}"] if self.caption else []
        label = [rf"\label{{{re.sub(r'[^A-Za-z0-9:.-]', '-', self.label)}}}"] if self.label else []
        return "\n".join(
            [
                r"% \usepackage{booktabs,amssymb,graphicx}",
                r"\begin{table}",
                r"\centering",
                *caption,
                *label,
                r"\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%",
                rf"\begin{{tabular}}{{{'l' * len(self.columns)}}}",
                r"\toprule",
                *self._latex_groups(),
                _latex_line([latex_escaped(name) for name in self.columns]),
                r"\midrule",
                *body,
                r"\bottomrule",
                r"\end{tabular}}",
                r"\end{table}",
            ]
        )

    def json(self) -> str:
        """The table for programs: caption, columns, groups, rows and bold places."""
        return json.dumps(self.to_json(), indent=2, ensure_ascii=False)

    def to_json(self) -> dict[str, Any]:
        """What `json` writes."""
        return {
            "caption": self.caption,
            "groups": [list(group) for group in self.groups],
            "columns": list(self.columns),
            "rows": [list(row) for row in self.rows],
            "bold": sorted(list(place) for place in self.bold),
        }

    def _group_line(self, widths: list[int]) -> str:
        """The line of labels; makes room in `widths` for those longer than their columns."""
        line, first = "", 0
        for label, span in self.groups:
            room = sum(widths[first : first + span]) + GAP * (span - 1)
            widths[first + span - 1] += max(0, len(label) - room)
            line += label.ljust(max(room, len(label)) + GAP)
            first += span
        return line.rstrip()

    def _latex_groups(self) -> list[str]:
        """The head above the head, with a short rule under each label."""
        if not self.groups:
            return []
        cells, rules, first = [], [], 1
        for label, span in self.groups:
            cells.append(rf"\multicolumn{{{span}}}{{l}}{{{latex_escaped(label)}}}")
            if label:
                rules.append(rf"\cmidrule(lr){{{first}-{first + span - 1}}}")
            first += span
        return [_latex_line(cells), *rules]


@dataclass(frozen=True)
class StudyResult:
    """What a study returns: numbers for programs, tables for people."""

    data: dict[str, Any]
    tables: Sequence[Table]

    def text(self) -> str:
        """All tables for a terminal."""
        return "\n\n".join(table.text() for table in self.tables)


_LATEX = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "[": "{[}",  # at the start of a row it would be an option of the line break before it
    "<": "$<$",
    ">": "$>$",
    "|": "$|$",
    "±": r"$\pm$",
    "−": "$-$",
    "–": "--",
    "—": "---",
    "…": r"\ldots{}",
    "×": r"$\times$",
    "≤": r"$\leq$",
    "≥": r"$\geq$",
    "→": r"$\to$",
    "✓": r"$\checkmark$",
    "†": r"$^{\dagger}$",
    "λ": r"$\lambda$",
    "α": r"$\alpha$",
    "β": r"$\beta$",
    "ε": r"$\varepsilon$",
    "μ": r"$\mu$",
    "σ": r"$\sigma$",
} | {special: f"\\{special}" for special in "&%$#_{}"}


def with_interval(estimate: Mapping[str, float | None] | None, form: str = ".2f") -> str:
    """A cell of a figure and the ends of its interval; a dash for what there is none of.

    Args:
        estimate: "value", "low" and "high".
        form: how a number is written.
    """
    if estimate is None or estimate["value"] is None:
        return "–"
    value, low, high = (
        "–" if estimate[end] is None else format(estimate[end], form)
        for end in ("value", "low", "high")
    )
    return f"{value} ({low} to {high})"


def latex_escaped(text: str) -> str:
    """Text as LaTeX sets it: specials escaped, signs as commands, stars raised."""
    line = " ".join(text.split())
    return re.sub(
        r"\*+|.", lambda m: f"$^{{{m[0]}}}$" if "*" in m[0] else _LATEX.get(m[0], m[0]), line
    )


def _latex_line(cells: Sequence[str]) -> str:
    return " & ".join(cells) + r" \\"


def _markdown(cell: str) -> str:
    """A cell that cannot end its column, open a tag or turn on emphasis."""
    line = " ".join(cell.split())
    return re.sub(r"[|*\\]", r"\\\g<0>", line).replace("<", "&lt;")
