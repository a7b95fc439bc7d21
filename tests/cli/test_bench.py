"""`gendata bench`: a study by name, its options, its tables."""

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from gendata.benchmarks.tables import StudyResult, Table
from gendata.cli import main
from gendata.registry import studies


@pytest.fixture
def study(monkeypatch):
    """A study `counting` that returns what it was given."""
    studies.names()  # fills the registry, which is then restored

    def counting(*, out: Path, upto: int = 3, only: str = "all"):
        """Counts.

        Args:
            out: folder.
            upto: the last number.
            only: which numbers.
        """
        table = Table(("upto",), [(str(upto),)], f"Counted {only}.")
        return StudyResult({"upto": upto, "only": only, "out": str(out)}, [table])

    monkeypatch.setitem(studies._entries, "counting", counting)


def run(*words):
    return CliRunner().invoke(main, ["bench", *map(str, words)])


def test_tables_for_people_and_numbers_for_programs(study, tmp_path):
    words = ["counting", "--upto", "5", "--only", "odd", "--out", tmp_path / "out"]
    assert run(*words).stdout == "Counted odd.\n\nupto\n----\n5\n"
    found = json.loads(run(*words, "--json").stdout)
    assert found == {"upto": 5, "only": "odd", "out": str(tmp_path / "out")}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["countin"], "did you mean counting"),
        (["quickstart"], "unknown study 'quickstart'.*it is a command: gendata quickstart"),
        (["sample", "--per-class", "2"], "it is a command: gendata sample"),
        (["counting", "--up=5"], "No such option '--up'"),
        (["counting", "--upto", "five"], "'five' is not a valid integer"),
        (["counting", "--upto"], "see gendata bench counting --help"),
    ],
)
def test_mistakes_are_one_line(study, tmp_path, words, message):
    result = run(*words, "--out", tmp_path / "out")
    assert result.exit_code == 2
    assert re.search(message, result.stderr) and result.stderr.count("\n") == 1


@pytest.fixture
def parts(monkeypatch):
    """The speed study with two parts that measure nothing."""
    studies.names()  # registers the study
    from gendata.benchmarks import speed as package
    from gendata.benchmarks.speed.measurement import Measurement

    stubs = {
        "drawing": lambda: [Measurement("overhead", ">= 0.9", "0.95", 0.95, "3 repeats")],
        "loading": lambda: [Measurement("epochs", "", "7", 7.0, "1 repeat")],
    }
    monkeypatch.setattr(package, "PARTS", stubs)


def test_speed_measures_the_parts_asked_for(parts, tmp_path):
    shown = run("speed", "--only", "drawing,loading", "--out", tmp_path)
    assert shown.exit_code == 0 and "overhead  >= 0.9  0.95" in shown.stdout
    assert "epochs    shown   7" in shown.stdout
    found = json.loads(run("speed", "--only", "loading", "--out", tmp_path, "--json").stdout)
    assert [each["name"] for each in found["measurements"]] == ["epochs"]
    assert json.loads((tmp_path / "speed.json").read_text()) == found
    refused = run("speed", "--only", "flying", "--out", tmp_path)
    assert refused.exit_code == 2 and "expected some of drawing, loading" in refused.stderr
