"""The `gendata` command: one file a command, each a thin shell around one library call."""

from __future__ import annotations

import importlib
import pkgutil
import sys

import click

from gendata.errors import GendataError

__all__ = ["main"]

NOT_COMMANDS = {"options"}


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

    def invoke(self, ctx: click.Context) -> object:
        """Runs a command; a user's mistake becomes one line and exit status 2."""
        try:
            return super().invoke(ctx)
        except GendataError as error:
            click.echo(f"gendata: {error}", err=True)
            sys.exit(2)


@click.command(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="gendata")
def main() -> None:
    """Draw labelled images from a generator, measure what they lack, train on them.

    \b
    gendata quickstart                                 the whole story, offline, in minutes
    gendata sample embedded:fashion-gan --per-class 100 --out clone
    gendata gap fashion-mnist:train clone --out gap
    gendata train --synthetic clone --test fashion-mnist:test --method pg --out run
    """
