"""What the adversarial methods share, and what all three keep to."""

import pytest
import torch
from torch import nn
from toys import toy_images
from two_domains import small_learner

import gendata
from gendata.errors import GendataError
from gendata.guidance.adversarial import classifier_of, frozen, ramp

METHODS = ("dann", "adda", "dada")


def test_the_ramp_starts_at_zero_and_ends_at_nearly_one():
    assert ramp(0) == 0
    assert ramp(0.25) == pytest.approx(0.848284, abs=5e-7)
    assert ramp(1) == pytest.approx(0.9999092, abs=5e-8)


def test_a_frozen_module_passes_its_gradient_on_and_keeps_none():
    module = nn.Sequential(nn.Linear(4, 3), nn.Tanh(), nn.Linear(3, 2))
    inputs = torch.randn(5, 4, requires_grad=True)
    found = frozen(module)(inputs)
    assert torch.equal(found, module(inputs))
    found.square().sum().backward()
    assert all(parameter.grad is None for parameter in module.parameters())
    (expected,) = torch.autograd.grad(module(inputs).square().sum(), inputs)
    torch.testing.assert_close(inputs.grad, expected)


def test_the_classifier_is_the_last_layer_and_must_be_linear():
    learner = small_learner()
    assert classifier_of(learner, "dada") is learner.bare.backbone[-1]
    learner.bare.backbone[-1] = nn.Identity()
    with pytest.raises(GendataError, match="dada needs .* last layer is linear.*Identity"):
        classifier_of(learner, "dada")


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    "options",
    [
        {"precision": "bf16", "batch_norm": "freeze-real", "optimizer": "adamw", "clip": 1.0},
        {"network": "cifar-resnet20", "batch_norm": "freeze", "views": 2, "weight_decay": 0.1},
    ],
    ids=["bf16", "another width"],
)
def test_settings_of_the_training_apply(method, options):
    images = {
        "synthetic": toy_images("synthetic", 32, 0),
        "real": toy_images("real", 9, 1),
        "test": toy_images("test", 9, 2),
    }
    result = gendata.train(
        **images, method=method, epochs=4, batch_size=16, progress=False, **options
    )
    assert all(parameter.isfinite().all() for parameter in result.network.parameters())
    assert all(torch.isfinite(torch.tensor(record["loss"])) for record in result.history)
