"""DADA against its released losses' figures and a slow restatement of its two backward passes."""

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
from gendata.guidance.dada import (
    DiscriminativeAdversarialAdaptation,
    classifier_target_loss,
    entropy,
    feature_target_loss,
    source_loss,
)

LOGITS = torch.tensor([[2.0, 0, -1, 1], [0, 1, 0, -1]])
LABELS = torch.tensor([0, 1])


def test_worked_figures():
    assert source_loss(LOGITS, LABELS).mean().item() == pytest.approx(0.6085114, abs=2e-7)
    assert classifier_target_loss(LOGITS).mean().item() == pytest.approx(1.4656286, abs=3e-7)
    assert feature_target_loss(LOGITS).mean().item() == pytest.approx(-0.3547804, abs=2e-7)
    assert entropy(LOGITS).mean().item() == pytest.approx(0.7497972, abs=2e-7)


def softmax(row):
    powers = [torch.exp(x) for x in row]
    return [power / sum(powers) for power in powers]


def slow_losses(logits, labels):
    """L_s with these labels, and T_F, T_G and H of the same rows, as the equations read."""
    totals = [torch.zeros(()) for _ in range(4)]
    for number, row in enumerate(logits):
        chances, inner = softmax(row), softmax(row[:-1])
        label, real = chances[int(labels[number])], chances[-1]
        totals[0] = totals[0] - (1 - real) * label.log() - real * (1 - label).log()
        for chance, score in zip(inner, row, strict=False):
            wins = softmax([score, row[-1]])[1]
            totals[1] = totals[1] - chance * wins.log()
            totals[2] = totals[2] + chance * (1 - wins).log()
            totals[3] = totals[3] - chance * chance.log()
    return [total / len(logits) for total in totals]


@pytest.mark.parametrize("classes", [2, 3, 10])
def test_losses_and_their_gradients_equal_a_slow_loop(classes):
    generator = torch.Generator().manual_seed(classes)
    logits = 3 * torch.randn(9, classes + 1, generator=generator)
    labels = torch.randint(classes, (9,), generator=generator)
    fast, slow = logits.clone().requires_grad_(), logits.double().requires_grad_()
    found = [
        source_loss(fast, labels),
        classifier_target_loss(fast),
        feature_target_loss(fast),
        entropy(fast),
    ]
    for mine, expected in zip(found, slow_losses(slow, labels), strict=True):
        assert mine.shape == (9,)
        assert mine.mean().item() == pytest.approx(expected.item(), rel=1e-5)
        (gradient,) = torch.autograd.grad(mine.mean(), fast)
        (target,) = torch.autograd.grad(expected, slow, retain_graph=True)
        torch.testing.assert_close(gradient.double(), target, atol=1e-6, rtol=1e-5)


def test_certain_logits_keep_finite_losses_and_gradients():
    logits = torch.tensor([[200.0, -200, 0], [-200, 200, 0], [0, 0, 300]], requires_grad=True)
    labels = torch.tensor([0, 0, 1])
    total = source_loss(logits, labels) + classifier_target_loss(logits)
    (total + feature_target_loss(logits) + entropy(logits)).sum().backward()
    assert total.isfinite().all() and logits.grad.isfinite().all()


def in_the_second_stage(**options):
    learner = small_learner()
    torch.manual_seed(1)
    method = DiscriminativeAdversarialAdaptation(adaptation_rate=0.5, **options)
    method.prepare(learner)
    with torch.no_grad():  # so that the entropy has a slope
        for parameter in learner.bare.backbone[-1].parameters():
            parameter *= 5
    method.begin_stage(1)
    learner.set_learning_rate(0.1)
    return learner, method


def slow_logits(learner, method, examples):
    output = learner.bare(examples.images)
    return torch.cat([output.logits, method.row(output.features)], dim=1)


