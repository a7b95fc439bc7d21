"""A program runs where a person says so on the command line, and nowhere else."""

import json

from click.testing import CliRunner

from gendata.cli import main

PROGRAM = """
import pathlib
import torch

pathlib.Path(__file__).with_name("ran").touch()

def grey():
    def sample(labels, seeds):
        return (seeds[:, None, None, None] % 251).to(torch.uint8).expand(-1, 3, 8, 8).contiguous()
    sample.classes = ["one", "two"]
    return sample
"""


def run(*arguments):
    return CliRunner().invoke(main, [*map(str, arguments)])


def test_trust_is_asked_for_each_time_and_never_taken_from_a_clone(tmp_path, monkeypatch):
    (tmp_path / "grey_program.py").write_text(PROGRAM)
    monkeypatch.syspath_prepend(str(tmp_path))
    sample = ("sample", "python:grey_program:grey", "--per-class", 2, "--device", "cpu")
    sample = (*sample, "-o", 'classes=["one", "two"]', "--out", tmp_path / "clone")
    refused = run(*sample)
    assert refused.exit_code == 2 and "--trust" in refused.stderr
    assert not (tmp_path / "ran").exists()
    drawn = run(*sample, "--trust")
    assert drawn.exit_code == 0, drawn.output
    recorded = json.loads((tmp_path / "clone" / "run.json").read_text())
    assert "trust" not in recorded["settings"]["sampler"]["options"]

    recorded["settings"]["sampler"]["options"]["trust"] = True
    (tmp_path / "clone" / "run.json").write_text(json.dumps(recorded))
    (tmp_path / "ran").unlink()
    monkeypatch.delitem(__import__("sys").modules, "grey_program", raising=False)
    hostile = run("verify", tmp_path / "clone", "--device", "cpu")
    assert hostile.exit_code == 2 and "is a program" in hostile.stderr
    assert not (tmp_path / "ran").exists()
    assert run("verify", tmp_path / "clone", "--device", "cpu", "--trust").exit_code == 0


def test_a_threshold_without_a_filter_is_refused(tmp_path):
    words = ("sample", "embedded:fashion-gan", "--per-class", 1, "--out", tmp_path / "clone")
    refused = run(*words, "--threshold", "0.9")
    assert refused.exit_code == 2 and "--threshold would be ignored" in refused.stderr
