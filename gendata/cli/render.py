"""`gendata render`: labelled images of objects, rendered by Blender."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gendata.cli.options import (
    config_option,
    device_option,
    download_option,
    dry_run_option,
    echo_result,
    json_option,
    out_option,
    settings_option,
    slot_options,
)
from gendata.cli.sample import echo_clone

if TYPE_CHECKING:
    from gendata.samplers.blender import BlenderSampler

__all__ = ["command"]


@click.command("render")
@click.argument("assets")
@slot_options(batch_size=256, shard_size=512)
@click.option(
    "--resolution",
    type=click.IntRange(8),
    default=128,
    show_default=True,
    help="Side of the images, pixels.",
)
@click.option("--preset", metavar="NAME", help="What varies, and how; s2rda by default.")
@click.option(
    "--factors",
    type=click.Path(exists=True, dir_okay=False),
    help="YAML file of factors, in place of the preset's.",
)
@click.option(
    "--labels",
    default="",
    metavar="NAMES",
    help="Store these beside each image: mask,depth,normal,box,centre.",
)
@settings_option("renderer, or a factor", "samples=8 or object.scale=1..2")
@click.option("--shard", metavar="I/N", help="Draw the share I of N, from 0; for job arrays.")
@out_option()
@device_option
@download_option("Fetch photos for backgrounds that are not on this machine.")
@config_option
@dry_run_option
@json_option
def command(
    assets: str,
    per_class: int,
    resolution: int,
    preset: str | None,
    factors: str | None,
    labels: str,
    options: dict[str, Any],
    classes: tuple[str, ...],
    shard: str | None,
    out: Path,
    device: str,
    download: bool,
    dry_run: bool,
    as_json: bool,
    **settings: Any,
) -> None:
    """Render a balanced, labelled set of the objects in ASSETS into a folder.

    ASSETS is a folder of class folders with meshes, or "embedded". The same command continues a
    run that was killed. The folder is a clone, as `gendata sample` draws them; each row also
    holds every value that its image was made from.

    \b
    Examples:
      gendata render embedded --per-class 100 --labels mask --out rendered
      gendata render embedded --per-class 500 --resolution 64 --preset fixed \\
          -o camera.elevation=5..89 -o background.photos=fashion-mnist:train --out tilted
    """  # noqa: D301
    from gendata.clone import draw_clone
    from gendata.clone.ranks import parse_share
    from gendata.samplers import load_sampler

    share = parse_share(shard)
    named = {"preset": preset, "factors": factors, "labels": labels, "resolution": resolution}
    options |= {name: value for name, value in named.items() if value}
    sampler: Any = load_sampler(f"blender:{assets}", device=device, download=download, **options)
    chosen = classes or None
    try:
        if dry_run:
            _show_plan(sampler, per_class, out, chosen, settings, as_json)
            return
        clone = draw_clone(
            sampler,
            per_class,
            out,
            classes=chosen,
            shard=share,
            sampler_options=options,
            **settings,
        )
    finally:
        sampler.close()
        _tell_bad_meshes(sampler)
    if clone is None:
        result = {"out": str(out), "finished": False}
        echo_result(result, f"{out}: this share is done, others are not yet", as_json)
        return
    echo_clone(out, as_json)


def _show_plan(
    sampler: BlenderSampler,
    per_class: int,
    out: Path,
    classes: tuple[str, ...] | None,
    settings: dict[str, Any],
    as_json: bool,
) -> None:
    """Renders a few images, and says what all of them would take."""
    from gendata.clone.cost import estimate_cost
    from gendata.clone.units import byte_size, duration, short

    sizes = {"seed": settings["seed"], "shard_size": settings["shard_size"]}
    cost = estimate_cost(sampler, per_class, classes=classes, **sizes)
    text = (
        f"would render {cost['images']:,} images into {out}: {per_class} of each of "
        f"{len(classes or sampler.classes)} classes; about {cost['draws']:,} renderings at "
        f"{short(cost['images_per_second'])} a second ({cost['timed']} timed) in "
        f"{duration(cost['seconds'])}, and {byte_size(cost['bytes'])}; {sampler.engine}"
    )
    echo_result({"out": str(out), "engine": sampler.engine, **cost}, text, as_json)


def _tell_bad_meshes(sampler: BlenderSampler) -> None:
    """Lists on stderr what this process met and could not render."""
    for key, why in sorted(sampler.bad_meshes.items()):
        click.echo(f"not rendered: {key}: {why}", err=True)
