"""Accuracy and per-sample losses against restatements."""

import math

import numpy as np
import pytest
import torch
from toys import CLASSES, toy_images

from gendata.images import ArrayImages
from gendata.models import build_network
from gendata.training import accuracy, per_sample_losses
from gendata.training.evaluate import Accuracy, accuracy_of


@pytest.fixture
def network():
    torch.manual_seed(0)
    network = build_network("small-cnn", 3)
    with torch.no_grad():
        network(toy_images("statistics", 64, 9).images)
    return network.train()


def test_losses_are_in_row_order_and_in_float64(network):
    images = toy_images("test", 37, 4)
    found = per_sample_losses(network, images, batch_size=8)
    assert network.training, "the mode is put back"
    assert found.shape == (37,) and found.dtype == torch.float64
    network.eval()
    for row in range(37):
        pixels, label = images[row]
        scores = network(pixels[None]).logits[0].tolist()
        expected = math.log(sum(math.exp(s - scores[label]) for s in scores))
        assert found[row].item() == pytest.approx(expected, abs=1e-5)


def test_tiny_losses_do_not_vanish(network):
    """Sure predictions: float32 would round a loss of 1e-9 to 0."""
    network.backbone.linear.weight.data.zero_()
    network.backbone.linear.bias.data = torch.tensor([20.0, 0, 0])
    images = ArrayImages("one", CLASSES, torch.zeros(2, 3, 16, 16, dtype=torch.uint8), [0, 0])
    expected = math.log1p(2 * math.exp(-20))
    assert per_sample_losses(network, images)[0].item() == pytest.approx(expected, rel=1e-9)


def test_accuracy_by_class():
    scores = torch.tensor([[2.0, 1, 0], [0, 1, 0], [1, 0, 0], [0, 3, 1]])
    found = accuracy_of(scores, np.array([0, 1, 1, 1]), CLASSES)
    assert found.value == 0.75 and found.images == 4
    assert found.per_class[:2] == (1.0, pytest.approx(2 / 3)) and math.isnan(found.per_class[2])


def test_accuracy_of_a_network(network):
    images = toy_images("test", 60, 4)
    losses = per_sample_losses(network, images)
    assert accuracy(network, images).images == 60
    # A loss above log(3) cannot belong to the most probable of three classes.
    assert accuracy(network, images).value <= float((losses < math.log(3)).double().mean())


def test_wilson_interval():
    """Figures of Agresti and Coull 1998 for 0 and 5 of 10."""
    low, high = Accuracy(0.0, 10, ()).interval
    assert low == pytest.approx(0, abs=1e-9) and high == pytest.approx(0.2775, abs=1e-4)
    low, high = Accuracy(0.5, 10, ()).interval
    assert (low, high) == (pytest.approx(0.2366, abs=1e-4), pytest.approx(0.7634, abs=1e-4))
