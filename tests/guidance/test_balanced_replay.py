"""Real images drawn evenly from classes of uneven sizes."""

from collections import Counter

import numpy as np
import pytest
import torch
from toys import CLASSES, toy_images

import gendata
from gendata.images import ArrayImages, make_loader
from gendata.training.processes import start_accelerator
from gendata.training.settings import Settings
from gendata.training.sources import Sources, batches, source_loaders
from gendata.types import Stage

COUNTS = (14, 5, 2)  # of 21: seven draws a class


@pytest.fixture
def uneven():
    images = toy_images("uneven", 3 * max(COUNTS), seed=1)
    rows = np.concatenate(
        [np.flatnonzero(images.labels == label)[:count] for label, count in enumerate(COUNTS)]
    )
    return ArrayImages("uneven", CLASSES, images.images[rows], images.labels[rows])


def epoch(loader, number):
    return torch.cat([batch.rows for batch in loader.epoch(number)]).tolist()


def test_every_pass_draws_the_classes_evenly(uneven):
    loader = make_loader(uneven, 6, balanced=True, drop_last=False)
    assert loader.steps == 4
    passes = [epoch(loader, number) for number in range(40)]
    seen = Counter()
    for rows in passes:
        assert len(rows) == 21
        counts = Counter(rows)
        seen.update(rows)
        assert Counter(uneven.labels[rows].tolist()) == {0: 7, 1: 7, 2: 7}
        assert {counts[row] for row in rows if row < 14} == {1}, "half of the large class, once"
        assert sorted(counts[row] for row in range(14, 19)) == [1, 1, 1, 2, 2]
        assert sorted(counts[row] for row in range(19, 21)) == [3, 4]
    assert len({tuple(rows) for rows in passes}) == 40
    assert all(8 < seen[row] < 33 for row in range(14)), "20 on average"
    for batch in loader.epoch(3):
        if len(batch.rows) == 6:
            assert Counter(batch.labels.tolist()) == {0: 2, 1: 2, 2: 2}


def test_a_class_without_images_is_left_out(uneven):
    labels = np.where(uneven.labels == 1, 2, uneven.labels)
    images = ArrayImages("gap", CLASSES, uneven.images, labels)
    rows = epoch(make_loader(images, 7, balanced=True), 0)
    assert sorted(Counter(labels[rows].tolist()).values()) == [10, 11]


@pytest.mark.parametrize("views", [0, 3])
@pytest.mark.parametrize("resident", [True, False])
def test_ranks_and_streams_hold_the_same_batches(uneven, views, resident):
    def batches_of(rank, world, resident):
        options = {"balanced": True, "views": views, "rank": rank, "world": world, "seed": 4}
        loader = make_loader(uneven, 8, resident=resident, workers=0, **options)
        return [batch for number in (0, 5) for batch in loader.epoch(number)]

    whole = batches_of(0, 1, True)
    for world in (1, 2, 3):
        parts = [batches_of(rank, world, resident) for rank in range(world)]
        for step, batch in enumerate(whole):
            for rank in range(world):
                for part, tensor in zip(parts[rank][step], batch, strict=True):
                    assert torch.equal(part, tensor[rank::world])


def test_an_image_that_comes_again_in_a_pass_is_augmented_anew(uneven):
    batch = next(iter(make_loader(uneven, 21, balanced=True, augment="strong").epoch(2)))
    for row in (19, 20):
        drawn = batch.images[batch.rows == row]
        assert len({image.numpy().tobytes() for image in drawn}) == len(drawn) >= 3


def loaders(uneven, order):
    settings = Settings(batch_size=30, real_batch_size=6, real_order=order)
    sources = Sources({"synthetic": toy_images("s", 90, 0), "real": uneven}, {})
    stage = Stage(1.0, ("synthetic", "real"))
    return source_loaders(sources, [stage], settings, start_accelerator("cpu", "no")), stage


def test_the_setting_reaches_the_cycling_real_source_alone(uneven):
    def labels(order, source):
        made, stage = loaders(uneven, order)
        drawn = [b[source].labels.tolist() for e in range(3) for b in batches(made, stage, e)]
        return [Counter(each) for each in drawn]

    even = {0: 2, 1: 2, 2: 2}
    assert labels("balanced", "real") == [even] * 9
    assert labels("shuffle", "real") != [even] * 9
    assert labels("balanced", "synthetic") == labels("shuffle", "synthetic")


def test_a_resumed_epoch_draws_what_it_would_have(uneven):
    made, stage = loaders(uneven, "balanced")
    whole = [b["real"].rows.tolist() for e in range(4) for b in batches(made, stage, e)]
    again, _ = loaders(uneven, "balanced")
    assert [b["real"].rows.tolist() for b in batches(again, stage, 3)] == whole[9:]


def test_training_with_it(uneven, tmp_path):
    """It changes what is learnt, is checked, and belongs to what a run is known by."""
    common = {
        "synthetic": toy_images("s", 60, 0, noise=90),
        "real": uneven,
        "method": "rg",
        "epochs": 2,
        "batch_size": 16,
        "progress": False,
    }
    shuffled = gendata.train(**common)
    even = gendata.train(**common, real_order="balanced", out=tmp_path / "run")
    assert not torch.equal(next(shuffled.network.parameters()), next(even.network.parameters()))
    with pytest.raises(gendata.GendataError, match="real_order"):
        gendata.train(**common, real_order="sorted")
    with pytest.raises(gendata.GendataError, match='real_order "balanced" there, "shuffle" now'):
        gendata.train(**common, out=tmp_path / "run")
