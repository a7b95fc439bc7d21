"""`gendata export`: an image set in another layout."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from gendata.cli.options import (
    config_option,
    echo_result,
    json_option,
    key_values,
    limit_option,
    out_option,
)

__all__ = ["command"]


@click.command()
@click.argument("reference")
@click.option(
    "--format",
    "layout",
    type=click.Choice(["imagefolder", "webdataset", "parquet"]),
    default="imagefolder",
    show_default=True,
    help="Layout to write.",
)
@out_option()
@limit_option
@click.option("--download", is_flag=True, help="Allow a known set to be downloaded.")
@click.option("--strict", is_flag=True, help="Stop at damaged images, which are else left out.")
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
    limit: int | None,
    download: bool,
    strict: bool,
    options: dict[str, Any],
    as_json: bool,
) -> None:
    """Write the images of REFERENCE, lossless, in another layout.

    REFERENCE is a path, or a known set such as fashion-mnist:train or cifar10:test.

    \b
    Examples:
      gendata export clone --format imagefolder --out clone-folders
      gendata export fashion-mnist:test --format webdataset --out fashion-tars
    """
    from gendata.images import Subset, export_images, open_images

    images = open_images(reference, download=download, strict=strict, **options)
    if limit is not None and limit < len(images):
        images = Subset(images, range(limit))
    count = export_images(images, out, layout)
    result = {"images": count, "classes": len(images.classes), "format": layout, "out": str(out)}
    echo_result(result, f"{count} images of {len(images.classes)} classes in {out}", as_json)
