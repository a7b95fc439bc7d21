"""`gendata gap`: what clones lack against real images."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gendata.cli.options import (
    config_option,
    device_option,
    echo_result,
    json_option,
    key_values,
    limit_option,
    out_option,
    seed_option,
    strict_option,
)
from gendata.errors import GendataError

if TYPE_CHECKING:
    from gendata.gap import GapReport

__all__ = ["command"]


@click.command("gap")
@click.argument("real")
@click.argument("clones", nargs=-1, required=True, metavar="CLONE...")
@out_option("gap")
@click.option("--test", metavar="REF", help="Real images that no classifier is trained on.")
@click.option(
    "--name",
    "names",
    multiple=True,
    help="What to call a clone, once for each in order; by default what its path ends in.",
)
@click.option(
    "--seeds",
    type=click.IntRange(1),
    default=3,
    show_default=True,
    help="How many classifiers to train per source.",
)
@seed_option
@click.option("--network", default="small-cnn", show_default=True, help="What to train.")
@click.option("--epochs", type=click.IntRange(1), default=20, show_default=True, help="How long.")
@click.option("--per-class", type=click.IntRange(2), help="Use at most this many of each class.")
@limit_option
@click.option(
    "-o",
    "options",
    multiple=True,
    callback=key_values,
    metavar="KEY=VALUE",
    help="A setting of the training, such as learning_rate=0.0005; may be repeated.",
)
@click.option("--download", is_flag=True, help="Fetch image sets that are not on this machine.")
@strict_option
@device_option
@config_option
@json_option
def command(
    real: str,
    clones: tuple[str, ...],
    out: Path,
    names: tuple[str, ...],
    seeds: int,
    seed: int,
    options: dict[str, Any],
    as_json: bool,
    **settings: Any,
) -> None:
    """Measure what CLONEs lack against REAL images, and write a report.

    Trains classifiers on each source, tests them on every other, and writes gap.json and
    report.html, a page that opens offline. A command that was killed goes on where it was.

    \b
    gendata gap fashion-mnist:train clone --test fashion-mnist:test --out gap
    gendata gap cifar10:train sgxl lsgm --name SG-XL --name LSGM --seeds 5 --epochs 40 --out gap
    """  # noqa: D301
    from gendata.gap import measure_gap

    named = dict(zip(_names(clones, names), clones, strict=True))
    numbers = range(seed, seed + seeds)
    report = measure_gap(real, named, out, seeds=numbers, **settings, **options)
    echo_result(report.to_json(), _text(report, out), as_json)


def _names(clones: tuple[str, ...], names: tuple[str, ...]) -> list[str]:
    if names and len(names) != len(clones):
        raise GendataError(
            "not every clone has a name", found=f"{len(names)} --name for {len(clones)} clones"
        )
    chosen = list(names) or [Path(clone.rpartition(":")[2]).name or clone for clone in clones]
    repeated = [name for name, count in Counter(chosen).items() if count > 1]
    if repeated:
        raise GendataError(
            "two clones have one name", found=f"'{repeated[0]}'", do="name each with --name"
        )
    return chosen


def _text(report: GapReport, out: Path) -> str:
    """The matrix and the main finding, for people."""
    from gendata.gap.reading import gap_summary

    tested = [source.name for source in report.sources]
    width = max(map(len, [*tested, "trained on"]))
    lines = ["  ".join([f"{'trained on':<{width}}", *(f"{name:>8}" for name in tested)])]
    for source in report.trained:
        cells = (
            f"{100 * report.mean_accuracy(source.name, name):>{max(8, len(name))}.1f}"
            for name in tested
        )
        lines.append("  ".join([f"{source.name:<{width}}", *cells]))
    return "\n".join([*lines, "", gap_summary(report), f"report: {out / 'report.html'}"])
