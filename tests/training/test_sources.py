"""Which images are seen, when, and what is refused."""

import numpy as np
import pytest
import torch
from toys import toy_images

import gendata
from gendata.errors import GendataError
from gendata.images import ArrayImages, make_loader
from gendata.training.sources import batches
from gendata.training.spans import span_of
from gendata.types import Stage


def rows(loaders, stage, epoch, source):
    span = span_of(epoch, 4, None, loaders[stage.sources[0]].steps)
    return [batch[source].rows.tolist() for batch in batches(loaders, stage, span)]


def test_the_first_source_sets_the_epoch_and_the_others_cycle_reshuffled():
    loaders = {
        "synthetic": make_loader(toy_images("s", 70, 0), 10),
        "real": make_loader(toy_images("r", 9, 1), 4, seed=5),
    }
    stage = Stage(1.0, ("synthetic", "real"))
    seen = [each for epoch in range(4) for each in rows(loaders, stage, epoch, "real")]
    assert len(seen) == 28
    passes = [seen[i] + seen[i + 1] for i in range(0, 28, 2)]
    assert all(len(set(each)) == 8 for each in passes), "no row twice in a pass"
    assert len({tuple(each) for each in passes}) == 14, "every pass has its own order"
    # An epoch depends on its number alone, so a resumed run sees the same.
    assert rows(loaders, stage, 2, "real") == seen[14:21]
    synthetic = rows(loaders, stage, 1, "synthetic")
    assert sorted(sum(synthetic, [])) == list(range(70))


def relabelled(classes, count=30):
    images = toy_images("others", count, 3)
    return ArrayImages("others", classes, images.images, np.arange(count) % len(classes))


@pytest.mark.parametrize(
    ("classes", "shown"),
    [
        (["left", "middle", "bottom"], "only synthetic has 'top'; only test has 'bottom'"),
        (["middle", "left", "top"], "label 0 is 'left' in synthetic, 'middle' in test"),
        (["left", "middle"], "only synthetic has 'top'"),
    ],
)
def test_class_lists_that_differ(classes, shown):
    with pytest.raises(GendataError, match=shown):
        gendata.train(
            synthetic=toy_images("s", 30, 0), test=relabelled(classes), epochs=1, progress=False
        )


@pytest.mark.parametrize(
    ("options", "shown"),
    [
        ({"method": "rg"}, "needs real images"),
        ({"method": "real"}, "needs real images"),
        ({"select": "target-val"}, "needs validation images"),
        ({"select": "oracle"}, "needs test images"),
        ({"synthetic": None}, "needs synthetic images"),
        ({"synthetic": "no/such/folder"}, "no/such/folder"),
        ({"tensorboard": True}, "folder"),
        ({"device": "abacus"}, "abacus"),
    ],
)
def test_what_is_missing_is_named(options, shown):
    with pytest.raises(GendataError, match=shown):
        gendata.train(**{"synthetic": toy_images("s", 30, 0), "progress": False, **options})


def test_images_that_are_too_small_are_one_clear_error():
    images = toy_images("s", 30, 0)
    with pytest.raises(GendataError, match="small-cnn needs larger images; found 4x4 in 's'"):
        gendata.train(synthetic=images, size=4, progress=False)
    small = ArrayImages("tiny", images.classes, images.images[:, :, :4, :4], images.labels)
    with pytest.raises(GendataError, match="found 4x4 in 'tiny'"):
        gendata.train(synthetic=images, test=small, progress=False)


def test_selection_rules_choose_their_epoch():
    images = {
        "synthetic": toy_images("synthetic", 60, 0),
        "real": toy_images("real", 30, 1),
        "test": toy_images("test", 60, 2, noise=150),
        "validation": toy_images("validation", 60, 3, noise=150),
    }
    common = {"epochs": 5, "batch_size": 16, "progress": False, "learning_rate": 0.01}
    roles = {"target-val": "validation", "source-val": "held_out", "oracle": "test"}
    for rule, role in roles.items():
        result = gendata.train(**images, method="aug", select=rule, **common)
        scores = [record[f"{role}_accuracy"] for record in result.history]
        assert list(result.selections) == ["last", rule]
        assert result.selections[rule].epoch == 1 + scores.index(max(scores))
        assert result.selections["last"].epoch == 5
        assert result.test_accuracy == result.selections[rule].test.value
        assert f"'{rule}'" in str(result) and ("upper bound" in str(result)) == (rule == "oracle")
        assert ("test_accuracy" in result.history[0]) == (rule == "oracle")
        assert (
            gendata.training.accuracy(result.network, images["test"]).value == result.test_accuracy
        )


def test_divergence_is_one_clear_error():
    with pytest.raises(GendataError, match="no longer finite.*learning_rate"):
        gendata.train(
            synthetic=toy_images("s", 60, 0),
            epochs=3,
            batch_size=16,
            optimizer="sgd",
            learning_rate=1e38,
            progress=False,
        )


def test_the_callers_random_state_is_left_alone():
    torch.manual_seed(1)
    expected = torch.rand(1)
    torch.manual_seed(1)
    gendata.train(synthetic=toy_images("s", 30, 0), epochs=1, batch_size=16, progress=False)
    assert torch.equal(torch.rand(1), expected)
