"""`gendata train`: train a classifier on synthetic images, real ones, or both."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from gendata.cli.options import (
    config_option,
    device_option,
    dry_run_option,
    echo_result,
    json_option,
    key_values,
    seed_option,
    strict_option,
)
from gendata.cli.out_options import out_option

__all__ = ["command"]

# Defaults are shown here and live in gendata.training.settings, which imports torch: an option
# that is not given is not passed on, so that a preset can fill it. A test compares the two.
SETTINGS: tuple[tuple[str, Any, str, str], ...] = (
    ("network", str, "small-cnn", "Student: small-cnn, cifar-resnet20, wrn-28-10, timm:NAME, …"),
    ("init", str, "random", "random, imagenet or a weights file."),
    ("tap", str, "last", "Layer whose pooled output are the student's features."),
    ("epochs", click.IntRange(1), "40", "Passes over the first of the method's sources."),
    (
        "iterations",
        click.IntRange(1),
        "epochs passes",
        "Updates in all, which epochs then divide.",
    ),
    ("repeat", bool, "True", "false: one pass over the synthetic images, each once."),
    ("batch-size", click.IntRange(1), "128", "Images a step, all processes together."),
    ("real-batch-size", click.IntRange(1), "batch size", "Real images a step."),
    ("optimizer", click.Choice(["adam", "adamw", "sgd"]), "adam", "Optimiser."),
    ("learning-rate", click.FloatRange(0), "0.001", "Learning rate at the start."),
    ("schedule", click.Choice(["constant", "cosine", "asg", "csg"]), "cosine", "Its course."),
    ("weight-decay", click.FloatRange(0), "0.0", "Weight decay."),
    (
        "augment",
        click.Choice(["none", "crop", "flip", "crop-flip", "weak", "strong", "strong-blur"]),
        "crop-flip",
        "Augmentation.",
    ),
    ("views", click.IntRange(0), "0", "Fixed augmentations an image (0: fresh ones)."),
    ("size", click.IntRange(1), "as they are", "Side that images are resized to, pixels."),
    (
        "select",
        click.Choice(["last", "source-val", "target-val", "oracle"]),
        "last",
        "Which epoch's network counts.",
    ),
    (
        "batch-norm",
        click.Choice(["both", "freeze-real", "freeze"]),
        "both",
        "Which batches use and keep batch normalisation's running statistics.",
    ),
    ("clip", click.FloatRange(0), "no limit", "Greatest length of an update's gradient."),
    ("precision", click.Choice(["no", "fp16", "bf16"]), "no", "Mixed precision."),
)


def settings_options(function: Any) -> Any:
    """Adds one option for each training setting."""
    for name, kind, default, text in reversed(SETTINGS):
        shown = f"{text}  [default: {default}]"
        option = click.option(f"--{name}", type=kind, default=None, help=shown)
        function = option(function)
    return function


@click.command("train", epilog="A run that was killed goes on with the same command.")
@click.option("--synthetic", metavar="REF", help="Generated images.")
@click.option("--real", metavar="REF", help="Real images to train on.")
@click.option("--test", metavar="REF", help="Real images that judge the result.")
@click.option("--validation", metavar="REF", help="Real images that may choose the epoch.")
@click.option(
    "--method",
    default="fake",
    show_default=True,
    help="pg, rg, pg+rg, aug, dann, …; gendata list methods names all.",
)
@click.option("--preset", help="small (these defaults) or paper (ResNet-50 at 224 pixels).")
@settings_options
@click.option(
    "-o",
    "method_options",
    metavar="KEY=VALUE",
    multiple=True,
    callback=key_values,
    help="Option of the method, such as pg_weight=1.",
)
@click.option("--download", is_flag=True, help="Fetch what is not on this machine.")
@strict_option
@click.option("--tensorboard", is_flag=True, help="Write TensorBoard files as well.")
@out_option()
@seed_option
@device_option
@dry_run_option
@json_option
@config_option
def command(
    out: Path,
    method: str,
    preset: str | None,
    method_options: dict[str, Any],
    dry_run: bool,
    as_json: bool,
    **given: Any,
) -> None:
    """Train a classifier on synthetic images, real ones, or both.

    REF is a path, or a known set such as fashion-mnist:train. What a method needs, it asks for.

    \b
    Examples:
      gendata train --synthetic clone --test fashion-mnist:test --method pg --out run
      gendata train --synthetic clone --real few --method pg+rg --out run -o lambda1=1
    """
    from gendata.training import train
    from gendata.training.run import resolve
    from gendata.training.sources import open_roles

    images = {name: given.pop(name) for name in ("synthetic", "real", "test", "validation")}
    flags = {name: given.pop(name) for name in ("device", "download", "strict", "tensorboard")}
    settings = {name: value for name, value in given.items() if value is not None}
    options = {**settings, **method_options}
    if dry_run:
        resolved, built, own = resolve(method, preset, options)
        access = {name: flags[name] for name in ("download", "strict")}
        opened = open_roles(built.stages, images, resolved, **access)
        counts = {role: f"{each.name}, {len(each)} images" for role, each in opened.items()}
        plan = {"method": method, **images, **counts, **vars(resolved), **own}
        echo_result(plan, "\n".join(f"{name}: {value}" for name, value in plan.items()), as_json)
        return
    result = train(method=method, preset=preset, out=out, **images, **flags, **options)
    echo_result(result.to_json(), f"{result}\nweights and metrics in {out}", as_json)
