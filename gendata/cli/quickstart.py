"""`gendata quickstart`: the whole story, offline, in minutes."""

from __future__ import annotations

from pathlib import Path

import click

from gendata.cli.options import (
    config_option,
    device_option,
    download_option,
    echo_result,
    json_option,
    key_values,
    seed_option,
    strict_option,
)
from gendata.cli.out_options import out_option

__all__ = ["command"]


@click.command("quickstart")
@out_option(default="quickstart")
@click.option("--data", metavar="REF", help="Real training images; Fashion-MNIST's by default.")
@click.option("--test", metavar="REF", help="Real test images; a fifth of --data by default.")
@click.option("--sampler", "samplers", multiple=True, help="Sampler of your classes; repeatable.")
@click.option(
    "--sampler-option",
    "-o",
    "sampler_options",
    multiple=True,
    callback=key_values,
    metavar="KEY=VALUE",
    help="An option of every sampler, such as z_dim=128; may be repeated.",
)
@click.option("--filter", default=None, help="Classifier whose confidence filters the clones.")
@click.option(
    "--per-class",
    type=click.IntRange(1),
    default=100,
    show_default=True,
    help="Images of each class to draw.",
)
@click.option(
    "--shots",
    type=click.IntRange(1),
    default=10,
    show_default=True,
    help="Real images of each class that the low-shot methods see.",
)
@click.option(
    "--epochs", type=click.IntRange(2), default=40, show_default=True, help="Of each training."
)
@click.option(
    "--size", type=click.IntRange(8), help="Side to train at, pixels; the sampler's by default."
)
@click.option(
    "--seeds", type=click.IntRange(1), default=3, show_default=True, help="Trainings of a method."
)
@seed_option
@strict_option
@download_option("Fetch images, samplers or a classifier that are not on this machine.")
@device_option
@config_option
@json_option
def command(out: Path, data: str | None, as_json: bool, **options: object) -> None:
    """Draw, filter, measure, train with guidance, and show it all.

    Runs offline on two CPU cores in minutes; run it again to continue what was stopped. The
    report is OUT/report.html.

    \b
    Examples:
      gendata quickstart
      gendata quickstart --data photos/train --test photos/test --sampler diffusers:dit
    """
    from gendata.benchmarks.quickstart import DATA, quickstart

    result = quickstart(out=out, data=data or DATA, **options)
    echo_result(result.data, f"{result.text()}\n\nreport: {out / 'report.html'}", as_json)
