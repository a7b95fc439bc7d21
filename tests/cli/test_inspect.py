"""`gendata inspect`: a thin shell around `inspect_checkpoint`."""

import json

import pytest
import torch
from click.testing import CliRunner

from gendata.cli import main
from gendata.samplers.inspection import inspect_checkpoint


def run(*words):
    return CliRunner().invoke(main, ["inspect", *map(str, words)])


@pytest.fixture
def path(tmp_path):
    torch.save(torch.nn.Linear(3, 2).state_dict(), tmp_path / "x.pt")
    return tmp_path / "x.pt"


def test_as_text(path):
    result = run(path)
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert lines[0] == str(path)
    rows = {line[:18].strip(): line[18:] for line in lines[1:]}
    assert rows["family"] == "state dict" and rows["parameters"] == "8"
    assert rows["source text"] == "none" and rows["use it as"] == "nothing here draws from it"


def test_as_json(path):
    result = run(path, "--json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout) == inspect_checkpoint(path).to_json()


def test_a_vector(shared):
    path = shared / "checkpoints" / "sg2ada_cond32.pkl"
    result = run(path)
    assert "stylegan2" in result.stdout and f"stylegan:{path}" in result.stdout
    assert "in 32 objects, never run" in result.stdout


@pytest.mark.parametrize(
    "content", [b"", b"cos\nsystem\n(X\x04\x00\x00\x00truetR.", b"cother\nthing\n)R.", b"PK\3\4"]
)
def test_a_hostile_file_is_one_line(tmp_path, content):
    (tmp_path / "x.pkl").write_bytes(content)
    result = run(tmp_path / "x.pkl")
    assert result.exit_code == 2 and result.stdout == "" and result.stderr.count("\n") == 1


def test_help_ends_with_two_examples():
    result = run("--help")
    examples = result.stdout.partition("Examples:")[2].partition("Options:")[0]
    assert examples.count("gendata inspect ") == 2
