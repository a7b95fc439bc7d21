"""Sweeps of keyed runs: nothing is done twice, nothing is lost, one failure stops nothing else."""

import json
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from toy_studies import accuracies, files_in, keywords, run_study, write_preset
from toys import toy_images

from gendata.benchmarks.protocol import runs, workers
from gendata.benchmarks.protocol.arguments import protocol_of
from gendata.benchmarks.protocol.presets import load_presets
from gendata.benchmarks.protocol.references import Source
from gendata.benchmarks.protocol.runs import Ledger, key_of
from gendata.benchmarks.protocol.sources import Bank
from gendata.benchmarks.protocol.study import runs_of
from gendata.benchmarks.protocol.sweep import in_runs, in_words
from gendata.errors import GendataError
from gendata.images.export import export_images
from gendata.training.run_folder import RunFolder


def test_finished_runs_never_repeat(tmp_path, monkeypatch):
    given = keywords(tmp_path, methods=["fake", "aug"])
    first = run_study("low-shot", tmp_path / "out", **given)
    lines = (tmp_path / "out" / "runs.jsonl").read_text()
    folders = files_in(tmp_path / "out" / "runs")
    monkeypatch.setattr(runs, "train", lambda **_: pytest.fail("a finished run was repeated"))
    again = run_study("low-shot", tmp_path / "out", **given)
    assert again.data["records"] == first.data["records"]
    assert (tmp_path / "out" / "runs.jsonl").read_text() == lines
    assert files_in(tmp_path / "out" / "runs") == folders


def test_studies_in_one_folder_share_their_runs(tmp_path):
    out = tmp_path / "out"
    zero = run_study("zero-shot", out, **keywords(tmp_path, methods=["fake"]))
    low = run_study("low-shot", out, **keywords(tmp_path, methods=["fake", "aug"], dry_run=True))
    assert (low.data["finished"], low.data["left"]) == (2, 2)
    low = run_study("low-shot", out, **keywords(tmp_path, methods=["fake"]))
    (a, b), (c, d) = zero.data["records"], low.data["records"]
    assert (a["key"], b["key"]) == (c["key"], d["key"])
    assert (a["row"], c["row"]) == ("Baseline", "Synthetic"), "each study has its own labels"
    assert len(list((out / "runs").iterdir())) == 2


def test_a_killed_sweep_ends_with_the_same_weights(tmp_path, monkeypatch):
    given = keywords(tmp_path, methods=["fake", "rg"], epochs=3)
    whole = run_study("low-shot", tmp_path / "whole", **given)
    save, calls = RunFolder.save, []

    def killed(self, state, history):
        save(self, state, history)
        calls.append(self.path)
        if len(calls) == 5:  # in the second epoch of the second run
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(RunFolder, "save", killed)
        with pytest.raises(KeyboardInterrupt):
            run_study("low-shot", tmp_path / "cut", **given)
    assert (calls[-1] / "state.pt").exists()
    with (tmp_path / "cut" / "runs.jsonl").open("a") as file:
        file.write('{"key": "torn')
    resumed = run_study("low-shot", tmp_path / "cut", **given)
    assert accuracies(resumed) == accuracies(whole)
    for record in whole.data["records"]:
        one, other = (
            (tmp_path / name / "runs" / record["key"] / "last.safetensors").read_bytes()
            for name in ("whole", "cut")
        )
        assert one == other


def test_a_run_that_fails_does_not_stop_the_others(tmp_path, monkeypatch):
    given = keywords(tmp_path, methods=["fake", "aug", "rg"], seeds=1)
    train = runs.train

    def fails(**options):
        if options["method"] == "aug":
            raise ZeroDivisionError("a fault of the method")
        return train(**options)

    with monkeypatch.context() as patch:
        patch.setattr(runs, "train", fails)
        with pytest.raises(GendataError, match="1 run failed.*Aug.*ZeroDivisionError: a fault"):
            run_study("low-shot", tmp_path / "out", **given)
    (trace,) = (tmp_path / "out" / "failures").iterdir()
    assert "Traceback" in trace.read_text() and "Aug., seed 0" in trace.read_text()
    assert "RG" in (tmp_path / "out" / "low-shot" / "results.md").read_text()
    mended = run_study("low-shot", tmp_path / "out", **given)
    assert {row for row, *_ in accuracies(mended)} == {"Synthetic", "Aug.", "RG"}
    assert not any((tmp_path / "out" / "failures").iterdir())


