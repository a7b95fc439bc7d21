"""Trainings of so many updates, and those that see each image once, also when they are killed."""

import math

import pytest
import torch
from resuming import assert_same_training, assert_same_weights, killed
from toys import toy_images

import gendata
from gendata.errors import GendataError
from gendata.guidance.fake_only import FakeOnly
from gendata.training.run import resolve
from gendata.training.settings import Settings
from gendata.training.spans import span_of

ONCE = {"method": "fake", "repeat": False, "batch_size": 8, "device": "cpu", "progress": False}


@pytest.fixture
def seen(monkeypatch):
    """The rows of every step, and the learning rate at it."""
    steps = []
    step = FakeOnly.step

    def note(self, batch, progress):
        rows = batch["synthetic"].rows.tolist()
        steps.append((rows, self.learner.learning_rate, progress))
        return step(self, batch, progress)

    monkeypatch.setattr(FakeOnly, "step", note)
    return steps


def rows(seen):
    return [row for step_rows, _, _ in seen for row in step_rows]


@pytest.mark.parametrize("epochs", [1, 3, 9])
def test_each_image_comes_once_in_batches_that_share_none(seen, epochs):
    gendata.train(synthetic=toy_images("s", 70, 0), epochs=epochs, **ONCE)
    assert [len(step_rows) for step_rows, _, _ in seen] == [8] * 8 + [6]
    assert sorted(rows(seen)) == list(range(70))


def test_the_parts_change_no_batch_and_no_rate(seen):
    gendata.train(synthetic=toy_images("s", 70, 0), epochs=1, **ONCE)
    whole = seen.copy()
    seen.clear()
    gendata.train(synthetic=toy_images("s", 70, 0), epochs=4, **ONCE)
    assert [each[0] for each in seen] == [each[0] for each in whole]
    assert [each[1] for each in seen] == pytest.approx([each[1] for each in whole])


@pytest.mark.parametrize("resident", [True, False])
def test_a_killed_one_goes_on_without_a_repetition(seen, monkeypatch, tmp_path, resident):
    if not resident:
        monkeypatch.setattr("gendata.images.loader.RESIDENT_BYTES", 0)
        monkeypatch.setattr("gendata.images.loader.MOST_WORKERS", 0)
    given = {"synthetic": toy_images("s", 70, 0), "test": toy_images("t", 12, 1), **ONCE}
    given |= {"epochs": 4, "network": "small-vit"}  # it has dropout, which must go on too
    whole = gendata.train(**given)
    seen.clear()
    with killed(monkeypatch, FakeOnly, 0.7):
        gendata.train(**given, out=tmp_path / "run")
    # Spans of 9 batches in 4 parts: 0-2, 2-4, 4-6, 6-9. Killed at batch 7: the last part is lost.
    assert len(rows(seen[:6])) == 48
    kept = seen[:6]
    seen.clear()
    resumed = gendata.train(**given, out=tmp_path / "run")
    assert sorted(rows(kept) + rows(seen)) == list(range(70))
    assert_same_training(whole, resumed)


def test_as_many_updates_as_are_asked_for(seen):
    """A fixed set comes again and again, every pass in an order of its own."""
    images = toy_images("s", 20, 0)
    options = {"batch_size": 6, "device": "cpu", "progress": False, "learning_rate": 0.1}
    result = gendata.train(synthetic=images, iterations=11, epochs=4, **options)
    assert len(seen) == 11 and len(result.history) == 4
    passes = [seen[i : i + 3] for i in range(0, 11, 3)]
    for each in passes[:3]:
        assert len(set(rows(each))) == 18
    assert len({tuple(rows(each)) for each in passes}) == 4
    for number, (_, rate, progress) in enumerate(seen):
        assert progress == pytest.approx(number / 11)
        assert rate == pytest.approx(0.1 / 2 * (1 + math.cos(math.pi * number / 11)))


def test_the_same_updates_in_other_words(seen):
    """Two passes are as many updates, in the same batches and rates."""
    images = toy_images("s", 32, 0)
    options = {"batch_size": 8, "device": "cpu", "progress": False}
    one = gendata.train(synthetic=images, epochs=2, **options)
    before = seen.copy()
    seen.clear()
    other = gendata.train(synthetic=images, epochs=2, iterations=8, **options)
    assert [each[0] for each in seen] == [each[0] for each in before]
    for name, expected in one.network.state_dict().items():
        assert torch.allclose(other.network.state_dict()[name], expected, atol=1e-6)


def test_spans_follow_each_other():
    for total, epochs in ((10, 4), (9, 9), (7, 3), (200_000, 107)):
        spans = [span_of(epoch, epochs, total, 1) for epoch in range(epochs)]
        assert spans[0][0] == 0 and spans[-1][1] == total
        assert all(one[1] == other[0] for one, other in zip(spans, spans[1:], strict=False))
        lengths = {end - start for start, end in spans}
        assert max(lengths) - min(lengths) <= 1 and min(lengths) > 0
    assert span_of(3, 5, None, 7) == (21, 28)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"iterations": 3, "epochs": 4}, "iterations is out of range"),
        ({"repeat": False, "method": "pg+rg"}, "only a training on synthetic images alone"),
        ({"repeat": "no"}, "repeat is neither true nor false"),
        ({"iterations": 0}, "iterations"),
    ],
)
def test_what_cannot_be(options, message):
    method = options.pop("method", "fake")
    with pytest.raises(GendataError, match=message):
        resolve(method, None, options)


@pytest.mark.parametrize("wanted", [{"iterations": 10, "epochs": 2}, {"epochs": 10}])
def test_too_few_images_to_see_each_once(wanted):
    with pytest.raises(GendataError, match="too few images to see each once"):
        gendata.train(synthetic=toy_images("s", 70, 0), **{**ONCE, **wanted})


def test_older_runs_are_still_the_same():
    """What came later is not among what tells runs apart, unless it is used."""
    assert not Settings().decisive().keys() & {"iterations", "repeat"}
    assert Settings(iterations=50, epochs=2).decisive()["iterations"] == 50
    assert Settings(repeat=False).decisive()["repeat"] is False
    assert Settings().decisive().keys() | {"iterations", "repeat"} == set(Settings.names())


def test_watched_sets_choose_nothing(tmp_path):
    test, other = toy_images("t", 12, 1), toy_images("o", 15, 2)
    given = {"synthetic": toy_images("s", 30, 0), "test": test, "epochs": 3, "batch_size": 10}
    given |= {"device": "cpu", "progress": False}
    plain = gendata.train(**given)
    watched = gendata.train(**given, watch={"other": other, "same": test}, out=tmp_path / "run")
    assert_same_weights(plain, watched)
    assert [each["loss"] for each in plain.history] == [each["loss"] for each in watched.history]
    last = watched.history[-1]
    assert last["same_accuracy"] == watched.test_accuracy
    accuracy = gendata.training.accuracy(watched.network, other)
    assert last["other_accuracy"] == accuracy.value
    assert last["other_mean"] == pytest.approx(sum(accuracy.per_class) / 3)
    with pytest.raises(GendataError, match="other"):
        gendata.train(**given, watch={"other": test}, out=tmp_path / "run")
    with pytest.raises(GendataError, match="name of a role"):
        gendata.train(**given, watch={"validation": other})
