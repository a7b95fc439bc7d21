"""The studies of rendered images from end to end, on a made-up renderer."""

import json
import pickle
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from toy_renderer import CLASSES, PRESET

from gendata.benchmarks.protocol import runs
from gendata.benchmarks.protocol.presets import load_presets
from gendata.benchmarks.protocol.rendered import bank as banks
from gendata.benchmarks.protocol.rendered.arguments import protocol_of, runs_of
from gendata.errors import GendataError
from gendata.guidance.fake_only import FakeOnly
from gendata.images import ArrayImages, open_images
from gendata.images.export import export_images
from gendata.registry import studies
from gendata.samplers import load_sampler


@pytest.fixture
def preset(tmp_path):
    path = tmp_path / "toys.toml"
    path.write_text(PRESET)
    return str(path)


@pytest.fixture
def photos(tmp_path):
    """Real images of three classes, two of which are rendered under other names."""
    labels = np.arange(18) % 3
    pixels = torch.randint(0, 256, (18, 3, 16, 16), dtype=torch.uint8)
    images = ArrayImages("photos", ["airplane", "frog", "truck"], pixels, labels)
    export_images(images, tmp_path / "photos")
    return tmp_path / "photos"


def run(study, tmp_path, preset, **given):
    out = tmp_path / "out"
    return studies.get(study)(out=out, preset=preset, device="cpu", **given)


def clones(tmp_path):
    """Images of each class by the name of the clone."""
    found = {}
    for folder in sorted((tmp_path / "out" / "clones").iterdir()):
        images = open_images(folder)
        found[folder.name.rpartition("-")[0]] = len(images) // len(images.classes)
    return found


def check_tests_of(record, tmp_path):
    """A run's figures are those of its last epoch, and the best of all."""
    lines = (tmp_path / "out/runs" / record["key"] / "metrics.jsonl").read_text().splitlines()
    history = [json.loads(line) for line in lines]
    assert len(history) == 2
    for name, found in record["tests"].items():
        assert found["accuracy"] == history[-1][f"{name}_accuracy"]
        assert found["best_mean"] == max(each[f"{name}_mean"] for each in history)
    assert record["accuracy"] == record["tests"]["IID"]["accuracy"]
    counts = [(name, found["images"]) for name, found in record["tests"].items()]
    assert counts == [("IID", 20), ("IID w/o background", 20), ("Photos", 12)], "no frogs"


def test_fixed_against_never_repeated_images(tmp_path, preset, photos, monkeypatch):
    given = {"test": [f"Photos={photos}"]}
    result = run("rendered", tmp_path, preset, **given)
    records = result.data["records"]
    assert [(r["row"], r["seed"]) for r in records] == [
        (f"small-cnn, {kind}, none", seed) for kind in ("fixed", "once") for seed in (0, 1)
    ]
    # 6 iterations of 16 images, of 4 classes: 24 of each; the fixed set is a part of them.
    assert clones(tmp_path) == {"random": 24, "test-IID": 5, "test-IID-w-o-background": 5}
    assert [r["per_class"] for r in records] == [8, 8, 24, 24]
    for record in records:
        check_tests_of(record, tmp_path)
    last, best = result.tables
    assert "ORACLE" in best.caption and "ORACLE" not in last.caption
    assert [row[:3] for row in last.rows] == [
        ["small-cnn", "T", "none"],
        ["small-cnn", "F", "none"],
    ]
    head = ["network", "FD", "DA", "IID", "IID w/o background", "Photos", "Photos, mean"]
    assert last.columns[:7] == head
    mean = np.mean([r["tests"]["Photos"]["mean"] for r in records[:2]])
    assert last.rows[0][6].startswith(f"{100 * mean:.1f} ± ")
    files = {path.name for path in (tmp_path / "out" / "rendered").iterdir()}
    assert files >= {"results.json", "results.md", "results.txt", "results.tex", "results.csv"}

    # Again: nothing is rendered and nothing trained.
    monkeypatch.setattr(runs, "train", lambda **_: pytest.fail("a finished run was repeated"))
    monkeypatch.setattr(banks, "draw_clone", lambda *_, **__: pytest.fail("it rendered again"))
    again = run("rendered", tmp_path, preset, **given)
    assert [r["key"] for r in again.data["records"]] == [r["key"] for r in records]
    assert again.tables[0].rows == last.rows
    # One seed more would need two runs.
    listed = run("rendered", tmp_path, preset, **given, seeds=3, dry_run=True).data
    assert (listed["finished"], listed["left"]) == (4, 2)
    assert listed["cost"]["images"] == 0 and listed["cost"]["iterations"] == 12


def test_no_image_of_a_never_repeated_training_comes_twice(tmp_path, preset, monkeypatch):
    seen = []
    train = runs.train

    def watched_train(**given):
        seen.append((given["repeat"], len(given["synthetic"]), given["iterations"]))
        return train(**given)

    monkeypatch.setattr(runs, "train", watched_train)
    run("rendered", tmp_path, preset, seeds=1)
    assert seen == [(True, 32, 6), (False, 96, 6)]


