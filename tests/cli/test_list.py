"""`gendata list`: what there is, in text and JSON."""

import json
from pathlib import Path

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
        ("studies", {"low-shot", "speed", "zero-shot"}),
        ("presets", {"fashion-mnist", "paper/cub", "paper/table4"}),
        ("factors", {"s2rda", "cg-transfer", "task2sim", "fixed"}),
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


def test_presets_are_told_in_one_whole_sentence():
    found = json.loads(run("presets", "--json"))["presets"]
    assert "paper/table2" in found and all(line.endswith(".") for line in found.values())
    text = (Path(__file__).parents[2] / "benchmarks/presets/paper/flower.toml").read_text()
    assert text.startswith(f"# {found['paper/flower']}\n")


def test_all_kinds_are_listed():
    assert [block.splitlines()[0] for block in run().split("\n\n")] == [
        *("samplers", "methods", "studies", "presets", "factors", "assets")
    ]


def test_unknown_kind_is_one_line():
    result = CliRunner().invoke(main, ["list", "things"])
    assert result.exit_code == 2 and result.stderr.count("\n") == 1
    assert "'things' is not one of" in result.stderr
