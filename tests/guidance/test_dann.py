"""DANN against a slow restatement, its reversal, its labels' direction."""

import math

import pytest
import torch
from resuming import assert_same_training, killed_and_resumed
from torch.nn import functional
from two_domains import (
    accuracies,
    assert_descended,
    copied,
    few_of_two_domains,
    small_learner,
    two_batches,
    two_domains,
    with_other_labels,
)

import gendata
from gendata.errors import GendataError
from gendata.guidance.dann import DomainAdversarialTraining, domain_loss, reverse_gradient


def prepared(**options):
    learner = small_learner()
    torch.manual_seed(1)
    method = DomainAdversarialTraining(discriminator_width=6, **options)
    method.prepare(learner)
    return learner, method


def slow_scores(discriminator, rows):
    """Probability of "synthetic" for rows (N, D) that are normalised together."""
    first, _, _, second, _, _, last = discriminator
    for layer, norm in ((first, discriminator[1]), (second, discriminator[4])):
        hidden = torch.stack([layer.weight @ row + layer.bias for row in rows])
        centred = hidden - hidden.mean(dim=0)
        hidden = centred / (centred.square().mean(dim=0) + 1e-5).sqrt()
        rows = [torch.clamp(norm.weight * row + norm.bias, min=0) for row in hidden]
    return [1 / (1 + torch.exp(-(last.weight @ row + last.bias))) for row in rows]


def slow_losses(learner, method, batch):
    """Cross-entropy of both domains, and the domain's loss, one row after the other."""
    outputs = {source: learner.bare(each.images) for source, each in batch.items()}
    task = torch.zeros(())
    for source, each in batch.items():
        for logits, label in zip(outputs[source].logits, each.labels, strict=True):
            task = task - logits.softmax(dim=0)[label].log() / len(each.labels)
    features = [row for source in ("synthetic", "real") for row in outputs[source].features]
    chances = slow_scores(method.discriminator, features)
    count = len(batch["synthetic"].labels)
    synthetic = -sum(chance.log() for chance in chances[:count]) / count
    real = -sum((1 - chance).log() for chance in chances[count:]) / len(chances[count:])
    return task, (synthetic + real).sum() / 2


@pytest.mark.parametrize(
    ("progress", "coefficient"), [(0.0, 0.0), (0.25, 0.848284), (1.0, 0.9999092)]
)
def test_a_step_equals_a_slow_restatement(progress, coefficient):
    learner, method = prepared(domain_weight=3.0)
    batch = two_batches()
    task, domain = slow_losses(learner, method, batch)
    student = list(learner.bare.parameters())
    towards_task = torch.autograd.grad(task, student, retain_graph=True)
    towards_domain = torch.autograd.grad(
        domain, student, retain_graph=True, materialize_grads=True
    )
    telling = torch.autograd.grad(domain, list(method.discriminator.parameters()))
    assert max(gradient.abs().max() for gradient in towards_domain) > 1e-3

    network, discriminator = copied(learner.bare), copied(method.discriminator)
    logs = method.step(batch, progress)
    expected = [a - 3 * coefficient * b for a, b in zip(towards_task, towards_domain, strict=True)]
    assert_descended(learner.bare, network, expected, rate=0.1)
    assert_descended(method.discriminator, discriminator, [3 * each for each in telling])
    assert (logs["loss"] + logs["loss_real"]).item() == pytest.approx(task.item(), rel=1e-5)
    assert logs["domain_loss"].item() == pytest.approx(domain.item(), rel=1e-5)


def test_the_reversal_changes_the_gradient_alone():
    features = torch.randn(4, 3, requires_grad=True)
    reversed_features = reverse_gradient(features, 0.5)
    assert torch.equal(reversed_features, features)
    (reversed_features * torch.arange(3.0)).sum().backward()
    assert torch.equal(features.grad, -0.5 * torch.arange(3.0).expand(4, 3))


def test_the_label_of_synthetic_images_is_one():
    synthetic, real = torch.tensor([2.0]), torch.tensor([3.0, -1.0])
    sigmoid = [1 / (1 + math.exp(-x)) for x in (2, 3, -1)]
    expected = -math.log(sigmoid[0]) / 2
    expected -= (math.log(1 - sigmoid[1]) + math.log(1 - sigmoid[2])) / 4
    assert domain_loss(synthetic, real).item() == pytest.approx(expected, rel=1e-6)
    assert domain_loss(torch.tensor([9.0]), torch.tensor([-9.0])) < 1e-3
    assert domain_loss(torch.tensor([-9.0]), torch.tensor([9.0])) > 8

    _, method = prepared(domain_weight=1.0)
    method.discriminator[-1].weight.data.zero_()
    method.discriminator[-1].bias.data.fill_(5.0)
    assert method.step(two_batches(), 0.5)["domain_accuracy"] == 0.5


def test_a_step_makes_the_discriminator_better_and_the_features_worse_for_it():
    learner, method = prepared(use_real_labels=False)
    batch = two_batches()
    before = slow_losses(learner, method, batch)[1]
    network = copied(learner.bare)
    method.step(batch, 0.0)
    for parameter, old in zip(learner.bare.parameters(), network, strict=True):
        parameter.data.copy_(old)
    assert slow_losses(learner, method, batch)[1] < before

    learner, method = prepared(use_real_labels=False, domain_weight=100.0)
    discriminator = copied(method.discriminator)
    learner.set_rate_factor(method.discriminator, 0.0)
    learner.set_learning_rate(1e-3)
    method.step(batch, 1.0)
    assert all(map(torch.equal, discriminator, copied(method.discriminator)))
    assert slow_losses(learner, method, batch)[1] > before


@pytest.mark.parametrize("use", [True, False])
def test_real_labels_count_where_they_are_asked_for(use):
    images = few_of_two_domains()
    options = {"method": "dann", "use_real_labels": use, "epochs": 1, "progress": False}
    one = gendata.train(**images, **options)
    images["real"] = with_other_labels(images["real"])
    two = gendata.train(**images, **options)
    pairs = zip(one.network.parameters(), two.network.parameters(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs) != use


@pytest.mark.slow
def test_an_unseen_light_is_learned():
    images = two_domains("tint")
    dann = accuracies("dann", images, discriminator_width=64)
    assert sum(dann) > sum(accuracies("fake", images)) + 0.4


def test_a_killed_run_goes_on_with_its_discriminator(monkeypatch, tmp_path):
    options = {**few_of_two_domains(), "method": "dann", "epochs": 3, "progress": False}
    options |= {"out": tmp_path / "run", "batch_size": 24, "discriminator_width": 8}
    whole, resumed = killed_and_resumed(monkeypatch, DomainAdversarialTraining, options, 0.6)
    assert_same_training(whole, resumed)


@pytest.mark.parametrize(
    "options",
    [
        {"domain_weight": -1},
        {"discriminator_width": 0},
        {"discriminator_rate": "fast"},
        {"use_real_labels": "False"},
    ],
)
def test_options_are_checked(options):
    with pytest.raises(GendataError, match=next(iter(options))):
        DomainAdversarialTraining(**options)


def test_functional_agrees_with_pytorch():
    generator = torch.Generator().manual_seed(0)
    synthetic, real = (torch.randn(n, generator=generator) for n in (7, 4))
    expected = functional.binary_cross_entropy_with_logits(synthetic, torch.ones(7))
    expected += functional.binary_cross_entropy_with_logits(real, torch.zeros(4))
    torch.testing.assert_close(domain_loss(synthetic, real), expected / 2)
