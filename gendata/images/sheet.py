"""Contact sheets: rows of small pictures, each with its name at the left, in one file."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from gendata.errors import GendataError
from gendata.files import publish
from gendata.images.damage import DamagedImage, report_damages
from gendata.images.subsets import rows_by_class
from gendata.types import Images

__all__ = ["SheetRow", "check_sheet_file", "draw_sheet", "export_sheet", "write_sheet"]

FORMATS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG"}
LEAST_TILE, MOST_TILE = 64, 128  # pixels: smaller images are enlarged, larger ones shrunk
SMALLEST_TILE = 16  # of many rows, before they are refused
MOST_SIDE = 65_000  # pixels: what JPEG allows, and what programs still open
GAP, MARGIN = 4, 12  # pixels
NAME_WIDTH = 150  # pixels; longer names are broken, and cut after three lines
LINES = 3
PAPER, INK, NOTHING = "white", "#222222", "#e4e4e4"


@dataclass(frozen=True)
class SheetRow:
    """One row of a sheet.

    Attributes:
        name: what stands at its left.
        pictures: uint8 (H, W, 3) each, or in place of one why there is none, in a word.
    """

    name: str
    pictures: Sequence[np.ndarray | str]


def export_sheet(images: Images, out: str | Path, per_class: int = 8, seed: int = 0) -> int:
    """Writes some images of each class as one picture, a row for each class.

    Args:
        images: any set; what proves damaged is left out and listed on the log.
        out: a .png or .jpg file; one that is there is replaced.
        per_class: most images of a class, those of `balanced_subset` with this seed.
        seed: chooses them.

    Returns:
        The number of images shown.

    Raises:
        GendataError: another suffix, too many classes, or it cannot be written.
    """
    check_sheet_file(Path(out))
    errors: list[DamagedImage] = []
    rows = [
        SheetRow(name, list(_pictures(images, order, per_class, errors)))
        for name, order in zip(images.classes, rows_by_class(images, seed), strict=True)
    ]
    report_damages(images.name, errors)
    write_sheet(draw_sheet(rows), Path(out))
    return sum(len(row.pictures) for row in rows)


def _pictures(
    images: Images, order: np.ndarray, most: int, errors: list[DamagedImage]
) -> Iterator[np.ndarray]:
    """Yields the first images of an order that can be decoded."""
    for row in order.tolist():
        if most == 0:
            return
        try:
            yield images[row][0].permute(1, 2, 0).cpu().numpy()
            most -= 1
        except DamagedImage as error:
            errors.append(error)


def check_sheet_file(path: Path) -> None:
    """Refuses what a sheet cannot be written to.

    Raises:
        GendataError: it is a folder, or neither .png nor .jpg.
    """
    if path.is_dir() or path.suffix.lower() not in FORMATS:
        raise GendataError(
            "a sheet is one picture",
            found=f"{'the folder ' if path.is_dir() else ''}'{path}'",
            expected="a file such as sheet.png or sheet.jpg",
        )


def write_sheet(sheet: Image.Image, path: Path) -> None:
    """Writes a sheet whole, or not at all."""
    save = partial(sheet.save, format=FORMATS[path.suffix.lower()], quality=90, optimize=True)
    publish(path, save)


def draw_sheet(rows: Sequence[SheetRow], title: str = "") -> Image.Image:
    """Draws a sheet.

    Args:
        rows: at least one.
        title: a text above all rows.

    Raises:
        GendataError: there are more rows or pictures than one file holds.
    """
    pictures = [each for row in rows for each in row.pictures if not isinstance(each, str)]
    columns = max((len(row.pictures) for row in rows), default=0)
    side = max((max(each.shape[:2]) for each in pictures), default=LEAST_TILE)
    tile = min(_tile(side), _room(len(rows), 1000), _room(columns, 300))
    if tile < SMALLEST_TILE:
        raise GendataError(
            "a sheet of so many images is too large",
            found=f"{len(rows)} rows of {columns}",
            do="show fewer",
        )
    font = _font(max(12, tile // 7))
    left = 2 * MARGIN + _widest([row.name for row in rows], font)
    width = left + columns * (tile + GAP) - GAP + MARGIN
    above = _lines(title, font, width - 2 * MARGIN)
    top = MARGIN + _height(above, font)
    sheet = Image.new("RGB", (width, top + len(rows) * (tile + GAP) - GAP + MARGIN), PAPER)
    draw = ImageDraw.Draw(sheet)
    draw.multiline_text((MARGIN, MARGIN), "\n".join(above), INK, font)
    for number, row in enumerate(rows):
        y = top + number * (tile + GAP)
        lines = _lines(row.name, font, NAME_WIDTH)[
            : max(1, min(LINES, tile // _height([""], font)))
        ]
        draw.multiline_text((MARGIN, y + tile / 2), "\n".join(lines), INK, font, anchor="lm")
        for column, picture in enumerate(row.pictures):
            _place(sheet, picture, (left + column * (tile + GAP), y), tile)
    return sheet


def _place(
    sheet: Image.Image, picture: np.ndarray | str, corner: tuple[int, int], tile: int
) -> None:
    """Puts a picture into the middle of its tile, or a grey tile with a word."""
    x, y = corner
    if isinstance(picture, str):
        draw = ImageDraw.Draw(sheet)
        draw.rectangle((x, y, x + tile - 1, y + tile - 1), NOTHING)
        draw.text((x + tile / 2, y + tile / 2), picture, INK, _font(12), anchor="mm")
        return
    image = Image.fromarray(np.ascontiguousarray(picture))
    factor = tile / max(image.size)
    factor = float(int(factor)) if factor >= 1 else factor  # whole: small images stay crisp
    if factor != 1:
        size = (max(1, round(image.width * factor)), max(1, round(image.height * factor)))
        way = Image.Resampling.NEAREST if factor > 1 else Image.Resampling.LANCZOS
        image = image.resize(size, way)
    sheet.paste(image, (x + (tile - image.width) // 2, y + (tile - image.height) // 2))


def _tile(side: int) -> int:
    """The side of a tile for images whose longest side is this."""
    return min(MOST_TILE, side * max(1, -(-LEAST_TILE // side)))


def _room(count: int, rest: int) -> int:
    """The side of tiles of which so many fit in a file, beside the rest."""
    return (MOST_SIDE - rest) // max(1, count) - GAP


@cache
def _font(size: int) -> ImageFont.FreeTypeFont:
    import matplotlib

    folder = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    return ImageFont.truetype(str(folder / "DejaVuSans.ttf"), size)


def _widest(names: Sequence[str], font: ImageFont.FreeTypeFont) -> int:
    lines = [line for name in names for line in _lines(name, font, NAME_WIDTH)]
    return int(max((font.getlength(line) for line in lines), default=0)) + 1


def _height(lines: Sequence[str], font: ImageFont.FreeTypeFont) -> int:
    """Of lines as they are drawn, with what separates them from what follows."""
    return round(len(lines) * 1.4 * font.size)


def _lines(text: str, font: ImageFont.FreeTypeFont, width: int) -> list[str]:
    """Breaks a text at spaces and after dots; what is too long for a line, or three, is cut."""
    lines: list[str] = []
    for part in filter(None, re.split(r"(?<=[ .])", " ".join(text.split()))):
        if lines and font.getlength((lines[-1] + part).rstrip()) <= width:
            lines[-1] += part
        else:
            lines.append(_cut(part, font, width))
    lines = [line.rstrip() for line in lines]
    if len(lines) > LINES:
        lines[LINES - 1] = _cut(f"{lines[LINES - 1]} …", font, width)
    return lines[:LINES]


def _cut(word: str, font: ImageFont.FreeTypeFont, width: int) -> str:
    if font.getlength(word) <= width:
        return word
    while word and font.getlength(f"{word}…") > width:
        word = word[:-1]
    return f"{word}…"
