"""One self-contained HTML page made of sections: no script, no request, good on paper and phone.

Build a `Page` from the dataclasses below and call `write_page`. Everything they hold is text and
is escaped; only a `Panel` carries markup, the SVG made by `gendata.gap.drawing`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from gendata.files import write_text
from gendata.gap.names import printable, shortened
from gendata.gap.sprites import Sprite, sprite_of

__all__ = [
    "Block",
    "Cell",
    "Figure",
    "ImageGrid",
    "ImageRow",
    "KeyFigure",
    "KeyFigures",
    "Page",
    "Panel",
    "Row",
    "Section",
    "Strip",
    "Table",
    "Text",
    "render_page",
    "write_page",
]


@dataclass(frozen=True)
class Text:
    """A paragraph."""

    text: str
    kind: ClassVar[str] = "text"


@dataclass(frozen=True)
class KeyFigure:
    """One number to remember: its value as shown, what it is, and a remark."""

    value: str
    label: str
    note: str = ""


@dataclass(frozen=True)
class KeyFigures:
    """A few numbers in a row."""

    figures: Sequence[KeyFigure]
    kind: ClassVar[str] = "key-figures"


@dataclass(frozen=True)
class Cell:
    """A table's cell.

    Attributes:
        text: the value as shown.
        note: a smaller remark behind it, such as "± 0.4".
        heat: how strongly the cell is tinted, between 0 and 1; None leaves it plain.
        strong: whether it stands out, as the best of its column.
    """

    text: str
    note: str = ""
    heat: float | None = None
    strong: bool = False


@dataclass(frozen=True)
class Row:
    """A table's row; `colour` is a series colour shown beside the label."""

    label: str
    cells: Sequence[Cell | str]
    colour: int | None = None


@dataclass(frozen=True)
class Table:
    """A table whose first column names the rows.

    Attributes:
        columns: heads of the cells.
        rows: what they hold.
        corner: head of the first column, such as "trained on".
        over: a head over all columns, such as "tested on".
        caption: what it shows and how to read it.
    """

    columns: Sequence[str]
    rows: Sequence[Row]
    corner: str = ""
    over: str = ""
    caption: str = ""
    kind: ClassVar[str] = "table"


@dataclass(frozen=True)
class Panel:
    """One drawing of a figure: its title and its SVG, the only markup that is not escaped."""

    title: str
    svg: str


@dataclass(frozen=True)
class Figure:
    """Panels side by side, where there is room, under one caption.

    Attributes:
        panels: the drawings.
        caption: what they show and how to read them.
        legend: full name and series colour of what is drawn; empty where the labels suffice.
    """

    panels: Sequence[Panel]
    caption: str = ""
    legend: Sequence[tuple[str, int]] = ()
    kind: ClassVar[str] = "figure"


@dataclass(frozen=True)
class Strip:
    """Images side by side.

    Attributes:
        images: each uint8 (3, H, W), array or tensor.
        alt: what they are, for those who cannot see them.
        notes: one short remark under each, such as its loss.
    """

    images: Sequence[Any]
    alt: str
    notes: Sequence[str] = ()


@dataclass(frozen=True)
class ImageRow:
    """A row of a grid: one strip a column."""

    label: str
    strips: Sequence[Strip]


@dataclass(frozen=True)
class ImageGrid:
    """Strips of images by row and column.

    Attributes:
        columns: heads of the strips.
        rows: such as one a class.
        caption: what it shows and how to read it.
        title: names the grid where a section has several.
    """

    columns: Sequence[str]
    rows: Sequence[ImageRow]
    caption: str = ""
    title: str = ""
    kind: ClassVar[str] = "images"

    def sprites(self) -> list[list[Sprite]]:
        """One sprite a strip; all have room for as many images as the longest strip."""
        slots = max((len(strip.images) for row in self.rows for strip in row.strips), default=0)
        return [
            [sprite_of(strip.images, max(slots, 1)) for strip in row.strips] for row in self.rows
        ]


Block = Text | KeyFigures | Table | Figure | ImageGrid


@dataclass(frozen=True)
class Section:
    """A part of the page: a title, a sentence that says what it shows, and blocks."""

    title: str
    blocks: Sequence[Block]
    lead: str = ""


@dataclass(frozen=True)
class Page:
    """A whole page.

    Attributes:
        title: its heading and its name in the browser's tab.
        summary: one sentence with the main finding.
        sections: in reading order.
        foot: name to value: the command, versions, seeds, device, date.
        overline: a few words above the title.
    """

    title: str
    summary: str
    sections: Sequence[Section]
    foot: Mapping[str, str] = field(default_factory=dict)
    overline: str = "gendata"


def render_page(page: Page) -> str:
    """Renders a page to HTML."""
    environment = Environment(
        loader=PackageLoader("gendata.gap", ""),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_printable,
    )
    environment.filters["short"] = _short
    environment.filters["svg"] = Markup
    return environment.get_template("page.html").render(page=page)


def write_page(page: Page, path: Path) -> None:
    """Writes a page; the file is there in full or not at all."""
    write_text(path, render_page(page))


def _printable(value: Any) -> Any:
    return printable(value) if type(value) is str else value


def _short(text: str, length: int = 28) -> Markup | str:
    """Shortens a name for a narrow place; the full one shows when the pointer rests on it."""
    if len(text) <= length:
        return text
    return Markup('<span title="{}">{}</span>').format(printable(text), shortened(text, length))
