import json
from functools import partial

import gap_toys
import numpy as np
import pytest

from gendata.errors import GendataError
from gendata.gap import measure_gap
from gendata.gap.report.reading import gap_summary

CLASSES = ["a", "<script>alert(1)</script>", "c"]
QUICK = {"seeds": 2, "epochs": 12, "progress": False, "device": "cpu", "batch_size": 16}
QUICK |= {"augment": "none", "learning_rate": 0.01, "parts": ["cross-source"]}

bars = partial(gap_toys.bars, classes=CLASSES)


@pytest.fixture(scope="module")
def collapsed(tmp_path_factory):
    """Real images of two modes against a clone that has lost one."""
    out = tmp_path_factory.mktemp("gap")
    clones = {"collapsed": bars([0], per_class=60, seed=1)}
    report = measure_gap(bars([0, 1]), clones, out, test=bars([0, 1], seed=2), **QUICK)
    return report, out


def test_rows_are_trained_on_and_columns_tested_on(collapsed):
    report, _ = collapsed
    assert report.cross.accuracy.shape == (2, 2, 3)
    assert report.mean_accuracy("real", "collapsed") > 0.95
    assert report.mean_accuracy("collapsed", "collapsed") > 0.95
    assert report.mean_accuracy("collapsed", "real") < 0.8
    assert report.mean_accuracy("collapsed", "real test") < 0.8
    assert report.mean_accuracy("real", "real test") > 0.9
    assert "cover only a part of the real images" in gap_summary(report)


