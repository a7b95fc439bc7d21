"""A study's function as a command: its keywords are the options, its docstring is their help."""

from __future__ import annotations

import inspect
import re
import types
import typing
from collections.abc import Callable, Mapping, Sequence
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
    limit_option,
    seed_option,
    strict_option,
)
from gendata.cli.out_options import check_writable

__all__ = ["study_command"]

# Options that are written alike in every command; a study's docstring says what they do there.
COMMON: dict[str, Callable[[Any], Any]] = {
    "seed": seed_option,
    "device": device_option,
    "limit": limit_option,
    "dry_run": dry_run_option,
    "strict": strict_option,
}


def study_command(name: str, study: Callable[..., Any]) -> click.Command:
    """Builds the command of a study.

    Args:
        name: of the command.
        study: its keywords have annotations and defaults; its docstring follows Google's style.
            A keyword `out` is the folder of the results, "study" unless it is given; what stands
            for further keywords (`**options`) is given by `-o KEY=VALUE`.
    """
    summary, helps = _documentation(inspect.getdoc(study) or "")
    kinds = typing.get_type_hints(study)

    @config_option
    @json_option
    def run(as_json: bool, further: dict[str, Any] | None = None, **options: Any) -> None:
        result = study(**options, **(further or {}))
        echo_result(result.data, result.text(), as_json)

    for each in reversed(list(inspect.signature(study).parameters.values())):
        text = helps.get(each.name, "")
        if each.name in COMMON:
            run = COMMON[each.name](run)
            _explain(run, text)
        else:
            run = _option(each, kinds.get(each.name, str), text)(run)
    return click.command(name, help=summary)(run)


def _explain(function: Any, text: str) -> None:
    """Gives the option that was added last the study's own help, where the study has some."""
    if text:
        function.__click_params__[-1].help = _sentence(text)


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


def _documentation(text: str) -> tuple[str, dict[str, str]]:
    """Splits a docstring into what stands before its sections, and its arguments' texts."""
    before, _, after = text.partition("\nArgs:\n")
    arguments = re.split(r"\n\n\S", after, maxsplit=1)[0]
    found = re.findall(r"^    \**(\w+): (.*(?:\n {8,}.*)*)", arguments, flags=re.MULTILINE)
    helps = {name: " ".join(text.split()) for name, text in found}
    return re.split(r"\n\n(?=Raises:|Returns:)", before)[0].strip(), helps


def _option(parameter: inspect.Parameter, kind: Any, text: str) -> Callable[[Any], Any]:
    """One click option: `--per-class`, or `-o KEY=VALUE` where the study takes a mapping."""
    flag = f"--{parameter.name.replace('_', '-')}"
    sentence = _sentence(text)
    if parameter.name == "out":
        where = click.Path(file_okay=False, path_type=Path)
        return click.option(
            flag,
            type=where,
            default="study",
            show_default=True,
            help=sentence,
            callback=check_writable,
        )
    further = parameter.kind is parameter.VAR_KEYWORD
    if further or _is(kind, Mapping):
        return click.option(
            flag,
            "-o",
            "further" if further else parameter.name,
            multiple=True,
            callback=key_values,
            metavar="KEY=VALUE",
            help=sentence,
        )
    if kind is bool:
        return click.option(flag, is_flag=True, help=sentence)
    default = None if parameter.default is parameter.empty else parameter.default
    if _is(kind, Sequence):
        several = f"{sentence.rstrip('.')}; repeat it, or join several by commas."
        return click.option(
            flag,
            parameter.name,
            type=Several(_value_type(kind)),
            multiple=True,
            help=several,
            callback=lambda _, __, given: (
                tuple(each for part in given for each in part) or default
            ),
        )
    return click.option(
        flag,
        parameter.name,
        type=_value_type(kind),
        default=default,
        show_default=default is not None,
        help=sentence,
    )


class Several(click.ParamType):
    """Values joined by commas, each of one type."""

    def __init__(self, each: Any) -> None:
        self.each = click.types.convert_type(each)
        self.name = self.each.name

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[Any, ...]:
        """Converts every part."""
        parts = [part for part in value.split(",") if part] if isinstance(value, str) else [value]
        return tuple(self.each.convert(part, param, ctx) for part in parts)


def _parts(kind: Any) -> tuple[Any, ...]:
    """The members of a union, or the type itself."""
    union = typing.get_origin(kind) in (typing.Union, types.UnionType)
    return typing.get_args(kind) if union else (kind,)


def _is(kind: Any, wanted: type) -> bool:
    return any((typing.get_origin(part) or part) is wanted for part in _parts(kind))


def _value_type(kind: Any) -> Any:
    """What click shall make of one value."""
    for part in _parts(kind):
        if typing.get_origin(part) is typing.Literal:
            return click.Choice(typing.get_args(part))
        if _is(part, Sequence):
            inner = [each for each in typing.get_args(part) if each is not Ellipsis]
            return None if not inner else _value_type(inner[0])
    for plain in (int, float, Path):
        if plain in _parts(kind):
            return click.Path(path_type=Path) if plain is Path else plain
    return None
