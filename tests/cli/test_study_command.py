"""A study's function as a command."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import click
import pytest
from click.testing import CliRunner

from gendata.benchmarks.tables import StudyResult
from gendata.cli.study_command import study_command

GIVEN: dict[str, Any] = {}


def counting(
    *,
    out: Path,
    preset: str = "small",
    per_class: int | Sequence[int] | None = None,
    methods: str | Sequence[str] = ("fake", "pg"),
    augment_by: Literal["loss", "entropy"] | None = None,
    sampler_options: Mapping[str, Any] | None = None,
    threshold: float = 0.8,
    seed: int = 0,
    dry_run: bool = False,
    quietly: bool = False,
) -> StudyResult:
    """Counts what it was given.

    A second paragraph that goes on
    over two lines.

    Args:
        out: folder for the count.
        preset: which of them, or
            the first of them.
        per_class: images of each class.
        methods: rows.
        augment_by: a rule.
        sampler_options: of every sampler.
        threshold: a share.
        seed: the first of several.
        quietly: say nothing.

    Raises:
        GendataError: never.
    """
    GIVEN.clear()
    GIVEN.update(locals())
    return StudyResult({"preset": preset}, [])


@pytest.fixture
def run():
    command = study_command("counting", counting)
    return lambda *words: CliRunner().invoke(command, list(map(str, words)))


def test_the_docstring_is_the_help(run):
    text = " ".join(run("--help").output.split())
    assert "Counts what it was given." in text and "goes on over two lines." in text
    assert "Raises" not in text and "Args" not in text
    assert "--preset TEXT Which of them, or the first of them. [default: small]" in text
    assert "--augment-by [loss|entropy] A rule." in text
    assert "repeat it, or join several by commas" in text
    assert "--seed INTEGER RANGE The first of several. [default: 0; x>=0]" in text
    assert "--dry-run Show what would be done, and stop." in text, "the study says nothing of it"


def test_values_come_as_the_annotations_say(run, tmp_path):
    words = ["--per-class", "100,300", "--per-class", "5", "--methods", "rg", "-o", "psi=0.7"]
    words += ["--augment-by", "loss", "--threshold", "0.5", "--seed", "3", "-n", "--quietly"]
    assert run(*words, "--out", tmp_path / "out").exit_code == 0
    assert GIVEN == {
        "out": tmp_path / "out",
        "preset": "small",
        "per_class": (100, 300, 5),
        "methods": ("rg",),
        "augment_by": "loss",
        "sampler_options": {"psi": 0.7},
        "threshold": 0.5,
        "seed": 3,
        "dry_run": True,
        "quietly": True,
    }


def test_what_is_not_given_keeps_the_functions_own_default(run, tmp_path):
    assert run("--out", tmp_path).exit_code == 0
    assert GIVEN["methods"] == ("fake", "pg") and GIVEN["per_class"] is None
    assert GIVEN["preset"] == "small" and GIVEN["sampler_options"] == {}


def test_a_configuration_file_fills_the_defaults(run, tmp_path):
    path = tmp_path / "study.toml"
    path.write_text('per_class = [10, 20]\nmethods = "rg,pg"\nthreshold = 0.3\n')
    assert run("--config", path, "--out", tmp_path).exit_code == 0
    assert GIVEN["per_class"] == (10, 20) and GIVEN["methods"] == ("rg", "pg")
    assert GIVEN["threshold"] == 0.3


@pytest.mark.parametrize("words", [["--per-class", "10,many"], ["--augment-by", "luck"]])
def test_a_wrong_value_is_refused(run, words):
    result = run(*words)
    assert result.exit_code == 2 and isinstance(result.exception, (SystemExit, click.UsageError))
