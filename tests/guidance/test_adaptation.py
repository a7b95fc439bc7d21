"""Adp.: the second stage and its rate."""

import pytest
import torch
from toys import toy_images

import gendata
from gendata.errors import GendataError
from gendata.guidance.adaptation import Adaptation

OPTIONS = {"batch_size": 32, "schedule": "constant", "progress": False, "device": "cpu"}


@pytest.fixture(scope="module")
def images():
    return {
        "synthetic": toy_images("synthetic", 66, 0),
        "real": toy_images("real", 18, 1),
        "test": toy_images("test", 30, 2),
    }


def test_a_second_stage_without_a_rate_is_the_first_alone(images):
    first = gendata.train(**images, method="fake", epochs=3, **OPTIONS)
    held = gendata.train(**images, method="adp", adaptation_rate=0, epochs=4, **OPTIONS)
    moved = gendata.train(**images, method="adp", adaptation_rate=0.1, epochs=4, **OPTIONS)
    parameters = zip(*(each.network.parameters() for each in (first, held, moved)), strict=True)
    for expected, still, other in parameters:
        assert torch.equal(still, expected) and not torch.equal(other, expected)


def test_epochs_are_of_synthetic_and_then_of_real_images(images):
    history = gendata.train(**images, method="adp", epochs=8, **OPTIONS).history
    assert [each["sources"] for each in history] == ["synthetic"] * 6 + ["real"] * 2


@pytest.mark.parametrize("options", [{"first_share": 1}, {"adaptation_rate": -1}])
def test_options_are_checked(options):
    with pytest.raises(GendataError, match=next(iter(options))):
        Adaptation(**options)
