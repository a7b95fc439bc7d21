"""What a page is made of.

Build a `Page` from these dataclasses and call `gendata.page.write_page`. Everything they hold is
text and is escaped; only a `Panel` carries markup, the SVG made by `gendata.page.drawing`.
A `definitions` mapping, name to a sentence or two, opens under its block at a click and is
printed in full.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from gendata.page.sprites import Sprite, sprite_of

__all__ = [
    "Block",
    "Cell",
    "Figure",
    "ImageGrid",
    "ImagePair",
    "ImagePairs",
    "ImageRow",
    "KeyFigure",
    "KeyFigures",
    "Page",
    "Panel",
    "Row",
    "Section",
    "Step",
    "Steps",
    "Strip",
    "Table",
    "Text",
]


@dataclass(frozen=True)
class Text:
    """A paragraph."""

    text: str
    kind: ClassVar[str] = "text"


@dataclass(frozen=True)
class KeyFigure:
    """One number to remember: its value as shown, what it is, a remark, and its definition."""

    value: str
    label: str
    note: str = ""
    definition: str = ""


@dataclass(frozen=True)
class KeyFigures:
    """A few numbers in a row; `title` names them where a section has several such rows."""

    figures: Sequence[KeyFigure]
    title: str = ""
    kind: ClassVar[str] = "key-figures"


@dataclass(frozen=True)
class Step:
    """Something to do, and why."""

    what: str
    why: str


@dataclass(frozen=True)
class Steps:
    """Things to do, the most useful one first; `title` says for whom or what."""

    steps: Sequence[Step]
    title: str = ""
    kind: ClassVar[str] = "steps"


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
    """A table's row.

    Attributes:
        label: what the row is.
        cells: one a column.
        colour: a series colour shown beside the label.
        definition: what the label means, behind a click on it.
    """

    label: str
    cells: Sequence[Cell | str]
    colour: int | None = None
    definition: str = ""


@dataclass(frozen=True, kw_only=True)
class _Captioned:
    """What a block has that shows several things at once.

    Attributes:
        title: names it where a section has several.
        caption: what it shows and how to read it.
        definitions: of what it shows or was chosen by.
    """

    title: str = ""
    caption: str = ""
    definitions: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Table(_Captioned):
    """A table whose first column names the rows.

    Attributes:
        columns: heads of the cells.
        rows: what they hold.
        corner: head of the first column, such as "trained on".
        over: a head over all columns, such as "tested on".
        groups: heads over some of them, with how many each spans; "" leaves its columns bare.
        compact: set smaller and closer, for many columns.
    """

    columns: Sequence[str]
    rows: Sequence[Row]
    corner: str = ""
    over: str = ""
    groups: Sequence[tuple[str, int]] = ()
    compact: bool = False
    kind: ClassVar[str] = "table"


@dataclass(frozen=True)
class Panel:
    """One drawing of a figure: its title and its SVG, the only markup that is not escaped."""

    title: str
    svg: str


@dataclass(frozen=True)
class Figure(_Captioned):
    """Panels side by side, where there is room, under one caption.

    Attributes:
        panels: the drawings.
        legend: full name and series colour of what is drawn; empty where the labels suffice.
    """

    panels: Sequence[Panel]
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
    """A row of a grid: one strip a column; `note` is a smaller remark under its label."""

    label: str
    strips: Sequence[Strip]
    note: str = ""


@dataclass(frozen=True)
class ImageGrid(_Captioned):
    """Strips of images by row and column.

    Attributes:
        columns: heads of the strips.
        rows: such as one a class.
    """

    columns: Sequence[str]
    rows: Sequence[ImageRow]
    kind: ClassVar[str] = "images"

    def sprites(self) -> list[list[Sprite]]:
        """One sprite a strip; all have room for as many images as the longest strip."""
        slots = max((len(strip.images) for row in self.rows for strip in row.strips), default=0)
        return [
            [sprite_of(strip.images, max(slots, 1)) for strip in row.strips] for row in self.rows
        ]


@dataclass(frozen=True)
class ImagePair:
    """Two images to be compared.

    Attributes:
        images: two of uint8 (3, H, W), array or tensor.
        alt: what they are, for those who cannot see them.
        note: a short remark under them, such as their distance.
    """

    images: Sequence[Any]
    alt: str
    note: str = ""

    def sprite(self) -> Sprite:
        """Both images in one picture."""
        return sprite_of(self.images, 2)


@dataclass(frozen=True)
class ImagePairs(_Captioned):
    """Pairs of images, as many side by side as there is room for.

    Attributes:
        pairs: the most telling one first.
    """

    pairs: Sequence[ImagePair]
    kind: ClassVar[str] = "pairs"


Block = Text | KeyFigures | Steps | Table | Figure | ImageGrid | ImagePairs


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
