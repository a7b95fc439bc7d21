"""The `gendata` command: one file a command, each a thin shell around one library call."""

from __future__ import annotations

import errno
import importlib
import pkgutil
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

import click

from gendata.errors import GendataError

__all__ = ["main"]

NOT_COMMANDS = {"options", "out_options", "study_command"}


class Commands(click.Group):
    """Commands are the modules beside this file; each defines `command`."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Lists the modules, sorted."""
        names = (module.name for module in pkgutil.iter_modules(__path__))
        return sorted(name.replace("_", "-") for name in names if name not in NOT_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Imports one command's module."""
        if cmd_name not in self.list_commands(ctx):
            return None
        return importlib.import_module(f"{__name__}.{cmd_name.replace('-', '_')}").command

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Reads what stands before the command; nothing at all asks for help."""
        if not args:
            return super().parse_args(ctx, args)
        with one_line_errors():
            return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> object:
        """Runs a command; a user's mistake becomes one line and exit status 2."""
        with one_line_errors(), one_line_warnings():
            return super().invoke(ctx)


@contextmanager
def one_line_warnings() -> Iterator[None]:
    """Tells a warning in one line, without the line of code that it came from."""
    usual = warnings.formatwarning

    def in_one_line(
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        line: str | None = None,
    ) -> str:
        if category is UserWarning:
            return f"gendata: {' '.join(str(message).split())}\n"
        return usual(message, category, filename, lineno, line)

    warnings.formatwarning = in_one_line
    try:
        yield
    finally:
        warnings.formatwarning = usual


@contextmanager
def one_line_errors() -> Iterator[None]:
    """Tells a mistake in one line and exits: with 2, or with 1 where the machine is at fault."""
    try:
        yield
    except GendataError as error:
        _stop(str(error), 2)
    except click.UsageError as error:
        message = " ".join(error.format_message().split()).rstrip(".")
        _stop(f"{message}; see {_words(error.ctx)} --help", 2)
    except OSError as error:
        if error.errno == errno.EPIPE:  # whoever read our output has left: click ends quietly
            raise
        _stop(" ".join(str(error).split()), 1)


def _words(context: click.Context | None) -> str:
    """What a person types to reach a command: `gendata bench speed`."""
    names: list[str] = []
    while context is not None and context.parent is not None:
        names.insert(0, str(context.info_name))
        context = context.parent
    return " ".join(["gendata", *names])


def _stop(message: str, status: int) -> NoReturn:
    click.echo(f"gendata: {message}", err=True)
    sys.exit(status)


@click.command(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="gendata")
def main() -> None:
    """Draw labelled images from a generator, measure what they lack, train on them.

    Every command's --help ends with examples; gendata list names what there is to draw from and
    to train with.

    \b
    gendata quickstart                                 the whole story, offline, in minutes
    gendata sample embedded:fashion-gan --per-class 100 --out clone
    gendata render embedded --per-class 20 --out rendered
    gendata gap fashion-mnist:train clone --out gap
    gendata train --synthetic clone --test fashion-mnist:test --method pg --out run
    """
