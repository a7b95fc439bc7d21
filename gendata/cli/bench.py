"""`gendata bench STUDY`: run a study and print its tables."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import click

from gendata.cli.options import config_option, echo_result, json_option, key_values, out_option
from gendata.errors import GendataError

__all__ = ["command"]


@click.command("bench")
@click.argument("study")
@out_option(default="study")
@click.option(
    "-o", "options", multiple=True, callback=key_values, help="An option of the study, key=value."
)
@config_option
@json_option
def command(study: str, out: Path, options: dict[str, Any], as_json: bool) -> None:
    """Run a study and print its tables; `gendata list studies` names them all.

    \b
    Examples:
      gendata bench speed
      gendata bench speed -o only=drawing,loading --json
    """
    from gendata.registry import studies

    run = studies.get(study)
    known = set(inspect.signature(run).parameters) - {"out"}
    unknown = sorted(set(options) - known)
    if unknown:
        raise GendataError(
            f"the study '{study}' has no option {', '.join(unknown)}",
            expected=f"some of {', '.join(sorted(known))}",
        )
    result = run(out=out, **options)
    echo_result(result.data, result.text(), as_json)