def test_the_losses_say_that_only_the_real_images_are_news(collapsed):
    report, _ = collapsed
    clone, real = (
        report.cross.clone_under_real["collapsed"],
        report.cross.real_under_clone["collapsed"],
    )
    assert clone.spread.above.mean() < 0.1 < 0.2 < real.spread.above.mean()
    assert clone.spread.below.shape == (2,) and clone.spread.images == 3 * 36
    lost = [int(row) for each in real.extremes for row in each.highest.rows]
    assert np.mean([(row // 3) % 2 for row in lost]) > 0.9  # the mode the clone has not
    kept = [int(row) for each in real.extremes for row in each.lowest.rows]
    assert np.mean([(row // 3) % 2 for row in kept]) < 0.1


def test_extremes_show_the_images_of_their_rows(collapsed):
    report, _ = collapsed
    real = bars([0, 1])
    for label, each in enumerate(report.cross.real_under_clone["collapsed"].extremes):
        assert len(each.lowest.rows) == 8
        assert np.all(np.diff(each.lowest.losses) >= 0)
        assert np.all(np.diff(each.highest.losses) <= 0)
        for row, image in zip(each.highest.rows, each.highest.images, strict=True):
            assert real.labels[row] == label
            assert (real.images[row].numpy() == image).all()


def test_sources_of_unequal_size_are_compared_on_equally_many(collapsed):
    report, _ = collapsed
    facts = [(s.name, s.role, s.images, s.training, s.held_out) for s in report.sources]
    assert facts == [
        ("real", "real", 120, 108, 12),
        ("collapsed", "clone", 180, 108, 12),
        ("real test", "test", 120, 120, 0),
    ]


def test_curves_have_every_epoch_and_learn(collapsed):
    report, _ = collapsed
    for curves in report.cross.curves.values():
        assert {runs.shape for runs in curves.values()} == {(2, 12)}
        assert (curves["train_loss"][:, -1] < curves["train_loss"][:, 0]).all()
        assert (curves["held_out_accuracy"][:, -1] > 0.8).all()
        assert np.isfinite(curves["held_out_loss"]).all()


def test_gap_json_holds_the_numbers_under_stable_keys(collapsed):
    report, out = collapsed
    read = json.loads((out / "gap.json").read_text("utf-8"))
    assert read == json.loads(json.dumps(report.to_json()))
    assert list(read) == [
        *("schema", "environment", "settings", "parts", "classes", "seeds", "sources"),
        *("accuracy", "curves", "losses", "extremes", "clones"),
    ]
    assert read["accuracy"]["trained_on"] == ["real", "collapsed"]
    assert read["accuracy"]["tested_on"] == ["real", "collapsed", "real test"]
    assert np.allclose(read["accuracy"]["std"], report.cross.accuracy.std(axis=0, ddof=1))
    losses = read["losses"]["clones"]["collapsed"]["real_under_clone"]
    assert len(losses["shares"]) == len(read["losses"]["edges"]) + 1
    assert losses["above_1"]["mean"] == pytest.approx(np.mean(losses["above_1"]["runs"]))
    worst = read["extremes"]["collapsed"]["real_under_clone"]["a"]["highest"][0]
    by_class = losses["classes"]
    assert list(by_class) == CLASSES
    assert np.mean([each["above_1"]["runs"] for each in by_class.values()], axis=0) == (
        pytest.approx(losses["above_1"]["runs"])
    )
    assert sum(each["images"] for each in by_class.values()) == losses["images"]
    asymmetry = read["losses"]["clones"]["collapsed"]["asymmetry"]
    assert asymmetry["mean"] > 0.1 and list(asymmetry["classes"]) == CLASSES
    assert worst["loss"] > 1 and bars([0, 1]).labels[worst["row"]] == 0


def test_the_report_is_written_beside_it(collapsed):
    _, out = collapsed
    html = (out / "report.html").read_text("utf-8")
    assert "<script" not in html and "&lt;script&gt;alert(1)" in html
    assert html.count("data:image/png;base64,") == 2 * 2 * len(CLASSES)


def test_of_many_classes_the_hardest_are_shown_and_all_are_recorded(tmp_path, monkeypatch):
    monkeypatch.setattr("gendata.gap.cross_source.measure.SHOWN_CLASSES", 2)
    quick = {**QUICK, "epochs": 2, "seeds": 1}
    report = measure_gap(bars([0, 1]), {"clone": bars([0], seed=1)}, tmp_path, **quick)
    cross = report.cross.real_under_clone["clone"]
    worst = [each.highest.losses.mean() for each in cross.extremes]
    assert [each.shown for each in cross.extremes].count(True) == 2
    assert all(len(each.highest.losses) == 8 for each in cross.extremes) and min(worst) > 0
    html = (tmp_path / "report.html").read_text("utf-8")
    assert html.count("data:image/png") == 2 * 2 * 2
    assert "The 2 classes of highest loss" in html


def test_identical_sources_have_no_gap():
    real = bars([0, 1])
    report = measure_gap(real, {"same": real}, **QUICK)
    assert (report.cross.accuracy == report.cross.accuracy[:, :1, :1]).all()
    ours, theirs = report.cross.clone_under_real["same"], report.cross.real_under_clone["same"]
    assert (ours.spread.shares == theirs.spread.shares).all()
    assert "no content gap" in gap_summary(report)


def test_a_killed_measurement_goes_on_and_ends_the_same(tmp_path, monkeypatch):
    from gendata.gap.cross_source import measure as cross_source

    quick = {**QUICK, "epochs": 2}
    clones = {"clone": bars([0], seed=1)}
    whole = measure_gap(bars([0, 1]), clones, tmp_path / "whole", **quick)
    train, calls = cross_source.train, []

    def killed(**options):
        if len(calls) == 3:
            raise KeyboardInterrupt
        calls.append(options["out"])
        return train(**options)

    monkeypatch.setattr(cross_source, "train", killed)
    with pytest.raises(KeyboardInterrupt):
        measure_gap(bars([0, 1]), clones, tmp_path / "part", **quick)
    monkeypatch.undo()
    before = {path: (path / "last.safetensors").stat().st_mtime_ns for path in calls}
    resumed = measure_gap(bars([0, 1]), clones, tmp_path / "part", **quick)
    assert before == {path: (path / "last.safetensors").stat().st_mtime_ns for path in calls}
    both = [{**r.to_json(), "environment": None} for r in (whole, resumed)]
    assert both[0] == both[1]
    names = [{p.name for p in (tmp_path / n / "classifiers").iterdir()} for n in ("whole", "part")]
    assert names[0] == names[1] and len(names[0]) == 4


def test_other_images_or_settings_never_meet_in_one_run(tmp_path):
    quick = {**QUICK, "epochs": 1, "seeds": 1}
    for seed, epochs in ((1, 1), (2, 1), (2, 2)):
        clones = {"clone": bars([0], seed=seed)}
        measure_gap(bars([0, 1]), clones, tmp_path, **{**quick, "epochs": epochs})
        (tmp_path / "gap.json").unlink()
    runs = [path.name.split("-")[0] for path in (tmp_path / "classifiers").iterdir()]
    assert sorted(runs) == ["clone"] * 3 + ["real"] * 2


def test_a_report_of_other_settings_is_not_overwritten(tmp_path):
    quick = {**QUICK, "epochs": 1, "seeds": 1}
    sets = bars([0, 1]), {"clone": bars([0], seed=1)}
    measure_gap(*sets, tmp_path, **quick)
    before = (tmp_path / "report.html").read_bytes()
    with pytest.raises(GendataError, match="epochs 1 there, 2 now"):
        measure_gap(*sets, tmp_path, **{**quick, "epochs": 2})
    assert (tmp_path / "report.html").read_bytes() == before
    measure_gap(*sets, tmp_path, **quick)
    (tmp_path / "gap.json").write_text("[]")
    with pytest.raises(GendataError, match="no report of gendata"):
        measure_gap(*sets, tmp_path, **quick)


@pytest.mark.parametrize("name", ["real", "real test", " "])
def test_a_clone_cannot_take_the_real_set_s_name(name):
    with pytest.raises(GendataError, match="a name it cannot have"):
        measure_gap(bars([0]), {name: bars([0])})


def test_no_clone_and_no_seed_are_refused():
    with pytest.raises(GendataError, match="no clone"):
        measure_gap(bars([0]), {})
    with pytest.raises(GendataError, match="no seed"):
        measure_gap(bars([0]), {"clone": bars([0])}, seeds=0)
