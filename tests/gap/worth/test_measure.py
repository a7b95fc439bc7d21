import json
from functools import partial

import gap_toys
import numpy as np
import pytest
import torch

from gendata.errors import GendataError
from gendata.gap.measures.exchange import Equivalent
from gendata.gap.measures.intervals import Estimate
from gendata.gap.worth import trainings as worth_trainings
from gendata.gap.worth.findings import DEFINITIONS, worth_sentence
from gendata.gap.worth.measure import is_undertrained, measure_worth, measure_worths
from gendata.gap.worth.trainings import ladder, rungs_down_to
from gendata.images import ArrayImages, balanced_split, balanced_subset, open_images

QUICK = {"seeds": 2, "sizes": 3, "ratio": 2.0, "steps": 20, "progress": False, "device": "cpu"}
QUICK |= {"augment": "none", "learning_rate": 0.01, "batch_size": 12}

bars = partial(gap_toys.bars, per_class=16)


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """Real images of two modes; one clone of the same images, one that has lost a mode."""
    out = tmp_path_factory.mktemp("worth")
    clones = {"same": bars([0, 1]), "collapsed": bars([0], seed=1)}
    return measure_worths(bars([0, 1]), clones, bars([0, 1], seed=2), out=out, **QUICK), out


def test_the_same_images_are_worth_one_another(measured):
    same = measured[0]["same"]
    assert (same.real.accuracy[:, -3:] == same.synthetic.accuracy).all()
    assert same.exchange.at_size.rate.value == pytest.approx(1, rel=1e-3) or (
        same.exchange.form == "interpolation"
    )
    assert same.exchange.at_size.real.high == 16


def test_a_collapsed_clone_is_worth_less(measured):
    collapsed = measured[0]["collapsed"]
    assert collapsed.synthetic.accuracy[:, -1].max() < collapsed.real.accuracy[:, -1].min()
    assert collapsed.exchange.at_size.rate.value < 0.7


def test_every_training_makes_as_many_steps(measured):
    worth = measured[0]["same"]
    assert worth.real.sizes.tolist() == [1, 2, 4, 8, 16] and worth.steps == 20
    assert worth.synthetic.sizes.tolist() == [4, 8, 16]
    assert worth.trainings == 2 * (5 + 3 + 3) == len(list(measured[1].iterdir()))
    assert worth.real.accuracy.shape == (2, 5) and worth.test_images == 48
    assert not worth.test_held_out and worth.test_seen == 0
    for folder in measured[1].iterdir():
        settings = json.loads((folder / "run.json").read_text())["settings"]
        assert settings["epochs"] * settings["real"]["images"] == 20 * 12


def test_the_result_is_plain_json(measured):
    read = json.loads(json.dumps(measured[0]["collapsed"].to_json(), allow_nan=False))
    assert list(read) == [
        *("exchange", "real", "synthetic", "classes", "test_images", "test_held_out"),
        *("test_seen", "trainings", "steps", "undertrained"),
        *("seeds", "settings"),
    ]
    assert np.mean(read["real"]["runs"], axis=0) == pytest.approx(read["real"]["mean"])
    assert read["settings"]["size"] == 12 and read["exchange"]["test_images"] == 48
    assert set(DEFINITIONS) == {"worth", "rate", "doubling", "gain"}


def test_a_killed_measurement_goes_on_and_another_clone_finds_the_real_trainings(
    measured, monkeypatch
):
    results, out = measured
    weights = {path: path.stat().st_mtime_ns for path in out.glob("*/last.safetensors")}
    next(out.glob("collapsed-*/result.json")).unlink()  # as a kill before the end leaves it
    calls, train = [], worth_trainings.train
    monkeypatch.setattr(
        worth_trainings, "train", lambda **given: calls.append(given["out"]) or train(**given)
    )
    again = measure_worths(
        bars([0, 1]), {"collapsed": bars([0], seed=1)}, bars([0, 1], seed=2), out=out, **QUICK
    )
    assert len(calls) == 16 and set(calls) < {path.parent for path in weights}
    changed = {path for path, time in weights.items() if path.stat().st_mtime_ns != time}
    assert len(changed) == 1
    assert results["collapsed"].exchange.to_json() == again["collapsed"].exchange.to_json()


def test_without_a_test_set_real_images_are_held_out_and_not_trained_on(monkeypatch):
    shown = {}

    def plan_only(work, *_):
        shown["work"] = work
        raise KeyboardInterrupt

    monkeypatch.setattr("gendata.gap.worth.measure.train_all", plan_only)
    with pytest.raises(KeyboardInterrupt):
        measure_worth(bars([0, 1], per_class=20), bars([0], seed=1), **{**QUICK, "steps": 30})
    work = shown["work"]
    assert len(work.test) == 3 * 4 and len(work.training["real"]) == 3 * 16
    assert work.sizes == {"real": [1, 2, 4, 8, 16], "synthetic": [4, 8, 16]}
    assert work.trainings == 16
    tested = {work.test[row][0].numpy().tobytes() for row in range(12)}
    trained = {work.training["real"][row][0].numpy().tobytes() for row in range(48)}
    assert not tested & trained and len(tested | trained) == 60


