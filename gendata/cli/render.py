"""`gendata render`: labelled images of objects, rendered by Blender."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gendata.cli.options import (
    cluster_option,
    config_option,
    download_option,
    dry_run_option,
    echo_result,
    json_option,
    options_given,
    settings_option,
    shard_option,
    slot_options,
)
from gendata.cli.out_options import check_writable, clone_out_option
from gendata.cli.sample import echo_clone, echo_share, read_share
from gendata.errors import GendataError

if TYPE_CHECKING:
    from gendata.samplers.blender import BlenderSampler

__all__ = ["command"]

COLUMNS = 8
FOR_CLONES = (
    *("per_class", "out", "labels", "shard", "cluster"),
    *("dry_run", "extend", "short", "attempts"),
)


def _check_sheet(context: click.Context, parameter: click.Parameter, out: Path) -> Path:
    if out is not None:
        check_writable(context, parameter, out.absolute().parent)
    return out


@click.command("render")
@click.argument("assets")
@click.option(
    "--sheet",
    type=click.Path(path_type=Path),
    is_eager=True,
    callback=_check_sheet,
    metavar="FILE",
    help="Draw no clone, but a .png or .jpg that shows what each factor does.",
)
@slot_options(batch_size=256, shard_size=512, unless="sheet")
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
    metavar="FILE",
    help="YAML file of factors, in place of the preset's.",
)
@click.option(
    "--labels",
    default="",
    metavar="NAMES",
    help="Store these beside each image: mask,depth,normal,box,centre.",
)
@settings_option("renderer, or a factor", "samples=8 or object.scale=1..2")
@shard_option
@cluster_option
@clone_out_option(unless="sheet")
@click.option(
    "--device",
    default="auto",
    show_default=True,
    help="auto, cpu, or as Cycles calls it: cuda, optix, hip, metal or oneapi; cuda:1 of several.",
)
@download_option("Fetch photos for backgrounds that are not on this machine.")
@config_option
@dry_run_option
@json_option
def command(
    assets: str,
    sheet: Path | None,
    per_class: int,
    resolution: int,
    preset: str | None,
    factors: str | None,
    labels: str,
    options: dict[str, Any],
    classes: tuple[str, ...],
    shard: str | None,
    cluster: str | None,
    out: Path | str,
    device: str,
    download: bool,
    dry_run: bool,
    as_json: bool,
    **settings: Any,
) -> None:
    """Render a balanced, labelled set of the objects in ASSETS.

    ASSETS is a folder of class folders with meshes, or "embedded". The set is a clone, as
    `gendata sample` draws them; each row also holds every value that its image was made
    from. The same command continues a run that was killed.

    \b
    Examples:
      gendata render embedded --per-class 100 --labels mask --out rendered
      gendata render embedded --per-class 500 --resolution 64 --preset fixed \\
          -o camera.elevation=5..89 -o background.photos=fashion-mnist:train --out tilted
      gendata render embedded --classes car -o object.scale=1..2 --sheet factors.png
    """  # noqa: D301
    from gendata.clone import draw_clone
    from gendata.clone.source import Source
    from gendata.samplers import load_sampler

    if sheet is not None:
        _check_no_clone(sheet, classes)
    share = read_share(shard, cluster)
    named = {"preset": preset, "factors": factors, "labels": labels, "resolution": resolution}
    options |= {name: value for name, value in named.items() if value}
    reference, chosen = f"blender:{assets}", classes or None
    if cluster is not None and not dry_run:
        source = Source(reference, options, device=device, download=download)
        draw_clone(source, per_class, out, classes=chosen, cluster=cluster, **settings)
        echo_clone(Path(out), as_json)
        return
    sampler: Any = load_sampler(reference, device=device, download=download, **options)
    try:
        if sheet is not None:
            _draw_sheet(sampler, sheet, chosen, settings["seed"], as_json)
            return
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
    echo_share(out, share, clone is not None, as_json)


def _check_no_clone(sheet: Path, classes: tuple[str, ...]) -> None:
    from gendata.images.sheet import check_sheet_file

    given = [name for name, is_given in options_given(*FOR_CLONES).items() if is_given]
    if given:
        names = ", ".join(f"--{name.replace('_', '-')}" for name in given)
        raise GendataError("--sheet draws no clone", found=names, do="leave one of the two out")
    if len(classes) > 1:
        raise GendataError("a sheet shows one class", found=", ".join(classes))
    check_sheet_file(sheet)


def _draw_sheet(
    sampler: BlenderSampler,
    sheet: Path,
    classes: tuple[str, ...] | None,
    seed: int,
    as_json: bool,
) -> None:
    """Shows what each factor does to the first images of a class."""
    from gendata.clone.plan import choose_classes
    from gendata.images.sheet import draw_sheet, write_sheet
    from gendata.render.sheet import factor_rows
    from gendata.seeds import hash_seed

    label = choose_classes(sampler.classes, classes).chosen[0]
    seeds = [hash_seed(seed, label, ordinal, 0) for ordinal in range(COLUMNS)]
    rows = factor_rows(partial(sampler.parameters, label), sampler.render, seeds)
    name = sampler.classes[label]
    write_sheet(draw_sheet(rows, f"{name} · {sampler.factors.name} · seed {seed}"), sheet)
    result = {"sheet": str(sheet), "class": name, "rows": [row.name for row in rows]}
    text = f"{len(rows)} rows of {COLUMNS} images of class '{name}' in {sheet}"
    echo_result(result, text, as_json)


def _show_plan(
    sampler: BlenderSampler,
    per_class: int,
    out: Path | str,
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
