"""Killed and resumed, finished, or asked for something else: what a folder does."""

import json
import signal

import pytest
import torch
from resuming import assert_same_training, killed
from toys import toy_images

import gendata
from gendata.errors import GendataError
from gendata.registry import methods

IMAGES = {"synthetic": (66, 0), "real": (18, 1), "test": (30, 2), "validation": (30, 3)}
OPTIONS = {"epochs": 4, "batch_size": 32, "schedule": "cosine"}


@pytest.fixture
def images():
    return {role: toy_images(role, *numbers) for role, numbers in IMAGES.items()}


@pytest.mark.parametrize(
    ("method", "options", "killed_in"),
    [
        ("pg+rg", {"views": 2, "select": "target-val", "teacher_size": 32}, (1, 3)),
        # Killed within the second stage, whose source encoder is the method's own state.
        ("adda", {"optimizer": "sgd", "select": "source-val", "first_share": 0.5}, (3,)),
    ],
)
def test_killed_and_resumed_ends_with_the_same_weights(
    start, images, tmp_path, method, options, killed_in
):
    options = {"method": method, "progress": False, "device": "cpu", **OPTIONS, **options}
    whole = gendata.train(**images, **options)
    options["out"] = str(tmp_path / "run")
    for epoch in killed_in:
        job = {"images": IMAGES, "runs": [options], "die_in_epoch": epoch}
        codes, _, _ = start(job)
        assert codes == [-signal.SIGKILL]
        assert len((tmp_path / "run" / "metrics.jsonl").read_text().splitlines()) == epoch
    resumed = gendata.train(**images, **options)
    assert_same_training(whole, resumed)
    assert not (tmp_path / "run" / "state.pt").exists()


def test_a_finished_training_returns_at_once(images, tmp_path, monkeypatch):
    options = {**OPTIONS, "epochs": 2, "method": "real", "out": tmp_path, "progress": False}
    options["select"] = "oracle"
    first = gendata.train(**images, **options)

    def no_training(*_):
        raise AssertionError("it trained again")

    monkeypatch.setattr("gendata.training.run._prepared", no_training)
    again = gendata.train(**images, **options)
    assert again.test_accuracy == first.test_accuracy
    assert again.selections == first.selections
    assert again.history == first.history
    for mine, theirs in zip(
        first.network.state_dict().values(), again.network.state_dict().values(), strict=True
    ):
        assert torch.equal(mine, theirs)


def test_other_settings_are_refused_and_the_difference_is_shown(images, tmp_path):
    options = {"method": "fake", "epochs": 1, "progress": False, "out": tmp_path / "run"}
    gendata.train(**images, **options)
    before = {path: path.read_bytes() for path in (tmp_path / "run").iterdir()}
    for change, shown in (
        ({"learning_rate": 0.5}, "learning_rate 0.001 there, 0.5 now"),
        ({"method": "rg"}, 'method "fake" there, "rg" now'),
        ({"synthetic": toy_images("others", 60, 5)}, 'name "synthetic" there, "others" now'),
    ):
        with pytest.raises(GendataError, match=shown):
            gendata.train(**{**images, **options, **change})
    assert {path: path.read_bytes() for path in (tmp_path / "run").iterdir()} == before


def test_a_folder_with_something_else_is_left_alone(images, tmp_path):
    (tmp_path / "thesis.tex").write_text("\\begin{document}")
    with pytest.raises(GendataError, match="no training"):
        gendata.train(**images, method="fake", epochs=1, out=tmp_path, progress=False)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


@pytest.mark.parametrize(
    "mistake",
    [
        {"network": "nope"},
        {"tap": "nolayer"},
        {"method": "pg", "teacher": "nobody"},
        {"method": "pg", "teacher_tap": "nolayer"},
    ],
)
def test_a_mistake_found_while_building_leaves_no_folder(images, tmp_path, mistake):
    options = {"method": "fake", "epochs": 1, "progress": False, "out": tmp_path / "run"}
    with pytest.raises(GendataError):
        gendata.train(**images, **{**options, **mistake})
    assert not (tmp_path / "run").exists()


def test_a_folder_that_cannot_be_made_is_one_clear_error(images, tmp_path):
    (tmp_path / "file").write_text("in the way")
    for out in (tmp_path / "file", tmp_path / "file" / "run", "/proc/no-such-folder/run"):
        with pytest.raises(GendataError):
            gendata.train(**images, epochs=1, progress=False, out=out)


def test_a_damaged_state_is_one_clear_error(images, tmp_path, monkeypatch):
    options = {"method": "fake", **OPTIONS, "out": tmp_path, "progress": False}
    with killed(monkeypatch, methods.get("fake"), at=0.6):
        gendata.train(**images, **options)
    state = tmp_path / "state.pt"
    state.write_bytes(state.read_bytes()[:1000])
    with pytest.raises(GendataError, match="damaged"):
        gendata.train(**images, **options)


def test_what_a_folder_holds(images, tmp_path):
    gendata.train(**images, method="aug", epochs=2, out=tmp_path, progress=False, tensorboard=True)
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {
        "run.json", "metrics.jsonl", "last.safetensors", "result.json", "tensorboard",
    }  # fmt: skip
    run = json.loads((tmp_path / "run.json").read_text())
    assert run["settings"]["network"] == "small-cnn" and run["versions"]["torch"]
    records = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert [record["epoch"] for record in records] == [1, 2]
    assert {"loss", "accuracy", "validation_accuracy"} <= records[0].keys()
    assert list((tmp_path / "tensorboard").iterdir())
    result = json.loads((tmp_path / "result.json").read_text())
    assert result["selections"]["last"]["test"]["images"] == 30


def test_a_full_disk_is_one_clear_error_and_keeps_the_state_before(images, tmp_path, monkeypatch):
    options = {"method": "fake", **OPTIONS, "out": tmp_path / "run", "progress": False}
    save, calls = torch.save, []

    def save_until_full(content, file):
        calls.append(file)
        if len(calls) == 3:
            file.write(b"half a file")
            raise OSError(28, "No space left on device")
        save(content, file)

    with monkeypatch.context() as patch, pytest.raises(GendataError, match="disk is full"):
        patch.setattr("gendata.training.run_folder.torch.save", save_until_full)
        gendata.train(**images, **options)
    assert not list((tmp_path / "run").glob(".*.tmp"))
    resumed = gendata.train(**images, **options)
    whole = gendata.train(**images, **{**options, "out": None})
    assert_same_training(whole, resumed)