def test_test_images_that_were_trained_on_are_left_out():
    real, other = bars([0, 1]), bars([0], seed=1)
    mixed = ArrayImages(
        "mixed",
        real.classes,
        torch.cat([real.images[:9], bars([0, 1], seed=2).images[:30], other.images[:6]]),
        np.arange(45) % 3,
    )
    found = measure_worth(real, other, mixed, **{**QUICK, "seeds": 1})
    assert (found.test_seen, found.test_images) == (15, 30)
    with pytest.raises(GendataError, match="every test image is among the training images"):
        measure_worth(real, other, real, **QUICK)


def test_a_training_too_short_to_learn_its_own_images_is_told(measured):
    assert not measured[0]["same"].undertrained
    accuracies = np.array([0.74, 0.76])
    assert is_undertrained(accuracies, 0.25) and not is_undertrained(accuracies, 0.4)
    assert not is_undertrained(np.array([0.99]), 0.01)


@pytest.mark.parametrize(
    ("largest", "count", "ratio", "sizes"),
    [
        (1000, 4, 3.0, [37, 111, 333, 1000]),
        (1000, 4, 2.0, [125, 250, 500, 1000]),
        (5, 4, 3.0, [1, 2, 3, 5]),
        (3, 5, 2.0, [1, 2, 3]),
    ],
)
def test_sizes_form_a_ladder(largest, count, ratio, sizes):
    assert ladder(largest, count, ratio) == sizes


@pytest.mark.parametrize(
    ("size", "largest", "ratio"), [(60 / 9, 1000, 3.0), (1000 / 9, 1000, 3.0)]
)
def test_the_real_ladder_reaches_down_to_a_size(size, largest, ratio):
    count = rungs_down_to(size, largest, ratio)
    assert ladder(largest, count, ratio)[0] <= size < ladder(largest, count - 1, ratio)[0]


def test_a_ladder_needs_one_rung_where_the_size_is_larger_than_all():
    assert rungs_down_to(5000, 1000, 3.0) == 1
    assert rungs_down_to(0.2, 27, 3.0) == 4  # no smaller than one image


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"seeds": 0}, "no seed to train with"),
        ({"sizes": 2}, "no learning curve; found 2 of ratio 2.0"),
        ({"ratio": 1.0}, "no learning curve"),
        ({"steps": 3}, "too few steps to see every image once; found 3 of 12 images; expected at"),
        ({"epochs": 3}, "epochs cannot be set here"),
        ({"select": "oracle"}, "select cannot be set here"),
        ({"per_class": 2}, "too few images in 'real' for a learning curve; found 2"),
    ],
)
def test_calls_that_cannot_work_are_refused_before_a_training(changed, message):
    with pytest.raises(GendataError, match=message):
        measure_worth(bars([0]), bars([0], seed=1), bars([0], seed=2), **{**QUICK, **changed})


def test_clones_have_names_of_their_own():
    with pytest.raises(GendataError, match="cannot be named 'real'"):
        measure_worths(bars([0]), {"real": bars([0])}, **QUICK)
    with pytest.raises(GendataError, match="no clone"):
        measure_worths(bars([0]), {}, **QUICK)
    renamed = bars([0])
    renamed.classes = ["a", "b", "d"]
    with pytest.raises(GendataError, match="only gan has 'd'"):
        measure_worths(bars([0]), {"gan": renamed}, **QUICK)


def equivalent(value, low, high, bound="measured"):
    accuracy = Estimate(0.8, 0.79, 0.81)
    return Equivalent(100, accuracy, Estimate(value, low, high), bound, 12, 1000)


@pytest.mark.parametrize(
    ("found", "sentence"),
    [
        (
            equivalent(31.4, 27.2, 36.1),
            "100 synthetic images a class are worth about 31 (27 to 36) real ones: 0.31 each",
        ),
        (
            equivalent(31.4, 12, 36.1),
            "100 synthetic images a class are worth about 31 (fewer than 12 to 36) real ones: "
            "0.31 each",
        ),
        (
            equivalent(1000, 612, 1000, "at least"),
            "100 synthetic images a class are worth 1,000 real ones or more (at the least 610): "
            "10 each or more",
        ),
        (
            equivalent(12, 12, 15.2, "fewer than"),
            "100 synthetic images a class are worth fewer than 12 real ones (at the most 15): "
            "less than 0.12 each",
        ),
        (
            equivalent(40, 12, 1000),
            "What 100 synthetic images a class are worth cannot be told from these trainings: "
            "anything from fewer than 12 to more than 1,000 real ones fits",
        ),
    ],
)
def test_the_sentence_says_what_was_found_and_no_more(found, sentence):
    assert worth_sentence(found) == sentence


@pytest.mark.slow
def test_other_real_images_are_worth_about_one_each(tmp_path):
    """Clones that are more of the real data, on Fashion-MNIST at half its size: 36 trainings."""
    rest, mine = balanced_split(open_images("fashion-mnist:train"), 150, 5)
    test = balanced_subset(open_images("fashion-mnist:test"), 100, 0)
    clones = {"as many": rest, "fewer": balanced_subset(rest, 50, 0)}
    options = {"per_class": 150, "steps": 300, "batch_size": 32, "size": 14, "device": "cpu"}
    found = measure_worths(mine, clones, test, out=tmp_path, progress=False, **options)
    for name, size in (("as many", 150), ("fewer", 50)):
        worth = found[name].exchange.at_size
        assert worth.synthetic == size and size / 2 < worth.real.value < 2 * size
        assert worth.real.low <= size <= worth.real.high