def test_runs_that_fail_for_one_reason_are_told_together(tmp_path, monkeypatch):
    def fails(**options):
        raise GendataError(f"no {options['method']} today in {options['out'].name}")

    monkeypatch.setattr(runs, "train", fails)
    given = keywords(tmp_path, methods=["fake", "aug"], seeds=3)
    with pytest.raises(GendataError) as caught:
        run_study("low-shot", tmp_path / "out", **given)
    message = str(caught.value)
    assert message.startswith("6 runs failed; found ")
    assert message.count("no fake today") == message.count("no aug today") == 1
    assert "Synthetic, seed 0 and 2 more: no fake today" in message
    assert len(list((tmp_path / "out" / "failures").iterdir())) == 6


def test_progress_tells_what_is_left_and_for_how_long(tmp_path, monkeypatch, capsys):
    seconds = {"fake": 60.0, "aug": 600.0}
    perform = runs.perform

    def slowly(bank, run, key):
        return {**perform(bank, run, key), "seconds": seconds[run.row.method]}

    monkeypatch.setattr(workers, "perform", slowly)
    given = keywords(tmp_path, methods=["fake", "aug"], seeds=2)
    run_study("low-shot", tmp_path / "out", **given)
    first, *runs_told = capsys.readouterr().err.splitlines()[:5]
    assert first == "training 4 runs"
    assert [line[:5] for line in runs_told] == [f"[{n}/4]" for n in (1, 2, 3, 4)]
    left = [line.partition("; ")[2] for line in runs_told]
    assert left == [
        "about 3 min left",  # nobody knows yet that aug takes longer
        "about 2 min left",
        "about 10 min left",
        "",
    ]
    again = run_study("low-shot", tmp_path / "out", dry_run=True, **given)
    assert "4 runs, all finished." in again.text()
    run_study("low-shot", tmp_path / "out", **given)
    assert "training" not in capsys.readouterr().err


def test_many_runs_read_the_ledger_as_often_as_few(tmp_path, monkeypatch):
    numbers = {"accuracy": 0.5, "last_accuracy": 0.5, "images": 15, "seconds": 1.0}
    numbers |= {"device": "cpu", "threads": 1, "versions": {}}
    monkeypatch.setattr(workers, "perform", lambda bank, run, key: numbers)
    lines, reads = Ledger._lines, []

    def counted(self):
        reads[-1] += 1
        return lines(self)

    monkeypatch.setattr(Ledger, "_lines", counted)
    for seeds in (1, 7):
        reads.append(0)
        given = keywords(tmp_path, methods=["fake"], seeds=seeds)
        done = run_study("low-shot", tmp_path / str(seeds), **given)
        assert len(done.data["records"]) == seeds
    assert reads[0] == reads[1] > 0


def test_times_in_words():
    assert [in_words(each) for each in (0.2, 99, 100, 5999, 6001)] == [
        "0 s",
        "99 s",
        "2 min",
        "100 min",
        "1.7 h",
    ]
    assert (in_runs(1), in_runs(2)) == ("1 run", "2 runs")


def test_limit_stops_after_so_many_new_runs(tmp_path):
    given = keywords(tmp_path, methods=["fake", "aug"])
    counts = [
        len(run_study("low-shot", tmp_path / "out", limit=limit, **given).data["records"])
        for limit in (1, 2, 5)
    ]
    assert counts == [1, 3, 4]


