"""Tables of results, as text for a terminal and as Markdown for a page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["StudyResult", "Table"]


@dataclass(frozen=True)
class Table:
    """Columns and rows of already formatted cells.

    Args:
        columns: the head, one word or two each.
        rows: one sequence of cells per row, as long as the head.
        caption: what the table shows, with n, seeds and device.
    """

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    caption: str = ""

    def text(self) -> str:
        """Aligned columns for a terminal."""
        lines = [list(self.columns), *(list(row) for row in self.rows)]
        widths = [max(len(line[i]) for line in lines) for i in range(len(self.columns))]
        ruled = [lines[0], ["-" * width for width in widths], *lines[1:]]
        body = "\n".join(
            "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
            for line in ruled
        )
        return f"{self.caption}\n\n{body}" if self.caption else body

    def markdown(self) -> str:
        """A GitHub table."""
        lines = [self.columns, ["---"] * len(self.columns), *self.rows]
        return "\n".join(
            "| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines
        )


@dataclass(frozen=True)
class StudyResult:
    """What a study returns: numbers for programs, tables for people."""

    data: dict[str, Any]
    tables: Sequence[Table]

    def text(self) -> str:
        """All tables for a terminal."""
        return "\n\n".join(table.text() for table in self.tables)
