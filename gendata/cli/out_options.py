"""Where a command writes: a folder, or for clones also a URL."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from gendata.errors import GendataError

__all__ = ["check_writable", "clone_out_option", "out_option", "required_unless"]

F = TypeVar("F", bound=Callable[..., Any])


def out_option(default: str | None = None, unless: str | None = None) -> Callable[[F], F]:
    """--out FOLDER: where the results go.

    Args:
        default: the default; None: it must be given.
        unless: an eager option; where that is given, this need not be.
    """
    # Recent versions of click take an explicit default of None for a value that was given.
    kind: dict[str, Any] = (
        {"required": unless is None} if default is None else {"default": default}
    )

    def check(context: click.Context, parameter: click.Parameter, path: Path) -> Path | None:
        given = required_unless(unless)(context, parameter, path)
        return check_writable(context, parameter, path) if given else None

    return click.option(
        "--out",
        type=click.Path(file_okay=False, path_type=Path),
        help="Folder for the results.",
        callback=check,
        show_default=default is not None,
        **kind,
    )


def clone_out_option(unless: str | None = None) -> Callable[[F], F]:
    """--out FOLDER or URL: where a clone goes.

    Args:
        unless: an eager option; where that is given, this need not be.
    """

    def check(
        context: click.Context, parameter: click.Parameter, value: str | None
    ) -> Path | str | None:
        given = required_unless(unless)(context, parameter, value)
        if given is None or _is_url(given):
            return given
        folder = click.Path(file_okay=False, path_type=Path)
        return check_writable(context, parameter, folder.convert(given, parameter, context))

    return click.option(
        "--out",
        required=unless is None,
        callback=check,
        help="Folder for the results, or a URL such as s3://bucket/clone.",
    )


def _is_url(value: str) -> bool:
    if "://" not in value:
        return False
    from gendata.images.places import is_url

    return is_url(value)


def required_unless(other: str | None) -> Callable[[click.Context, click.Parameter, Any], Any]:
    """Makes a callback that refuses a missing value, unless an eager option is given."""

    def check(context: click.Context, parameter: click.Parameter, value: Any) -> Any:
        if value is None and (other is None or not context.params.get(other)):
            raise click.MissingParameter(ctx=context, param=parameter)
        return value

    return check


def check_writable(_: click.Context, __: click.Parameter, path: Path) -> Path:
    """Refuses a folder that can be neither made nor written, before any work is done."""
    present = next(each for each in (path, *path.absolute().parents) if os.path.exists(each))
    if not present.is_dir() or not os.access(present, os.W_OK):
        raise GendataError(
            f"cannot write to {path}",
            found=f"{present}, which is {'read-only' if present.is_dir() else 'a file'}",
            do="choose another path",
        )
    return path
