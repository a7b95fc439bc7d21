"""Options that mean the same in every command."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from gendata.errors import GendataError

__all__ = [
    "config_option",
    "device_option",
    "dry_run_option",
    "echo_result",
    "json_option",
    "key_values",
    "limit_option",
    "out_option",
    "seed_option",
]

F = TypeVar("F", bound=Callable[..., Any])


def out_option(default: str | None = None) -> Callable[[F], F]:
    """--out FOLDER: where the results go."""
    # Recent versions of click take an explicit default of None for a value that was given.
    kind: dict[str, Any] = (
        {"required": True} if default is None else {"default": default, "show_default": True}
    )
    return click.option(
        "--out",
        type=click.Path(file_okay=False, path_type=Path),
        help="Folder for the results.",
        **kind,
    )


seed_option = click.option(
    "--seed", type=click.IntRange(0), default=0, show_default=True, help="Seed of the run."
)
device_option = click.option(
    "--device", default="auto", show_default=True, help="auto, cpu, cuda, cuda:1, mps, …"
)
limit_option = click.option(
    "--limit", type=click.IntRange(1), default=None, help="Use at most this many items."
)
dry_run_option = click.option(
    "--dry-run", "-n", is_flag=True, help="Show what would be done, and stop."
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")


def key_values(_: click.Context, __: click.Parameter, pairs: tuple[str, ...]) -> dict[str, Any]:
    """Callback of repeated `-o key=value` options: values are read as JSON where they can be."""
    options: dict[str, Any] = {}
    for pair in pairs:
        key, separator, value = pair.partition("=")
        if not separator or not key:
            raise GendataError("an option is not of the form key=value", found=f"'{pair}'")
        try:
            options[key] = json.loads(value)
        except json.JSONDecodeError:
            options[key] = value
    return options


def _fill_defaults(context: click.Context, _: click.Parameter, path: Path | None) -> None:
    if path is None:
        return
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".toml":
        values = tomllib.loads(text)
    else:
        import yaml

        values = yaml.safe_load(text) or {}
    if not isinstance(values, dict):
        raise GendataError(
            f"{path} is not a configuration",
            found=type(values).__name__,
            expected="key: value lines",
        )
    known = {parameter.name for parameter in context.command.params}
    defaults = {str(key).replace("-", "_"): value for key, value in values.items()}
    unknown = sorted(set(defaults) - {str(name) for name in known})
    if unknown:
        raise GendataError(
            f"{path} names options that '{context.info_name}' does not have",
            found=", ".join(unknown),
            expected=f"some of {', '.join(sorted(str(name) for name in known))}",
        )
    context.default_map = {**(context.default_map or {}), **defaults}


config_option = click.option(
    "--config",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    is_eager=True,
    expose_value=False,
    callback=_fill_defaults,
    help="YAML or TOML file whose values become the defaults of these options.",
)


def echo_result(result: dict[str, Any], text: str, as_json: bool) -> None:
    """Prints a result to stdout: JSON for programs, text for people."""
    click.echo(json.dumps(result, indent=2) if as_json else text)
