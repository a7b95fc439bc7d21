"""`gendata filter`: the images of a clone, or of any set, that a classifier trusts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from gendata.cli.options import (
    batch_size_option,
    config_option,
    device_option,
    download_option,
    json_option,
    judging_options,
    options_given,
    seed_option,
    settings_option,
)
from gendata.cli.out_options import out_option
from gendata.cli.sample import echo_clone, load_filter, refuse_without_filter

__all__ = ["command"]


@click.command("filter")
@click.argument("images")
@out_option()
@judging_options(
    filter="Who judges; left out, a clone's stored probabilities do, and no classifier runs.",
    label="With --filter, whose label counts; agree by default.",
)
@click.option(
    "--per-class",
    type=click.IntRange(1),
    help="With --filter, most images of a class; by default as many as the largest class has.",
)
@seed_option
@batch_size_option()
@settings_option("image set", "split=train")
@download_option("With --filter, fetch images or a classifier that are not on this machine.")
@device_option
@config_option
@json_option
def command(
    images: str,
    out: Path,
    judge: str | None,
    threshold: float,
    label: str | None,
    judge_options: dict[str, Any],
    per_class: int | None,
    seed: int,
    batch_size: int,
    options: dict[str, Any],
    download: bool,
    device: str,
    as_json: bool,
) -> None:
    """Keep the images that a classifier trusts, as a clone.

    IMAGES is a clone (a folder, or a URL such as s3://bucket/clone) with stored probabilities,
    which --threshold makes stricter without a classifier; or, with --filter, any image set.

    \b
    Examples:
      gendata filter clone --threshold 0.95 --out sure
      gendata filter imagefolder:generated --filter torchscript:judge.pt \\
          --threshold 0.8 --out sure
    """  # noqa: D301
    from gendata.clone import filter_clone, filter_images

    keep = load_filter(judge, threshold, label, device, judge_options, download)
    if keep is None:
        refuse_without_filter(
            per_class=per_class,
            o=options,
            download=download,
            **options_given("seed", "batch_size", "device"),
        )
        filter_clone(images.removeprefix("clone:"), threshold, out)
    else:
        options |= {"seed": seed, "batch_size": batch_size, "download": download}
        filter_images(images, keep, out, per_class=per_class, **options)
    echo_clone(out, as_json)