def test_each_image_comes_once_also_where_the_study_is_killed_and_goes_on(
    tmp_path, preset, monkeypatch
):
    """The kept part of a killed training and what the study then adds are each image once."""
    seen, step = [], FakeOnly.step
    stop_at = 1_000

    def note(self, batch, progress):
        if len(seen) == stop_at:
            raise KeyboardInterrupt
        seen.append(sorted(batch["synthetic"].rows.tolist()))
        return step(self, batch, progress)

    monkeypatch.setattr(FakeOnly, "step", note)
    whole = run("rendered", tmp_path / "whole", preset, seeds=1).data["records"]
    assert len(seen) == 12, "six steps on fixed images, then six on images that never come again"
    expected = seen.copy()
    assert sorted(row for rows in expected[6:] for row in rows) == list(range(96))
    seen.clear()
    stop_at = 11
    with pytest.raises(KeyboardInterrupt):
        run("rendered", tmp_path / "killed", preset, seeds=1)
    kept = seen[:9]  # the first training, and the first of two parts of the second
    seen.clear()
    resumed = run("rendered", tmp_path / "killed", preset, seeds=1).data["records"]
    assert kept + seen == expected
    assert [(r["key"], r["tests"]) for r in resumed] == [(r["key"], r["tests"]) for r in whole]


def test_one_factor_at_a_time(tmp_path, preset):
    result = run("factors", tmp_path, preset)
    rows = ["random", "camera: location1", "material: red", "background: none"]
    records = result.data["records"]
    assert list(dict.fromkeys(r["row"] for r in records)) == rows
    table, ranking = result.tables
    assert [row[:2] for row in table.rows] == [
        ["random", "all factors"],
        ["camera", "location1"],
        ["material", "red"],
        ["background", "none"],
    ]
    assert table.rows[0][-2:] == ["87.63", "78.55"]
    assert table.rows[1][-2:] == ["24.60", "26.56"] and table.rows[2][-2:] == ["–", "–"]
    means = {
        row: np.mean([r["tests"]["IID"]["accuracy"] for r in records if r["row"] == row])
        for row in rows
    }
    losses = {row[1]: row[3].split()[0] for row in ranking.rows}
    for name in rows[1:]:
        expected = f"{100 * (means[name] - means['random']):+.1f}"
        assert losses[name.partition(":")[0]] == expected
    assert [row[0] for row in ranking.rows] == ["1", "2", "3"]
    ordered = [float(row[3].split()[0]) for row in ranking.rows]
    assert ordered == sorted(ordered)
    places = {row[1]: row[5] for row in ranking.rows}
    assert places == {"camera": "2", "material": "3", "background": "1"}


def test_all_that_is_not_fixed_stays_as_it_was(tmp_path, preset):
    """Every set is rendered from the same seeds."""
    run("factors", tmp_path, preset, only=["camera"], limit=0)
    folders = {path.name.rpartition("-")[0]: path for path in (tmp_path / "out/clones").iterdir()}
    factors = {"random": {}, "camera-location1": {"camera.azimuth": 0}}
    seeds = {
        name: [
            seed
            for path in sorted(folders[name].glob("*.parquet"))
            for seed in pq.read_table(path)["seed"].to_pylist()
        ]
        for name in factors
    }
    assert seeds["random"] == seeds["camera-location1"]
    for name, fixed in factors.items():
        images = open_images(folders[name])
        sampler = load_sampler("toy-renderer:here", device="cpu", resolution=16, **fixed)
        expected = sampler.sample(torch.from_numpy(images.labels), torch.tensor(seeds[name]))
        assert all(torch.equal(images[row][0], each) for row, each in enumerate(expected))


def test_only_some_factors(tmp_path, preset):
    listed = run("factors", tmp_path, preset, only=["camera"], dry_run=True).data
    assert listed["runs"] == 4
    with pytest.raises(GendataError, match="no factor is called 'lights'"):
        run("factors", tmp_path, preset, only=["lights"], dry_run=True)


def test_capacity_and_quantity_share_the_images(tmp_path, preset):
    capacity = run("capacity", tmp_path, preset, seeds=1)
    (table,) = capacity.tables
    assert [row[0] for row in table.rows] == ["small-cnn", "small-mixer-s"]
    parameters = [r["parameters"] for r in capacity.data["records"]]
    assert [row[1] for row in table.rows] == [f"{each / 1e6:.2f} M" for each in parameters]
    assert table.rows[1][-1] == "81.5" and table.rows[0][-1] == "–"
    assert (tmp_path / "out" / "capacity" / "results.png").stat().st_size > 5000
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "out/clones").rglob("*")}
    quantity = run("quantity", tmp_path, preset, seeds=1)
    assert before == {path: path.stat().st_mtime_ns for path in before}, "nothing drawn again"
    (table,) = quantity.tables
    assert [row[:2] for row in table.rows] == [["16", "6.0"], ["48", "2.0"], ["96", "1.0"]]
    assert [r["settings"]["repeat"] for r in quantity.data["records"]] == [True, True, False]


