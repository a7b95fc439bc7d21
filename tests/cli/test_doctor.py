"""`gendata doctor`: what would stop a run is found before it starts, and nothing is written."""

import json
import math

import pytest
from click.testing import CliRunner
from scripted import write_scripts
from tiny import TinyClassifier, TinySampler, TinySet

from gendata.cli import main
from gendata.clone import ConfidenceFilter, draw_clone
from gendata.clone import doctor as doctor_module
from gendata.clone import machine as machine_module
from gendata.clone.prepare import prepare
from gendata.clone.trial import draw_trial, expected_draws


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_scripts(tmp_path_factory.mktemp("scripts"))


def shared_arguments(folder, out):
    return [
        *(f"torchscript:{folder / 'generator.pt'}", "-o", "z_dim=48"),
        *("-o", 'classes=["red", "green", "blue"]', "--per-class", "12", "--batch-size", "8"),
        *("--out", str(out), "--device", "cpu"),
    ]


def run(*words):
    result = CliRunner().invoke(main, [str(word) for word in words])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def examine(folder, out, *more):
    words = [*shared_arguments(folder, out), "--trial", "48", *more]
    result = run("doctor", *words, "--json")
    found = json.loads(result.stdout)
    assert result.exit_code == (0 if found["ok"] else 1)
    return {check["check"]: check for check in found["checks"]}


def test_a_good_run_is_ready_and_nothing_is_written(folder, tmp_path):
    out = tmp_path / "deep" / "clone"
    judged = ["--filter", f"torchscript:{folder / 'judge.pt'}", "--threshold", "0.8"]
    names = ["--filter-option", 'classes=["red", "green", "blue"]']
    checks = examine(folder, out, *judged, *names)
    assert {name: check["level"] for name, check in checks.items()} == dict.fromkeys(
        ("device", "sampler", "filter", "classes", "output", "acceptance", "memory")
        + ("time", "disk"),
        "ok",
    )
    assert not (tmp_path / "deep").exists()
    sampler = checks["sampler"]["figures"]
    assert len(sampler["sha256"]) == 64
    assert sampler["bytes"] == (folder / "generator.pt").stat().st_size
    accepted = checks["acceptance"]["figures"]
    assert accepted["drawn"] == 48 and 0 < accepted["accepted"] < 48
    assert [each["attempts"] for each in accepted["classes"]] == [16, 16, 16]
    assert checks["time"]["figures"]["images"] == 36
    shown = run("doctor", *shared_arguments(folder, out), *judged, *names)
    assert shown.stdout.splitlines()[-1] == "ready; problems: 0, warnings: 0"
    assert "accepted; fewest: " in shown.stdout


def test_estimates_are_near_what_the_run_takes(folder, tmp_path):
    words = shared_arguments(folder, tmp_path / "clone")
    words[words.index("12")] = "200"
    judged = ["--filter", f"torchscript:{folder / 'judge.pt'}"]
    examined = run("doctor", *words, *judged, "--trial", "256", "--json")
    checks = {check["check"]: check for check in json.loads(examined.stdout)["checks"]}
    report = json.loads(run("sample", *words, *judged, "--json").stdout)
    draws = checks["time"]["figures"]["draws"]
    assert 0.8 * report["attempts"] < draws < 1.25 * report["attempts"]
    there = sum(path.stat().st_size for path in (tmp_path / "clone").glob("*.parquet"))
    assert 0.8 * there < checks["disk"]["figures"]["bytes"] < 1.25 * there


@pytest.mark.parametrize(
    ("more", "check", "message"),
    [
        (["--classes", "violet"], "classes", "has no class 'violet'"),
        (["--filter", "torchscript:nowhere.pt"], "filter", "nowhere.pt"),
        (["--device", "quantum"], "device", "device 'quantum' cannot be used"),
        (["-o", "psi=0.7"], "sampler", "has no option psi"),
        (["--seed", "5"], "output", "seed 0 there, 5 now"),
        (["--per-class", "13"], "output", "pass --extend"),
        (["--per-class", "11"], "output", "already holds 12"),
    ],
)
def test_problems_exit_with_1(folder, tmp_path, more, check, message):
    if check == "output":
        run("sample", *shared_arguments(folder, tmp_path / "clone"))
    found = examine(folder, tmp_path / "clone", *more)[check]
    assert found["level"] == "problem" and message in found["text"]


def test_folders(folder, tmp_path):
    (tmp_path / "file").write_text("x")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "notes.txt").write_text("x")
    for out, message in (
        (tmp_path / "file", "is a file"),
        (tmp_path / "file" / "clone", "is a file"),
        (tmp_path / "full", "is not a clone"),
    ):
        found = examine(folder, out)["output"]
        assert found["level"] == "problem" and message in found["text"]
    words = [*shared_arguments(folder, tmp_path / "half"), "--shard-size", "7"]
    run("sample", *words, "--shard", "0/2")
    found = examine(folder, tmp_path / "half", "--shard-size", "7")["output"]
    assert found["level"] == "ok" and "3 of 6 shards are there" in found["text"]
    more = ["--shard-size", "7", "--per-class", "20", "--extend"]
    assert examine(folder, tmp_path / "half", *more)["output"]["level"] == "ok"


