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
    seed_option,
    strict_option,
)
from gendata.cli.out_options import out_option
from gendata.errors import GendataError

if TYPE_CHECKING:
    from gendata.gap import GapReport

__all__ = ["command"]


def _names_of_parts(_: click.Context, __: click.Parameter, value: str | None) -> list[str] | None:
    from gendata.gap.chosen import chosen_parts

    if value is None:
        return None
    return chosen_parts([name.strip() for name in value.split(",") if name.strip()])


def _channels(
    _: click.Context, parameter: click.Parameter, value: str | None
) -> float | list[float] | None:
    """Reads one number for all channels, or three."""
    if value is None:
        return None
    try:
        numbers = [float(each) for each in value.strip("[] ").split(",")]
    except ValueError:
        numbers = []
    if len(numbers) not in (1, 3):
        raise GendataError(
            f"bad option {parameter.opts[0]}",
            found=f"'{value}'",
            expected="one number, or three separated by commas",
        )
    return numbers[0] if len(numbers) == 1 else numbers


@click.command("gap")
@click.argument("real")
@click.argument("clones", nargs=-1, required=True, metavar="CLONE...")
@out_option("gap")
@click.option("--test", metavar="REF", help="Real images that no classifier is trained on.")
@click.option(
    "--parts",
    metavar="NAME,NAME,…",
    callback=_names_of_parts,
    help="Measure these parts only, separated by commas; see above what each costs.",
)
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
@click.option(
    "--encoder",
    default="embedded:efficientnet-lite0",
    show_default=True,
    metavar="REF",
    help="Whose features are compared: embedded:…, timm:NAME, cifar-resnet56:FILE, "
    "torchscript:FILE, inception:FILE.",
)
@click.option(
    "--encoder-size",
    type=click.IntRange(1),
    help="Bring images to this size for the encoder, pixels; by default that of the real ones, "
    "within 64 and 224, or its own.",
)
@click.option(
    "--encoder-mean",
    metavar="NUMBER or R,G,B",
    callback=_channels,
    help="Subtract this from the channels, in [0, 1], for the encoder; by default its own, which "
    "a TorchScript file does not tell: 0.",
)
@click.option(
    "--encoder-std",
    metavar="NUMBER or R,G,B",
    callback=_channels,
    help="Divide the channels by this then; by default its own, or 1.",
)
@click.option("--fid", is_flag=True, help="Ask clean-fid for its published FID and KID as well.")
@click.option(
    "--fid-weights",
    metavar="FILE",
    type=click.Path(exists=True, dir_okay=False),
    help="Inception-v3 for --fid, where clean-fid has not put it itself.",
)
@click.option(
    "--worth-steps",
    type=click.IntRange(1),
    help="Updates of each training of the part worth; 1,000 or four epochs by default.",
)
@click.option(
    "--per-class", type=click.IntRange(2), help="Compare at most this many of each class."
)
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
    fid: bool,
    fid_weights: str | None,
    as_json: bool,
    **settings: Any,
) -> None:
    """Measure what CLONEs lack against REAL images.

    Writes report.html, a page that opens offline and also says what one synthetic image is worth,
    gap.json and gap.csv. A command that was killed goes on where it was, and one that asks for
    further parts adds them.

    \b
    --parts, and what each costs:
    cross-source   who classifies whose images rightly: one training a source and seed
    fidelity       Fréchet distance, precision, recall: one pass of the encoder
    memorisation   copies of real images: the encoder over every real image
    decomposition  appearance, quality, content: the same pass as fidelity
    worth          how many real images one replaces: several trainings a source and
                   seed, by far the dearest
    missing        real images the clone does not cover: the same pass as fidelity

    \b
    gendata gap fashion-mnist:train clone --test fashion-mnist:test --out gap
    gendata gap cifar10:train sgxl lsgm --name SG-XL --name LSGM --parts fidelity,missing --out gap
    """  # noqa: D301
    from gendata.gap import measure_gap

    named = dict(zip(_names(clones, names), clones, strict=True))
    numbers = range(seed, seed + seeds)
    clean_fid: bool | str = f"inception:{fid_weights}" if fid_weights else fid
    report = measure_gap(real, named, out, seeds=numbers, fid=clean_fid, **settings, **options)
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
    """The matrix and the main findings, for people."""
    from gendata.gap.report.reading import gap_summary

    matrix = [] if report.cross is None else [*_matrix(report), ""]
    advice = [
        f"{name}: {found.advice.first.action}. {found.advice.first.reason}"
        for name, found in report.clones.items()
        if found.advice
    ]
    return "\n".join([*matrix, gap_summary(report), *advice, f"report: {out / 'report.html'}"])


def _matrix(report: GapReport) -> list[str]:
    tested = [source.name for source in report.sources]
    width = max(map(len, [*tested, "trained on"]))
    lines = ["  ".join([f"{'trained on':<{width}}", *(f"{name:>8}" for name in tested)])]
    for source in report.trained:
        cells = (
            f"{100 * report.mean_accuracy(source.name, name):>{max(8, len(name))}.1f}"
            for name in tested
        )
        lines.append("  ".join([f"{source.name:<{width}}", *cells]))
    return lines