def test_some_classes_and_another_size(tmp_path, preset, photos):
    given = {"classes": ["truck", "aeroplane"], "size": 32, "seeds": 1, "iterations": 4}
    result = run("rendered", tmp_path, preset, test=[str(photos)], **given)
    folder = next((tmp_path / "out" / "clones").glob("random*"))
    images = open_images(folder)
    assert list(images.classes) == ["aeroplane", "truck"] and images[0][0].shape == (3, 32, 32)
    assert len(images) == 4 * 16
    assert Counter(r["settings"]["size"] for r in result.data["records"]) == {32: 2}


def test_a_dry_run_reckons_and_touches_nothing(tmp_path, preset):
    result = run("rendered", tmp_path, preset, dry_run=True)
    assert not (tmp_path / "out").exists()
    cost = result.data["cost"]
    assert cost["images"] == 4 * (24 + 5 + 5) and cost["iterations"] == 4 * 6
    assert cost["rendering_hours"] == pytest.approx(136 / 10 / 3600)
    assert cost["training_hours"] == pytest.approx(24 / 2 / 3600)
    assert cost["gigabytes"] == pytest.approx(136e-6)
    assert "136 images to render, 24 iterations" in result.text()


def test_a_dry_run_goes_without_photos_that_are_not_there(tmp_path, preset, capsys):
    run("rendered", tmp_path, preset, limit=0)  # renders, and trains nothing
    listed = run("rendered", tmp_path, preset, test=["Photos=nowhere"], dry_run=True).data
    assert (listed["finished"], listed["left"]) == (0, 4)
    assert "Toys: " in (told := capsys.readouterr().err) and "nowhere" in told


def test_a_test_set_is_a_table(tmp_path, preset):
    Path(preset).write_text(PRESET.replace("IID = {}", "IID = 5"))
    with pytest.raises(GendataError, match="the test set 'IID' is not written as it should be"):
        run("rendered", tmp_path, preset, dry_run=True)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"augment": ["mild"]}, "unknown augmentation 'mild'"),
        ({"networks": ["small-cn"]}, "no network is called 'small-cn'"),
        ({"iterations": 1}, "iterations is out of range"),
        ({"seeds": 0}, "seeds is out of range"),
        ({"per_class": 0}, "number of images of each class is out of range"),
        ({"test_per_class": 0}, "test_per_class is out of range"),
        ({"preset": "fashion-mnist"}, "has nothing for rendered|no sampler"),
        ({"preset": "rendered-cifar10"}, "leaves something to you"),
    ],
)
def test_mistakes_show_before_anything_is_rendered(tmp_path, preset, given, message, monkeypatch):
    monkeypatch.setattr(banks, "draw_clone", lambda *_, **__: pytest.fail("it rendered"))
    with pytest.raises(GendataError, match=message):
        run("rendered", tmp_path, given.pop("preset", preset), **given)


def test_photos_without_a_rendered_class(tmp_path, preset, monkeypatch):
    pixels = torch.zeros(4, 3, 16, 16, dtype=torch.uint8)
    images = ArrayImages("frogs", ["frog", "toad"], pixels, [0, 1, 0, 1])
    export_images(images, tmp_path / "frogs")
    monkeypatch.setattr(banks, "draw_clone", lambda *_, **__: pytest.fail("it rendered"))
    with pytest.raises(GendataError, match="too few of the rendered classes"):
        run("rendered", tmp_path, preset, test=[str(tmp_path / "frogs")])


def test_worker_processes_make_the_same_sets(tmp_path, preset):
    """What a process is sent is enough to find a run's images and its key again."""
    (result,) = run("rendered", tmp_path, preset, seeds=1, limit=1).data["records"]
    protocol = protocol_of("rendered", load_presets(preset)[0], {"device": "cpu", "seeds": 1})
    bank = banks.RenderedBank(protocol, tmp_path / "out")
    sent = pickle.dumps((type(bank), bank.protocol, bank.out, runs_of(protocol)[0]))
    kind, theirs, out, their_run = pickle.loads(sent)
    assert runs.key_of(kind(theirs, out), their_run) == result["key"]


def test_other_objects_bring_their_own_classes(tmp_path):
    """The preset's classes and name belong to its own objects."""
    preset = {**load_presets("rendered")[0], "sampler_options": {}}
    given = {"sampler": "toy-renderer:mine", "device": "cpu"}
    protocol = protocol_of("rendered", preset, given)
    assert protocol.class_names == tuple(CLASSES) and protocol.name == "toy-renderer:mine"


def test_classes_that_the_objects_lack_are_refused_before_any_estimate(tmp_path, preset):
    paper = {**load_presets("paper/rendered")[0], "sampler_options": {}}
    assert len(protocol_of("rendered", paper, {}).class_names) == 10, "of no objects as yet"
    given = {"sampler": "toy-renderer:mine", "device": "cpu"}
    with pytest.raises(
        GendataError, match="no class 'airplane'; .* did you mean aeroplane"
    ) as told:
        protocol_of("rendered", paper, given)
    assert ", ".join(CLASSES) in str(told.value)
    with pytest.raises(GendataError, match="no class 'dog'"):
        run("rendered", tmp_path, preset, classes=["dog"], dry_run=True)