def test_urls(folder, tmp_path, monkeypatch):
    monkeypatch.setenv("GENDATA_STAGING", str(tmp_path))
    url = f"memory://{tmp_path.name}/clone"
    assert examine(folder, url)["output"]["text"] == f"{url} is new"
    run("sample", *shared_arguments(folder, url))
    assert examine(folder, url)["output"]["text"] == f"{url} continues: 1 of 1 shards are there"
    found = examine(folder, url, "--seed", "5")["output"]
    assert found["level"] == "problem" and "seed 0 there, 5 now" in found["text"]
    assert "no program here reads" in examine(folder, "quantum://clone")["output"]["text"]


def test_a_full_disk_and_little_memory_are_problems(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(doctor_module, "free_disk", lambda folder: 1000)
    monkeypatch.setattr(doctor_module, "available_memory", lambda: 1000)
    checks = examine(folder, tmp_path / "clone")
    assert checks["disk"]["level"] == checks["memory"]["level"] == "problem"
    assert "smaller --shard-size" in checks["memory"]["text"]


def test_a_busy_machine_is_named(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(machine_module.os, "getloadavg", lambda: (999.0, 0.0, 0.0))
    assert "load 999.0" in examine(folder, tmp_path / "clone")["time"]["text"]
    monkeypatch.setattr(machine_module.os, "getloadavg", lambda: (0.0, 0.0, 0.0))
    assert "load" not in examine(folder, tmp_path / "clone")["time"]["text"]


def test_a_filter_that_refuses_everything_is_a_problem(folder, tmp_path):
    judged = ["--filter", f"torchscript:{folder / 'judge.pt'}", "--threshold", "0.99999"]
    found = examine(folder, tmp_path / "clone", *judged)["acceptance"]
    assert found["level"] == "problem" and "0 of 48 images" in found["text"]


def test_usage_mistakes_exit_with_2_and_one_line(folder, tmp_path):
    words = shared_arguments(folder, tmp_path / "clone")
    for more, message in (
        (["--threshold", "1.5"], "between 0 and 1"),
        (["--label", "agree"], "--label would be ignored"),
        (["-o", "psi"], "not of the form key=value"),
        (["--jobs", "0"], "--jobs"),
        (["--colour"], "No such option"),
    ):
        result = run("doctor", *words, *more)
        assert result.exit_code == 2 and not result.stdout
        assert message in result.stderr and result.stderr.count("\n") == 1
    assert run("doctor", words[0]).exit_code == 2


@pytest.mark.parametrize("kind", [TinySampler, lambda: TinySampler(None), TinySet])
def test_trial_expects_the_draws_that_are_needed(tmp_path, kind):
    judge = ConfidenceFilter(TinyClassifier(), 0.6)
    per_class = 15 if kind is TinySet else 60
    subject = prepare(kind(), judge, None, {})
    trial = draw_trial(subject, 0, 8, 400)
    assert trial.drawn == 400 and trial.timed == 392 and trial.rate > 0
    draw_clone(kind(), per_class, tmp_path, filter=judge, batch_size=8, progress=False)
    attempts = json.loads((tmp_path / "rejects.json").read_text())["attempts"]
    assert 0.7 < expected_draws(trial, subject, per_class) / attempts < 1.4


def test_trial_stops_in_time():
    subject = prepare(TinySampler(pause=0.01), None, None, {})
    trial = draw_trial(subject, 0, 4, 10**6, longest=0.05)
    assert 4 <= trial.drawn < 100 and math.isfinite(trial.rate)
    assert draw_trial(subject, 0, 4, 1).timed == 4


def test_rare_classes_are_warned_of():
    subject = prepare(TinySampler(), ConfidenceFilter(TinyClassifier(), 0.97), None, {})
    wish = doctor_module.Wish(None, per_class=100, attempts=3)
    finding = doctor_module._acceptance(wish, subject, draw_trial(subject, 0, 8, 64))
    assert finding.level == "warning" and "may not be filled in 3 attempts" in finding.text


def test_machine_says_what_it_has(tmp_path):
    (tmp_path / "a").write_bytes(b"12345")
    assert machine_module.size_of(tmp_path) == machine_module.size_of(tmp_path / "a") == 5
    assert machine_module.free_disk(tmp_path / "none" / "yet") > 0
    assert machine_module.refusal_to_write(tmp_path / "none" / "yet") is None
    assert (machine_module.available_memory() or 1) > 0


def test_help_ends_with_two_examples():
    text = run("doctor", "--help").stdout
    assert text.split("Examples:")[1].split("Options:")[0].count("gendata doctor ") == 2
