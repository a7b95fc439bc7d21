"""Common options: key=value pairs, configuration files, one-line errors."""

import json

import click
import pytest
from click.testing import CliRunner

from gendata.cli import Commands, main
from gendata.cli.options import config_option, key_values, seed_option
from gendata.cli.out_options import out_option
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


@click.command("wide")
@config_option
@click.option("--filter", "judge")
@click.option("--name", "names", multiple=True)
@click.option("-o", "options", multiple=True, callback=key_values)
@click.option("--filter-option", "judge_options", multiple=True, callback=key_values)
def wide(**given):
    click.echo(json.dumps(given))


@pytest.mark.parametrize("key", ["o", "options"])
def test_configuration_takes_documented_names_and_mappings(tmp_path, key):
    path = tmp_path / "c.yaml"
    path.write_text(
        f"filter: judge.pt\nname: one\n{key}: {{z_dim: 3, classes: [a, b]}}\n"
        "filter-option: ['input_size=64']\n"
    )
    result = CliRunner().invoke(wide, ["--config", str(path)])
    assert json.loads(result.output) == {
        "judge": "judge.pt",
        "names": ["one"],
        "options": {"z_dim": 3, "classes": ["a", "b"]},
        "judge_options": {"input_size": 64},
    }


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("c.yaml", b"seed: [1, 2"),
        ("c.toml", b"seed = = 1"),
        ("c.yaml", b"seed: \xff\xfe"),
        ("c.toml", b"seed = '\xff'"),
    ],
)
def test_damaged_configuration_is_named_in_one_line(tmp_path, name, content):
    path = tmp_path / name
    path.write_bytes(content)
    result = run("--config", str(path))
    assert result.exit_code == 2, result.output
    assert f"{path} cannot be read; found " in result.stderr and result.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "use"),
    [
        (["sample", "x:y", "--per-class", "1", "-o", "device=cpu"], "--device"),
        (["sample", "x:y", "--per-class", "1", "--filter-option", "device=cpu"], "--device"),
        (["sample", "x:y", "--per-class", "1", "-o", "per_class=2"], "--per-class"),
        (["train", "-o", "epochs=1"], "--epochs"),
        (["train", "-o", "device=cpu"], "--device"),
        (["train", "-o", "batch-size=1"], "--batch-size"),
        (["gap", "a", "b", "-o", "seed=1"], "--seed"),
        (["filter", "a", "--threshold", "0.9", "--filter-option", "device=cpu"], "--device"),
        (["export", "a", "-o", "strict=true"], "--strict"),
        (["quickstart", "-o", "device=cpu"], "--device"),
        (["bench", "speed", "-o", "out=x"], "--out"),
    ],
)
def test_key_values_that_the_command_has_an_option_for_are_refused(tmp_path, words, use):
    result = CliRunner().invoke(main, [*words, "--out", str(tmp_path / "out")])
    assert result.exit_code == 2
    assert result.stderr.endswith(f"; use {use}\n") and result.stderr.count("\n") == 1
    assert not (tmp_path / "out").exists()


@click.command("failing")
@out_option("out")
def failing(out):
    raise OSError(28, "No space left on device", str(out))


class Failing(Commands):
    def get_command(self, ctx, cmd_name):
        return failing


def test_what_the_machine_refuses_is_one_line_and_exit_1():
    result = CliRunner().invoke(Failing("group"), ["failing"])
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == "gendata: [Errno 28] No space left on device: 'out'\n"


def test_folder_that_cannot_be_made_is_refused_before_any_work(tmp_path):
    (tmp_path / "file").write_text("")
    result = CliRunner().invoke(Failing("group"), ["failing", "--out", str(tmp_path / "file/x/y")])
    assert result.exit_code == 2
    assert f"cannot write to {tmp_path / 'file/x/y'}; found {tmp_path / 'file'}" in result.stderr


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["sample", "x"], "Missing option '--per-class'; see gendata sample --help"),
        (["sample", "--bad"], "No such option"),
        (["quickstart", "--shots", "0"], "0 is not in the range x>=1; see gendata quickstart"),
        (["nothing"], "No such command 'nothing'; see gendata --help"),
        (["--nothing"], "see gendata --help"),
    ],
)
def test_usage_errors_are_one_line(words, line):
    result = CliRunner().invoke(main, words)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("gendata: ") and line in result.stderr
    assert result.stderr.count("\n") == 1


def test_help_stays_help():
    for words in (["--help"], ["sample", "-h"]):
        result = CliRunner().invoke(main, words)
        assert result.exit_code == 0 and result.stdout.startswith("Usage: ")
    assert "Commands:" in CliRunner().invoke(main, []).output