@pytest.mark.parametrize("study", ["zero-shot", "low-shot"])
def test_a_dry_run_writes_nothing_and_estimates(tmp_path, study):
    out = tmp_path / "out"
    given = keywords(tmp_path, methods=["fake", "real"])
    listed = run_study(study, out, dry_run=True, **given)
    assert not out.exists()
    assert listed.data["estimate_seconds"] is None
    assert [each["finished"] for each in listed.data["list"]] == [False] * 4
    done = run_study(study, out, limit=1, **given)
    before = files_in(out)
    listed = run_study(study, out, dry_run=True, **given)
    assert files_in(out) == before
    seconds = done.data["records"][0]["seconds"]
    assert listed.data["estimate_seconds"] == pytest.approx(3 * seconds, abs=0.1)
    assert [each["finished"] for each in listed.data["list"]].count(True) == 1


def test_what_decides_a_run_changes_its_key(tmp_path):
    def key(**given):
        words = keywords(tmp_path, **{"methods": ["aug", "pg+rg"], "seeds": 1, **given})
        protocol = protocol_of("low-shot", load_presets(words.pop("preset"))[0], words)
        return key_of(Bank(protocol, tmp_path), runs_of(protocol)[0])

    same = key()
    assert key() == same == key(options={"pg_weight": 3.0}), "Aug. has no such option"
    others = [
        key(epochs=3),
        key(seed=1),
        key(shots=[3]),
        key(options={"views": 2}),
        key(test=toy_images("toy test", 15, 8)),
        key(sources=[Source("made", toy_images("toy made", 24, 9))]),
        key(data=toy_images("toy real", 36, 9)),
    ]
    assert len({same, *others}) == 8


def test_one_seed_sees_the_same_few_images_and_other_seeds_see_others(tmp_path):
    def few(seed, **given):
        words = keywords(tmp_path, methods=["aug", "rg"], **given)
        protocol = protocol_of("low-shot", load_presets(words.pop("preset"))[0], words)
        bank = Bank(protocol, tmp_path)
        sets = [runs.sets_of(bank, run)["real"] for run in runs_of(protocol) if run.seed == seed]
        assert len(sets) == 2 and sets[0] is sets[1]
        validation = {
            image.numpy().tobytes() for image, _ in map(bank.validation().__getitem__, range(9))
        }
        found = {sets[0][row][0].numpy().tobytes() for row in range(len(sets[0]))}
        assert not found & validation, "validation images are outside the few"
        assert np.bincount(sets[0].labels).tolist() == [2, 2, 2]
        return found

    assert few(0) != few(1)
    assert few(0, subset_seed="7") == few(1, subset_seed="7")


def test_a_larger_clone_keeps_the_runs_of_the_smaller(tmp_path):
    given = {
        "preset": write_preset(tmp_path),
        "data": "fashion-mnist:train",
        "test": "fashion-mnist:test",
        "sources": "gan=embedded:fashion-gan",
        "filter": "embedded:fashion-classifier",
        "threshold": 0.7,
        "methods": "fake",
        "seeds": 1,
        "epochs": 1,
        "device": "cpu",
    }
    out = tmp_path / "out"
    small = run_study("zero-shot", out, per_class=[2], **given)
    both = run_study("zero-shot", out, per_class="2,3", **given)
    assert both.data["records"][0] == small.data["records"][0]
    assert [record["per_class"] for record in both.data["records"]] == [2, 3]
    (clone,) = (out / "clones").iterdir()
    tables = [pq.read_table(path, columns=["confidence"]) for path in clone.glob("*.parquet")]
    confidence = np.concatenate([table["confidence"].to_numpy() for table in tables])
    assert len(confidence) == 30 and confidence.min() > 0.7
    again = run_study("zero-shot", out, per_class=[2], dry_run=True, **given)
    assert again.data["left"] == 0


def test_ledger_survives_torn_lines(tmp_path):
    ledger = Ledger(tmp_path)
    assert ledger.read() == []
    ledger.append({"key": "a", "accuracy": 0.5})
    with ledger.path.open("ab") as file:
        file.write(b'{"key": "b", "accu')
    ledger.append({"key": "c", "accuracy": 0.25})
    assert [record["key"] for record in ledger.read()] == ["a", "c"]
    assert ledger.path.read_bytes().endswith(b"}\n")


