"""Common options: key=value pairs, configuration files, one-line errors."""

import click
import pytest
from click.testing import CliRunner

from gendata.cli import Commands
from gendata.cli.options import config_option, key_values, seed_option
from gendata.errors import GendataError


@click.command()
@config_option
@seed_option
@click.option("--per-class", type=int, default=1)
@click.option("-o", "options", multiple=True, callback=key_values)
def toy(seed, per_class, options):
    click.echo(f"{seed} {per_class} {options}")


class Toys(Commands):
    def get_command(self, ctx, cmd_name):
        return toy


@click.command(cls=Toys)
def group():
    pass


def run(*arguments):
    return CliRunner().invoke(group, ["toy", *arguments])


def test_values_are_read_as_json_where_they_can_be():
    result = run("-o", "psi=0.7", "-o", "name=a b", "-o", "flag=true", "-o", 'list=["x"]')
    assert result.output == "0 1 {'psi': 0.7, 'name': 'a b', 'flag': True, 'list': ['x']}\n"


def test_option_without_equals_sign_is_a_usage_error():
    result = run("-o", "psi")
    assert result.exit_code == 2
    assert "not of the form key=value; found 'psi'" in result.output
    assert result.output.count("\n") == 1


@pytest.mark.parametrize(
    ("name", "text"),
    [("c.yaml", "per-class: 9\nseed: 4\n"), ("c.toml", "per-class = 9\nseed = 4\n")],
)
def test_configuration_fills_defaults_and_the_command_line_wins(tmp_path, name, text):
    path = tmp_path / name
    path.write_text(text)
    assert run("--config", str(path)).output == "4 9 {}\n"
    assert run("--config", str(path), "--seed", "5").output == "5 9 {}\n"


def test_unknown_configuration_key_is_shown(tmp_path):
    path = tmp_path / "c.yaml"
    path.write_text("sed: 4\n")
    result = run("--config", str(path))
    assert result.exit_code == 2
    assert "found sed" in result.output


def test_error_is_one_line():
    error = GendataError("a is\nwrong", found="b", expected="c", do="do d")
    assert str(error) == "a is wrong; found b; expected c; do d"
