"""Options that mean the same in every command."""

from __future__ import annotations

import json
import os
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from gendata.cli.out_options import required_unless
from gendata.errors import GendataError

__all__ = [
    "batch_size_option",
    "config_option",
    "device_option",
    "download_option",
    "drawing_options",
    "dry_run_option",
    "echo_result",
    "json_option",
    "judging_options",
    "key_values",
    "limit_option",
    "options_given",
    "seed_option",
    "settings_option",
    "slot_options",
    "strict_option",
    "with_flags",
]

# To a sampler the names of all its classes, to `sample` a choice among them.
SHARED = {"classes"}

F = TypeVar("F", bound=Callable[..., Any])


seed_option = click.option(
    "--seed", type=click.IntRange(0), default=0, show_default=True, help="Seed of the run."
)
device_option = click.option(
    "--device", default="auto", show_default=True, help="auto, cpu, cuda, cuda:1, mps, …"
)
shard_option = click.option(
    "--shard", metavar="I/N", help="Draw the share I of N, from 0; for job arrays."
)
cluster_option = click.option(
    "--cluster", type=click.Choice(["ray"]), help="Draw on this kind of cluster."
)
limit_option = click.option(
    "--limit", type=click.IntRange(1), default=None, help="Use at most this many items."
)
dry_run_option = click.option(
    "--dry-run", "-n", is_flag=True, help="Show what would be done, and stop."
)
strict_option = click.option(
    "--strict", is_flag=True, help="Stop at damaged images, which are else left out and counted."
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")


def added(*options: Callable[[Any], Any]) -> Callable[[F], F]:
    """Adds several options to a command, which lists them in this order."""

    def add(function: F) -> F:
        for option in reversed(options):
            function = option(function)
        return function

    return add


def download_option(help: str) -> Callable[[F], F]:
    """--download: the consent without which nothing is fetched."""
    return click.option("--download", is_flag=True, help=help)


# Options of a sampler that deserve a name of their own.
sampler_flags = added(
    click.option(
        "--from-real", metavar="REF", help="Real photos that a text-to-image model starts from."
    ),
    click.option("--trust", is_flag=True, help="Run the code that python:MODULE:FUNCTION names."),
    download_option("Fetch a generator or a classifier that is not on this machine."),
)


def with_flags(options: dict[str, Any], from_real: str | None, trust: bool) -> dict[str, Any]:
    """Adds what `sampler_flags` gave to the options of the sampler."""
    flags = {"from_real": from_real, "trust": trust}
    return {**options, **{name: value for name, value in flags.items() if value}}


def key_values(
    context: click.Context, parameter: click.Parameter, pairs: tuple[str, ...]
) -> dict[str, Any]:
    """Callback of repeated `-o key=value` options: values are read as JSON where they can be.

    What the command has an option for is refused: one of the two would win unseen.
    """
    own = _by_option(context.command)
    options: dict[str, Any] = {}
    for pair in pairs:
        key, separator, value = pair.partition("=")
        if not separator or not key:
            raise GendataError("an option is not of the form key=value", found=f"'{pair}'")
        name = key.replace("-", "_")
        if name in own.keys() - SHARED:
            raise GendataError(
                f"'{context.info_name}' has an option of its own for {key}",
                found=f"{parameter.opts[0]} {pair}",
                do=f"use {max(own[name].opts, key=len)}",
            )
        try:
            options[key] = json.loads(value)
        except json.JSONDecodeError:
            options[key] = value
    return options


def batch_size_option(default: int = 64) -> Callable[[F], F]:
    """--batch-size."""
    return click.option(
        "--batch-size",
        type=click.IntRange(1),
        default=default,
        show_default=True,
        help="Images a batch.",
    )


def settings_option(of: str, example: str) -> Callable[[F], F]:
    """-o KEY=VALUE: an option of what the command opens."""
    return click.option(
        "-o",
        "options",
        multiple=True,
        callback=key_values,
        metavar="KEY=VALUE",
        help=f"An option of the {of}, such as {example}; may be repeated.",
    )


def judging_options(
    filter: str = "Keep what this classifier trusts.",
    threshold: float | None = None,
    label: str = "Whose label counts; agree by default.",
) -> Callable[[F], F]:
    """--filter, --threshold, --label and --filter-option: who judges images, and how.

    Args:
        filter: the first one's help.
        threshold: the default; None: it must be given.
        label: help of --label.
    """
    given: dict[str, Any] = (
        {"required": True} if threshold is None else {"default": threshold, "show_default": True}
    )
    return added(
        click.option("--filter", "judge", metavar="CLASSIFIER", help=filter),
        click.option(
            "--threshold",
            type=float,
            help="The largest probability must lie above this; between 0 and 1.",
            **given,
        ),
        click.option(
            "--label", type=click.Choice(["agree", "condition", "classifier"]), help=label
        ),
        click.option(
            "--filter-option",
            "judge_options",
            multiple=True,
            callback=key_values,
            metavar="KEY=VALUE",
            help="An option of the classifier, such as input_size=64; may be repeated.",
        ),
    )


def per_class_option(unless: str | None = None) -> Callable[[F], F]:
    """--per-class: required, unless an eager option is given."""
    return click.option(
        "--per-class",
        type=click.IntRange(1),
        required=unless is None,
        callback=required_unless(unless),
        help="Images of each class.",
    )


def filling_options(batch_size: int = 64, shard_size: int = 2048) -> Callable[[F], F]:
    """How a clone's slots are chosen and filled.

    Args:
        batch_size: the default.
        shard_size: the default.
    """
    return added(
        seed_option,
        batch_size_option(batch_size),
        click.option(
            "--shard-size",
            type=click.IntRange(1),
            default=shard_size,
            show_default=True,
            help="Images a file.",
        ),
        click.option(
            "--attempts",
            type=click.IntRange(1),
            default=100,
            show_default=True,
            help="Most attempts per image, before its class counts as impossible to fill.",
        ),
        click.option("--short", is_flag=True, help="Leave such a class short, rather than stop."),
        click.option("--extend", is_flag=True, help="Allow more per class than the folder holds."),
        click.option(
            "--classes",
            multiple=True,
            metavar="CLASS",
            help="Draw this class, by name or label; repeat.",
        ),
    )


def slot_options(batch_size: int, shard_size: int, unless: str | None = None) -> Callable[[F], F]:
    """The options that say which slots a clone has, with defaults of their own.

    Args:
        batch_size: the default.
        shard_size: the default.
        unless: an eager option; where that is given, no clone is drawn and none is required.
    """
    return added(per_class_option(unless), filling_options(batch_size, shard_size))


# What decides a clone, apart from where it goes and who draws which part: `sample` draws with
# these, and `doctor` examines them beforehand.
drawing_options = added(
    per_class_option(),
    judging_options(
        threshold=0.8,
        label="Whose label counts; agree where the sampler knows classes, classifier elsewhere.",
    ),
    filling_options(),
    settings_option("sampler", "steps=50"),
    sampler_flags,
)


def _by_option(command: click.Command) -> dict[str, click.Parameter]:
    """Parameters by the names of their options, without dashes: `per_class`, `o`."""
    return {
        option.lstrip("-").replace("-", "_"): parameter
        for parameter in command.params
        for option in parameter.opts
    }


def _fill_defaults(context: click.Context, _: click.Parameter, path: Path | None) -> None:
    if path is None:
        return
    known: dict[str, click.Parameter] = {
        **{str(parameter.name): parameter for parameter in context.command.params},
        **_by_option(context.command),
    }
    values = {str(key).replace("-", "_"): value for key, value in _read_values(path).items()}
    unknown = sorted(values.keys() - known.keys())
    if unknown:
        raise GendataError(
            f"{path} names options that '{context.info_name}' does not have",
            found=", ".join(unknown),
            expected=f"some of {', '.join(sorted(known))}",
        )
    defaults = {known[key].name: _as_default(known[key], value) for key, value in values.items()}
    context.default_map = {**(context.default_map or {}), **defaults}


def _read_values(path: Path) -> dict[str, Any]:
    """Reads a YAML or TOML file of `key: value` lines."""
    import yaml

    try:
        text = path.read_text(encoding="utf-8")
        values = tomllib.loads(text) if path.suffix == ".toml" else yaml.safe_load(text) or {}
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise GendataError(f"{path} cannot be read", found=error) from error
    if not isinstance(values, dict):
        raise GendataError(
            f"{path} is not a configuration",
            found=type(values).__name__,
            expected="key: value lines",
        )
    return values


def _as_default(parameter: click.Parameter, value: Any) -> Any:
    """Writes a configured value as the command line would give it."""
    if isinstance(value, dict) and parameter.callback is key_values:
        return [f"{key}={json.dumps(each)}" for key, each in value.items()]
    if getattr(parameter, "multiple", False) and not isinstance(value, list):
        return [value]
    return value


config_option = click.option(
    "--config",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    is_eager=True,
    expose_value=False,
    callback=_fill_defaults,
    help="YAML or TOML file whose values become the defaults of these options.",
)


def echo_result(result: dict[str, Any], text: str, as_json: bool) -> None:
    """Prints a result to stdout: JSON for programs, text for people; once, whatever the ranks."""
    if os.environ.get("RANK", "0") == "0":
        click.echo(json.dumps(result, indent=2) if as_json else text)


def options_given(*names: str) -> dict[str, bool]:
    """Says of the present command's parameters whether somebody gave them a value."""
    context = click.get_current_context()
    default = click.core.ParameterSource.DEFAULT
    return {name: context.get_parameter_source(name) is not default for name in names}