@pytest.mark.parametrize(
    ("progress", "weight"), [(0.6, 0.0), (0.7, 0.848284), (0.64, 0.4621172), (1.0, 0.9999092)]
)
def test_a_step_equals_two_backward_passes_of_a_slow_restatement(progress, weight):
    """The second stage begins at 0.6: a tenth of it is done at 0.64, a quarter at 0.7."""
    learner, method = in_the_second_stage(entropy_weight=1.0)
    method.began = 0.6
    batch = two_batches()
    labels = batch["synthetic"].labels
    source, *_ = slow_losses(slow_logits(learner, method, batch["synthetic"]), labels)
    logits = slow_logits(learner, method, batch["real"])
    _, target_f, target_g, uncertainty = slow_losses(logits, torch.zeros(5))
    classifier, encoder = learner.bare.backbone[-1], learner.bare.backbone[:-1]
    tail = [*classifier.parameters(), *method.row.parameters()]
    head = list(encoder.parameters())
    lowest = weight * (source + target_f) + uncertainty
    highest = weight * (source + target_g) - uncertainty
    descends = torch.autograd.grad(lowest, tail, retain_graph=True)
    ascends = torch.autograd.grad(highest, head)
    assert max(gradient.abs().max() for gradient in ascends) > 1e-4

    before = {module: copied(module) for module in (encoder, classifier, method.row)}
    logs = method.step(batch, progress)
    assert_descended(encoder, before[encoder], [-each for each in ascends], rate=0.05)
    assert_descended(classifier, before[classifier], descends[:2], rate=0.05)
    assert_descended(method.row, before[method.row], descends[2:], rate=0.05)
    assert logs["loss"].item() == pytest.approx(source.item(), rel=1e-5)
    assert logs["target_loss"].item() == pytest.approx(target_f.item(), rel=1e-5)
    assert logs["entropy"].item() == pytest.approx(uncertainty.item(), rel=1e-5)


def test_the_entropy_alone_acts_at_the_start_of_the_second_stage():
    learner, method = in_the_second_stage(entropy_weight=0.0)
    before = copied(learner.bare) + copied(method.row)
    method.step(two_batches(), 0.75)
    assert method.began == 0.75
    assert all(map(torch.equal, before, copied(learner.bare) + copied(method.row)))
    method.step(two_batches(), 0.8)
    assert not any(map(torch.equal, before, copied(learner.bare) + copied(method.row)))

    learner, method = in_the_second_stage()
    batch = two_batches()
    start = entropy(slow_logits(learner, method, batch["real"])).mean()
    method.step(batch, 0.75)
    assert entropy(slow_logits(learner, method, batch["real"])).mean() < start


def test_no_label_of_a_real_image_is_read():
    assert_real_labels_unread("dada")


def test_the_first_stage_is_the_synthetic_baseline_bit_for_bit():
    images = few_of_two_domains()
    options = {"epochs": 4, "schedule": "constant", "progress": False}
    fake = gendata.train(**images, **options, method="fake")
    dada = gendata.train(**images, **options, method="dada")
    losses = [[record["loss"] for record in each.history] for each in (fake, dada)]
    assert losses[0][:3] == losses[1][:3] and losses[0][3] != losses[1][3]


@pytest.mark.slow
def test_an_unseen_light_is_learned_without_labels():
    images = two_domains("tint")
    assert sum(accuracies("dada", images)) > sum(accuracies("fake", images)) + 0.4


def test_a_killed_run_goes_on_where_its_second_stage_was(monkeypatch, tmp_path):
    options = {**few_of_two_domains(), "method": "dada", "epochs": 4, "progress": False}
    options |= {"out": tmp_path / "run", "batch_size": 24, "first_share": 0.5}
    whole, resumed = killed_and_resumed(
        monkeypatch, DiscriminativeAdversarialAdaptation, options, 0.75
    )
    assert_same_training(whole, resumed)


def test_another_tap_is_one_clear_error():
    with pytest.raises(GendataError, match="enter the last layer.*tap=norms.1"):
        gendata.train(**few_of_two_domains(), method="dada", tap="norms.1", progress=False)


@pytest.mark.parametrize(
    "options", [{"first_share": 0}, {"adaptation_rate": -1}, {"entropy_weight": math.nan}]
)
def test_options_are_checked(options):
    with pytest.raises(GendataError, match=next(iter(options))):
        DiscriminativeAdversarialAdaptation(**options)
