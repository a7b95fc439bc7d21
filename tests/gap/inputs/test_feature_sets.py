"""Which images features are extracted of, and that each is extracted once."""

import numpy as np
import pytest
import torch
from gap_toys import inputs_of

from gendata.features.extract import EncoderCard, Features
from gendata.gap.inputs import feature_sets
from gendata.gap.inputs.feature_sets import FeatureSets
from gendata.gap.inputs.opened import REAL
from gendata.images import ArrayImages

CARD = EncoderCard("mean", "none", None, 1, "0")


def images_of(name, per_class, side=8):
    labels = np.arange(2 * per_class) % 2
    pixels = torch.arange(len(labels)).to(torch.uint8).view(-1, 1, 1, 1)
    return ArrayImages(name, ["a", "b"], pixels.expand(-1, 3, side, side).contiguous(), labels)


@pytest.fixture
def extracted(monkeypatch):
    """Stands in for the extraction: an image's feature is its first pixel; notes what it saw."""
    seen = []

    def extract(images, encoder, *, cache, progress):
        seen.append((images.name, len(images), images[0][0].shape[1]))
        values = [[float(images[row][0][0, 0, 0])] for row in range(len(images))]
        rows = np.arange(len(images))
        labels = np.asarray(images.labels)
        return Features(
            np.array(values, np.float32), labels, images.classes, CARD, images.name, rows
        )

    monkeypatch.setattr(feature_sets, "extract_features", extract)
    return seen


def sets_of(real, clone, test=None, whole=False, limit=None):
    inputs = inputs_of(real, clone, test, limit)
    return FeatureSets(inputs, None, whole=whole)


@pytest.mark.parametrize("whole", [False, True])
def test_compared_features_stand_in_the_order_of_the_losses(extracted, whole):
    sets = sets_of(images_of("real", 30), images_of("clone", 20), whole=whole)
    for name in (REAL, "clone"):
        rows = sets.inputs.parts[name].rows
        found = sets.compared(name)
        assert found.features.values[:, 0].tolist() == rows.tolist() == found.places.tolist()
        assert (found.features.labels == rows % 2).all()
        assert found.picture(3)[0, 0, 0] == rows[3]
    sizes = [size for _, size, _ in extracted]
    assert sizes == ([60, 40] if whole else [36, 36])


def test_whole_sets_are_extracted_once_and_parts_are_taken_from_them(extracted):
    sets = sets_of(images_of("real", 30), images_of("clone", 20), whole=True)
    assert len(sets.whole(REAL).features) == 60
    sets.compared(REAL), sets.whole(REAL), sets.compared(REAL)
    assert extracted == [("real", 60, 8)]


def test_a_limit_holds_for_whole_sets_too(extracted):
    test = images_of("test", 50)
    sets = sets_of(images_of("real", 30), images_of("clone", 20), test, whole=True, limit=20)
    assert len(sets.whole(REAL).features) == len(sets.compared(REAL).features) == 18
    assert len(sets.whole_test().features) == len(sets.judging().features) == 18


def test_test_images_judge_where_there_are_any(extracted):
    real, clone = images_of("real", 30), images_of("clone", 20)
    assert sets_of(real, clone).judging().features.name == "real"
    sets = sets_of(real, clone, images_of("test", 50))
    assert sets.judging().features.name == "test" and len(sets.judging().features) == 36
    assert np.bincount(sets.judging().features.labels).tolist() == [18, 18]
    few = sets_of(real, clone, images_of("test", 5))
    assert len(few.judging().features) == 10


def test_images_of_another_size_are_extracted_at_that_of_the_trainings_too(extracted):
    sets = sets_of(images_of("real", 30), images_of("clone", 20, side=16))
    sets.compared("clone"), sets.at_training_size("clone"), sets.at_training_size(REAL)
    assert extracted == [("clone", 36, 16), ("clone", 36, 8), ("real", 36, 8)]
    assert sets.at_training_size(REAL).places.tolist() == sets.compared(REAL).places.tolist()