def test_workers_divide_the_cores(monkeypatch):
    monkeypatch.setattr(workers, "cores", lambda: 4)
    monkeypatch.setattr(workers.torch, "get_num_threads", lambda: 4)
    assert [workers.threads_each(jobs) for jobs in (1, 2, 3, 4)] == [4, 2, 1, 1]
    workers.check_jobs(4, "cpu")
    for jobs in (0, 5):
        with pytest.raises(GendataError, match="jobs is out of range"):
            workers.check_jobs(jobs, "cpu")


class FragilePool:
    """Ends with the task named "fatal", as a pool does whose process is killed."""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        return False

    def submit(self, _, bank, run, key):
        future = Future()
        if key == "fatal":
            future.set_exception(BrokenProcessPool("killed"))
        else:
            future.set_result({"accuracy": 1.0, "key": key})
        return future


def test_a_worker_that_is_killed_costs_what_it_was_doing(monkeypatch):
    monkeypatch.setattr(workers, "_pool", lambda banks, jobs: FragilePool())
    tasks = [("bank", "run", key) for key in ("a", "fatal", "b", "c")]
    found = dict(workers.in_workers(tasks, 1))
    assert found[1] == workers.LOST
    assert [found[number]["key"] for number in (0, 2, 3)] == ["a", "b", "c"]


PROGRAM = """
import sys, torch
from pathlib import Path
torch.set_num_threads(1)
from gendata.registry import studies
folder = Path(sys.argv[1])
if __name__ == "__main__":
    studies.get("low-shot")(
        out=folder / sys.argv[2], preset=str(folder / "toys.toml"), data=str(folder / "real"),
        test=str(folder / "test"), sources=f"made={folder / 'made'}", methods="fake,aug",
        epochs=int(sys.argv[4]), device="cpu", jobs=int(sys.argv[3]),
    )
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sets")
    for seed, (name, count) in enumerate({"real": 24, "test": 15, "made": 24}.items()):
        export_images(toy_images(name, count, seed), folder / name)
    write_preset(folder)
    (folder / "program.py").write_text(PROGRAM)
    return folder


def records(out: Path) -> dict[tuple, float]:
    lines = map(json.loads, (out / "runs.jsonl").read_text().splitlines())
    return {(line["key"], line["row"], line["seed"]): line["accuracy"] for line in lines}


def start(folder: Path, out: str, jobs: int, epochs: int = 2, launcher=()) -> subprocess.Popen:
    words = [*(launcher or [sys.executable]), folder / "program.py", folder, out, jobs, epochs]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen([str(word) for word in words], env=environment)


@pytest.mark.slow
def test_jobs_and_ranks_give_the_same_as_one_process(folder):
    assert start(folder, "one", 1).wait() == 0
    assert start(folder, "jobs", 2).wait() == 0
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    assert start(folder, "ranks", 1, launcher=[*torchrun, "--nproc-per-node", 2]).wait() == 0
    one = records(folder / "one")
    assert len(one) == 4
    assert records(folder / "jobs") == records(folder / "ranks") == one
    assert (folder / "ranks" / "low-shot" / "results.json").exists()


@pytest.mark.slow
def test_a_killed_study_leaves_no_workers_and_goes_on(folder):
    process = start(folder, "killed", 2, epochs=400)
    out = folder / "killed" / "runs"
    deadline = time.monotonic() + 120
    while not list(out.glob("*/metrics.jsonl")) and time.monotonic() < deadline:
        time.sleep(0.2)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert len(list(out.glob("*/metrics.jsonl"))) >= 1
    deadline = time.monotonic() + 30
    while any(alive(int(child)) for child in children) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert not any(alive(int(child)) for child in children)


def alive(process: int) -> bool:
    status = Path(f"/proc/{process}/stat")
    return status.exists() and status.read_text().split(")")[-1].split()[0] != "Z"
