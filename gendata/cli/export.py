"""`gendata export`: an image set in another layout."""

from __future__ import annotations

from itertools import chain, zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gendata.cli.options import (
    config_option,
    echo_result,
    json_option,
    key_values,
    limit_option,
    seed_option,
    strict_option,
)
from gendata.cli.out_options import check_writable

if TYPE_CHECKING:
    from gendata.types import Images

__all__ = ["command"]

SHEET, SHOWN = "sheet", 8  # images of a class in a sheet


def _check_out(context: click.Context, parameter: click.Parameter, out: Path) -> Path:
    """Refuses what cannot be written; a sheet is one file, all else is a folder."""
    if context.params["layout"] == SHEET:
        from gendata.images.sheet import check_sheet_file

        check_sheet_file(out)
        check_writable(context, parameter, out.absolute().parent)
        return out
    return check_writable(context, parameter, out)


@click.command()
@click.argument("reference")
@click.option(
    "--format",
    "layout",
    type=click.Choice(["imagefolder", "webdataset", "parquet", SHEET]),
    default="imagefolder",
    show_default=True,
    is_eager=True,
    help="Layout to write; sheet is one picture with a row for each class.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    required=True,
    callback=_check_out,
    help="Folder for the results; for a sheet, a .png or .jpg file.",
)
@click.option(
    "--per-class",
    type=click.IntRange(1),
    help="Write this many of each class, chosen by --seed; by default all, in a sheet at most 8.",
)
@click.option(
    "--held-out",
    type=click.IntRange(1),
    help="Leave out the images that --per-class with this number and seed would write.",
)
@limit_option
@seed_option
@click.option("--download", is_flag=True, help="Allow a known set to be downloaded.")
@strict_option
@click.option(
    "-o",
    "options",
    multiple=True,
    metavar="KEY=VALUE",
    callback=key_values,
    help="Option of the layout read, such as split=test or root=FOLDER.",
)
@json_option
@config_option
def command(
    reference: str,
    layout: str,
    out: Path,
    per_class: int | None,
    held_out: int | None,
    limit: int | None,
    seed: int,
    download: bool,
    strict: bool,
    options: dict[str, Any],
    as_json: bool,
) -> None:
    """Write an image set in another layout, or as one picture.

    REFERENCE is a path, or a known set such as fashion-mnist:train or cifar10:test. Images are
    written lossless; what a clone's sampler said of them (such as the columns of `gendata render`)
    goes with them, except into a sheet.

    \b
    Examples:
      gendata export fashion-mnist:train --per-class 10 --format webdataset --out few
      gendata export clone --format sheet --out clone.png
    """
    from gendata.images import balanced_split, balanced_subset, open_images

    images = open_images(reference, download=download, strict=strict, **options)
    if held_out is not None:
        images = balanced_split(images, held_out, seed)[1]
    if per_class is not None and layout != SHEET:
        images = balanced_subset(images, per_class, seed)
    if limit is not None:
        images = _limited(images, limit, seed)
    count = _write(images, out, layout, per_class or SHOWN, seed)
    result = {"images": count, "classes": len(images.classes), "format": layout, "out": str(out)}
    echo_result(result, f"{count} images of {len(images.classes)} classes in {out}", as_json)


def _write(images: Images, out: Path, layout: str, shown: int, seed: int) -> int:
    from gendata.images import export_images, export_sheet

    if layout == SHEET:
        return export_sheet(images, out, shown, seed)
    return export_images(images, out, layout)


def _limited(images: Images, limit: int, seed: int) -> Images:
    """Takes at most `limit` images, of each class equally many as far as it has them."""
    from gendata.images.subsets import Subset, rows_by_class

    turns = chain.from_iterable(zip_longest(*rows_by_class(images, seed)))
    rows = [row for row in turns if row is not None]
    return Subset(images, sorted(rows[:limit]))
