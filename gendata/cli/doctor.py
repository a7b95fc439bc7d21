"""`gendata doctor`: whether a run of `gendata sample` would work, and what it would take."""

from __future__ import annotations

import sys
from typing import Any

import click

from gendata.cli.options import (
    config_option,
    device_option,
    drawing_options,
    echo_result,
    json_option,
    with_flags,
)
from gendata.cli.sample import check_filter

__all__ = ["command"]


@click.command("doctor")
@click.argument("sampler")
@drawing_options
@click.option("--out", help="The clone's folder or URL; nothing is written.")
@click.option(
    "--jobs",
    type=click.IntRange(1),
    default=8,
    show_default=True,
    help="Machines or jobs to estimate the time for.",
)
@click.option(
    "--trial",
    type=click.IntRange(1),
    default=1024,
    show_default=True,
    help="Images to draw for the estimates, in whole batches; at most 30 seconds long.",
)
@device_option
@config_option
@json_option
def command(
    sampler: str,
    judge: str | None,
    threshold: float,
    label: str | None,
    judge_options: dict[str, Any],
    classes: tuple[str, ...],
    options: dict[str, Any],
    from_real: str | None,
    trust: bool,
    download: bool,
    device: str,
    as_json: bool,
    **settings: Any,
) -> None:
    """Check a run of `gendata sample` before it starts.

    It takes the same arguments, and looks at files and their digests, classes, the folder,
    acceptance, memory, time and disk. A few batches are drawn and thrown away. Exits with 1 where
    something would stop the run.

    \b
    Examples:
      gendata doctor embedded:fashion-gan --per-class 500 \\
          --filter embedded:fashion-classifier --out clone
      gendata doctor diffusers:DiT-XL-2-256 --per-class 12800 -o steps=50 --jobs 64 --json
    """  # noqa: D301
    from gendata.clone.doctor import Wish, examine_run
    from gendata.clone.source import Source

    options = with_flags(options, from_real, trust)
    check_filter(judge, threshold, label, judge_options)
    source = Source(sampler, options, judge, threshold, label, judge_options, device, download)
    result = examine_run(Wish(source, classes=classes or None, **settings))
    echo_result(result, _table(result), as_json)
    sys.exit(0 if result["ok"] else 1)


def _table(result: dict[str, Any]) -> str:
    lines = [
        f"{check['check']:<10}  {check['level']:<7}  {check['text']}" for check in result["checks"]
    ]
    verdict = "ready" if result["ok"] else "not ready"
    counts = f"problems: {result['problems']}, warnings: {result['warnings']}"
    return "\n".join([*lines, f"{verdict}; {counts}"])
