"""`gendata verify`: whether a clone is whole and can be drawn again."""

from __future__ import annotations

import sys
from typing import Any

import click

from gendata.cli.options import (
    config_option,
    device_option,
    download_option,
    echo_result,
    json_option,
    settings_option,
)
from gendata.errors import GendataError

__all__ = ["command"]


@click.command("verify")
@click.argument("clone")
@click.option(
    "--count",
    type=click.IntRange(0),
    default=16,
    show_default=True,
    help="Rows to draw again, chosen at random; 0: none, no sampler is loaded.",
)
@click.option("--all", "every", is_flag=True, help="Draw every row again.")
@click.option(
    "--sampler", metavar="SAMPLER", help="Where its sampler lies now, KIND:PATH, if it has moved."
)
@settings_option("sampler, in place of one that the clone records", "factors=new/place.yaml")
@click.option("--trust", is_flag=True, help="Run the code that the recorded sampler names.")
@download_option("Fetch the recorded sampler if it is not on this machine.")
@device_option
@config_option
@json_option
def command(
    clone: str,
    count: int,
    every: bool,
    sampler: str | None,
    options: dict[str, Any],
    trust: bool,
    download: bool,
    device: str,
    as_json: bool,
) -> None:
    """Check every row of a clone, and draw some again.

    CLONE is a folder, or a URL such as s3://bucket/clone. Rows are drawn again by the sampler that
    the clone records.

    Exits with 1 where something is wrong, a value differs by more than one grey level, or what the
    sampler says of an image has changed.

    \b
    Examples:
      gendata verify clone --count 500 --device cuda --json
      gendata verify clone --sampler stylegan:moved/afhq.pkl
    """  # noqa: D301
    from gendata.clone import verify_clone

    if count == 0 and not every and (sampler or options):
        raise GendataError("--sampler and -o would be ignored", do="leave --count 0 out")
    result = verify_clone(
        clone,
        sampler=sampler,
        options=options,
        count=count,
        all=every,
        device=device,
        trust=trust,
        download=download,
    )
    echo_result(result, _text(clone, result), as_json)
    sys.exit(0 if result["ok"] else 1)


def _text(clone: str, result: dict[str, Any]) -> str:
    lines = [f"{clone}: {result['rows']:,} rows, {result['problem_count']} problems"]
    lines += [f"  {problem}" for problem in result["problems"]]
    redrawn = result["redrawn"]
    if redrawn is not None:
        lines.append(
            f"  {redrawn['rows']} drawn again: {redrawn['identical_images']:.2%} of images and "
            f"{redrawn['identical_values']:.4%} of values identical, largest difference "
            f"{redrawn['largest_difference']} of 255"
        )
        for name, count in redrawn.get("changed_columns", {}).items():
            lines.append(f"  column {name}: {count} rows differ")
    return "\n".join([*lines, "ok" if result["ok"] else "not ok"])
