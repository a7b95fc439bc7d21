"""`gendata bench STUDY`: run a study and print its tables."""

from __future__ import annotations

import click

from gendata.cli.study_command import study_command
from gendata.errors import GendataError

__all__ = ["command"]


class Studies(click.Group):
    """The registered studies, a plugin's too: each is a command with its function's options."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Lists the studies, sorted."""
        from gendata.registry import studies

        return studies.names()

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command:
        """Builds one study's command.

        Raises:
            GendataError: no such study; where it is a command, that one is named.
        """
        from gendata.registry import studies

        commands = ctx.find_root().command
        is_command = isinstance(commands, click.Group) and cmd_name in commands.list_commands(ctx)
        if is_command and cmd_name not in studies.names():
            raise GendataError(
                f"unknown study '{cmd_name}'",
                expected=f"one of {', '.join(studies.names())}",
                do=f"it is a command: gendata {cmd_name}",
            )
        return study_command(cmd_name, studies.get(cmd_name))


@click.command("bench", cls=Studies)
def command() -> None:
    """Run a study and print its tables.

    \b
    Examples:
      gendata bench low-shot --help
      gendata bench low-shot --preset fashion-mnist --out study
      gendata bench speed --only drawing,loading --json
    """
