"""ADDA against a slow restatement, its labels' direction, what its second stage may touch."""

import math

import pytest
import torch
from resuming import assert_same_training, killed_and_resumed
from two_domains import (
    accuracies,
    assert_descended,
    assert_real_labels_unread,
    copied,
    few_of_two_domains,
    small_learner,
    two_batches,
    two_domains,
)

import gendata
from gendata.errors import GendataError
from gendata.guidance.adda import AdversarialDiscriminativeAdaptation


class Endless:
    """Stands in for a loader whose images have no fixed views."""

    views = 0


def in_the_second_stage(**options):
    learner = small_learner()
    learner.loaders = {"synthetic": Endless(), "real": Endless()}
    torch.manual_seed(1)
    options = {"discriminator_width": 6, "adaptation_rate": 0.5, **options}
    method = AdversarialDiscriminativeAdaptation(**options)
    method.prepare(learner)
    method.begin_stage(1)
    with torch.no_grad():  # the target encoder has gone its own way
        for parameter in learner.bare.backbone[0].parameters():
            parameter += 0.1 * torch.randn_like(parameter)
    learner.set_learning_rate(0.1)
    return learner, method


def slow_scores(discriminator, row, slope):
    for layer in (discriminator[0], discriminator[2]):
        row = layer.weight @ row + layer.bias
        row = torch.stack([x if x > 0 else slope * x for x in row])
    return discriminator[4].weight @ row + discriminator[4].bias


def slow_losses(learner, method, batch, slope=0.0):
    """Loss of the discriminator and of the target encoder, one row after the other."""
    telling, hiding = torch.zeros(()), torch.zeros(())
    for network, source, label in ((method.source, "synthetic", 0), (learner.bare, "real", 1)):
        features = network(batch[source].images).features
        for row in features:
            chances = slow_scores(method.discriminator, row, slope).exp()
            chances = chances / chances.sum()
            telling = telling - chances[label].log() / len(features) / 2
            if source == "real":
                hiding = hiding - chances[0].log() / len(features) / 2
    return telling, hiding


@pytest.mark.parametrize("slope", [0.0, 0.1])
def test_a_step_equals_a_slow_restatement(slope):
    learner, method = in_the_second_stage(discriminator_rate=3.0, negative_slope=slope)
    batch = two_batches()
    telling, hiding = slow_losses(learner, method, batch, slope)
    encoder, classifier = learner.bare.backbone[:-1], learner.bare.backbone[-1]
    towards = torch.autograd.grad(hiding, list(encoder.parameters()), retain_graph=True)
    assert max(gradient.abs().max() for gradient in towards) > 1e-4
    own = torch.autograd.grad(telling, list(method.discriminator.parameters()))

    before = {m: copied(m) for m in (encoder, classifier, method.discriminator, method.source)}
    logs = method.step(batch, 0.8)
    assert_descended(encoder, before[encoder], towards, rate=0.05)
    assert_descended(method.discriminator, before[method.discriminator], own, rate=0.15)
    for module in (classifier, method.source):
        assert all(map(torch.equal, before[module], copied(module)))
    assert logs["domain_loss"].item() == pytest.approx(telling.item(), rel=1e-5)
    assert logs["loss"].item() == pytest.approx(hiding.item(), rel=1e-5)


def test_synthetic_is_class_zero_and_the_encoder_wants_to_be_taken_for_it():
    learner, method = in_the_second_stage()
    last = method.discriminator[-1]
    with torch.no_grad():
        last.weight.zero_()
        last.bias.copy_(torch.tensor([2.0, -1.0]))  # "synthetic", whatever it sees
    likely, unlikely = (-math.log(1 / (1 + math.exp(x))) for x in (-3, 3))
    logs = method.step(two_batches(), 0.8)
    assert logs["loss"].item() == pytest.approx(likely / 2, rel=1e-5)
    assert logs["domain_loss"].item() == pytest.approx((likely + unlikely) / 2, rel=1e-5)
    assert logs["domain_accuracy"] == 0.5


def test_a_step_makes_each_player_better_at_its_own_aim():
    batch = two_batches()
    for held, other in (("encoder", 0), ("discriminator", 1)):
        options = {"discriminator_rate": 0.0 if held == "discriminator" else 1.0}
        learner, method = in_the_second_stage(**options)
        if held == "encoder":
            learner.set_rate_factor(learner.bare, 0.0)
            learner.set_learning_rate(0.1)
        before = slow_losses(learner, method, batch)
        method.step(batch, 0.8)
        assert slow_losses(learner, method, batch)[other] < before[other]


@pytest.mark.parametrize("views", [0, 2])
def test_no_label_of_a_real_image_is_read(views):
    assert_real_labels_unread("adda", views=views)


def test_the_encoder_moves_in_the_second_stage_and_the_classifier_does_not():
    images = few_of_two_domains()
    options = {"method": "adda", "progress": False, "schedule": "constant"}
    options |= {"optimizer": "adamw", "weight_decay": 0.1}
    first = gendata.train(**images, **{**options, "method": "fake"}, epochs=3)
    both = gendata.train(**images, **options, epochs=4)
    classifiers = [each.network.backbone.get_classifier() for each in (first, both)]
    assert all(map(torch.equal, *map(copied, classifiers)))
    encoders = [each.network.backbone.convolutions for each in (first, both)]
    assert not any(map(torch.equal, *map(copied, encoders)))


@pytest.mark.slow
def test_an_unseen_light_is_learned_without_labels():
    images = two_domains("dim")
    assert sum(accuracies("adda", images)) > sum(accuracies("fake", images)) + 0.4


def test_a_killed_run_goes_on_with_its_source_encoder(monkeypatch, tmp_path):
    for views in (0, 2):
        options = {**few_of_two_domains(), "method": "adda", "epochs": 4, "progress": False}
        options |= {"out": tmp_path / f"{views}", "batch_size": 24, "views": views}
        options |= {"first_share": 0.5, "discriminator_width": 8}
        whole, resumed = killed_and_resumed(
            monkeypatch, AdversarialDiscriminativeAdaptation, options, 0.75
        )
        assert_same_training(whole, resumed)


@pytest.mark.parametrize(
    "options",
    [
        {"first_share": 1},
        {"adaptation_rate": -1},
        {"discriminator_width": 2.5},
        {"discriminator_rate": "fast"},
        {"negative_slope": -0.1},
    ],
)
def test_options_are_checked(options):
    with pytest.raises(GendataError, match=next(iter(options))):
        AdversarialDiscriminativeAdaptation(**options)
