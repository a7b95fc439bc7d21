"""`gendata list`: what there is, in text and JSON."""

import json

import pytest
from click.testing import CliRunner

from gendata.cli import main


def run(*words):
    result = CliRunner().invoke(main, ["list", *words])
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.mark.parametrize(
    ("kind", "some"),
    [
        ("samplers", {"diffusers", "embedded", "folder", "torchscript"}),
        ("methods", {"real", "fake", "aug", "adp", "pg", "rg", "pg+rg"}),
        ("studies", {"quickstart", "speed"}),
        ("assets", {"fashion-mnist"}),
    ],
)
def test_every_entry_has_a_line(kind, some):
    found = json.loads(run(kind, "--json"))
    assert list(found) == [kind] and some <= found[kind].keys()
    assert all(found[kind].values())
    lines = run(kind).splitlines()
    assert lines[0] == kind
    assert [line.split()[0] for line in lines[1:]] == list(found[kind])


def test_all_kinds_are_listed():
    assert [block.splitlines()[0] for block in run().split("\n\n")] == [
        *("samplers", "methods", "studies", "assets")
    ]


def test_unknown_kind_is_one_line():
    result = CliRunner().invoke(main, ["list", "things"])
    assert result.exit_code == 2 and result.stderr.count("\n") == 1
    assert "'things' is not one of" in result.stderr
