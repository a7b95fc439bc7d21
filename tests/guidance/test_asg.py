"""ASG against slow restatements of its divergence and of its step."""

import copy
import math

import pytest
import torch
from resuming import assert_same_training, assert_same_weights, killed_and_resumed
from torch.nn import functional
from toys import PoisonedLabels, toy_images
from two_domains import assert_backbone_rate

import gendata
from gendata.errors import GendataError
from gendata.guidance.asg import ASG, proxy_divergence
from gendata.images import make_loader
from gendata.models import build_network
from gendata.training.learner import Learner
from gendata.training.processes import start_accelerator

RUN = {"epochs": 4, "batch_size": 32, "method": "asg", "progress": False, "views": 2}


def learner_of(network, count=24, views=0):
    torch.manual_seed(1)
    bare = build_network(network, 3)
    return Learner(
        bare,
        torch.optim.SGD(bare.parameters(), lr=0.1),
        start_accelerator("cpu", "no"),
        classes=["a", "b", "c"],
        loaders={"synthetic": make_loader(toy_images("s", count, 0), 8, views=views)},
    )


def prepared(network="small-cnn", views=0, **options):
    learner, method = learner_of(network, views=views), ASG(**options)
    torch.manual_seed(2)
    method.prepare(learner)
    return learner, method


def slow_divergence(teacher, student):
    """sum_k p_k log(p_k / q_k) with p of the teacher and q of the student, row by row."""
    rows = []
    for p, q in zip(teacher.tolist(), student.tolist(), strict=True):
        p, q = [math.exp(x) for x in p], [math.exp(x) for x in q]
        p, q = [x / sum(p) for x in p], [x / sum(q) for x in q]
        rows.append(sum(x * math.log(x / y) for x, y in zip(p, q, strict=True)))
    return rows


def test_divergence_equals_a_slow_loop():
    generator = torch.Generator().manual_seed(0)
    teacher = 3 * torch.randn(9, 11, generator=generator, dtype=torch.float64)
    student = 2 * torch.randn(9, 11, generator=generator, dtype=torch.float64)
    found = proxy_divergence(teacher, student)
    assert found.tolist() == pytest.approx(slow_divergence(teacher, student), rel=1e-5)
    reverse = slow_divergence(student, teacher)
    assert found.tolist() != pytest.approx(reverse, rel=0.1), "the direction matters"
    assert proxy_divergence(teacher, teacher + 5).abs().max() < 1e-6


def test_its_gradient_is_the_difference_of_the_probabilities():
    teacher = torch.randn(6, 5, requires_grad=True)
    student = torch.randn(6, 5, requires_grad=True)
    proxy_divergence(teacher, student).sum().backward()
    expected = student.softmax(1) - teacher.softmax(1)
    torch.testing.assert_close(student.grad, expected.detach())
    assert teacher.grad is None


def test_half_precision_logits_are_compared_in_float32():
    student = torch.randn(4, 6).bfloat16()
    found = proxy_divergence(torch.randn(4, 6), student)
    assert found.dtype == torch.float32


@pytest.mark.parametrize(("network", "views"), [("small-cnn", 0), ("cifar-resnet20", 2)])
def test_a_step_equals_its_restatement(teacher, network, views):
    learner, method = prepared(network, views, teacher=teacher, asg_weight=0.7)
    frozen = method.teacher_logits.teacher.network
    reference, layers = copy.deepcopy(learner.bare), copy.deepcopy(learner.added)
    optimizer = torch.optim.SGD([*reference.parameters(), *layers.parameters()], lr=0.1)
    learner.network.train(), reference.train()
    for examples in learner.loaders["synthetic"].epoch(0):
        output = reference(examples.images)
        layer = layers["teacher_classes"] if layers else frozen.backbone.linear
        p = frozen(examples.images).logits.softmax(1).detach()
        q = layer(output.features).softmax(1)
        divergence = (p * (p / q).log()).sum() / len(p)
        task = functional.cross_entropy(output.logits, examples.labels)
        optimizer.zero_grad()
        (task + 0.7 * divergence).backward()
        optimizer.step()
        logs = method.step({"synthetic": examples}, 0.0)
        assert logs["loss"].item() == pytest.approx(task.item(), rel=1e-5)
        assert logs["guidance"].item() == pytest.approx(0.7 * divergence.item(), rel=1e-4)
    for mine, theirs in zip(learner.bare.parameters(), reference.parameters(), strict=True):
        torch.testing.assert_close(mine, theirs, atol=1e-5, rtol=1e-4)
    assert bool(layers) == (network != "small-cnn")
    for mine, theirs in zip(learner.added.parameters(), layers.parameters(), strict=True):
        torch.testing.assert_close(mine, theirs, atol=1e-5, rtol=1e-4)


def test_a_student_of_the_teachers_width_uses_its_frozen_layer(teacher):
    learner, method = prepared(teacher=teacher)
    assert len(learner.added) == 0
    layer = method.teacher_logits.teacher.classifier
    before = layer.weight.clone()
    for examples in learner.loaders["synthetic"].epoch(0):
        method.step({"synthetic": examples}, 0.0)
    assert torch.equal(layer.weight, before) and layer.weight.grad is None


def test_a_student_of_another_width_trains_a_layer_of_its_own():
    learner, method = prepared()  # 128 features against the 1280 of EfficientNet-Lite0
    layer = learner.added["teacher_classes"]
    assert layer.weight.shape == (1000, 128)
    before = layer.weight.detach().clone()
    for examples in learner.loaders["synthetic"].epoch(0):
        method.step({"synthetic": examples}, 0.0)
    assert not torch.equal(layer.weight, before)
    assert "teacher_classes" not in " ".join(learner.bare.state_dict())


def test_the_backbone_learns_at_its_own_rate(teacher):
    assert_backbone_rate(lambda rate: prepared(teacher=teacher, backbone_rate=rate))


def test_a_weight_of_zero_is_plain_training_on_synthetic_images(teacher):
    images = {"synthetic": toy_images("s", 66, 0), "real": PoisonedLabels()}
    found = gendata.train(**images, **RUN, teacher=teacher, asg_weight=0)
    plain = gendata.train(**images, **{**RUN, "method": "fake"})
    assert_same_weights(found, plain)


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_killed_and_resumed_ends_with_the_same_weights(tmp_path, monkeypatch, optimizer):
    """The layer of the student's own is part of what must come back."""
    images = {"synthetic": toy_images("s", 66, 0, noise=90), "test": toy_images("t", 30, 1)}
    options = {**RUN, "optimizer": optimizer, "backbone_rate": 0.5, "asg_weight": 50}
    options["out"] = tmp_path / "run"
    whole, resumed = killed_and_resumed(monkeypatch, ASG, {**images, **options}, at=0.7)
    assert_same_training(whole, resumed)


def test_the_published_settings_are_taken_together():
    """A student that starts as the teacher agrees with it until its first steps have moved it."""
    result = gendata.train(
        synthetic=toy_images("s", 48, 0),
        **{**RUN, "epochs": 2, "batch_size": 16, "views": 0},
        network="embedded:efficientnet-lite0",
        init="imagenet",
        batch_norm="freeze",
        optimizer="sgd",
        learning_rate=1e-4,
        weight_decay=5e-4,
        schedule="asg",
        backbone_rate=0.1,
    )
    assert abs(result.history[0]["guidance"]) < 1e-5
    assert result.history[1]["loss"] < result.history[0]["loss"]


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"asg_weight": -1}, "asg_weight"),
        ({"asg_weight": "much"}, "asg_weight"),
        ({"backbone_rate": -0.1}, "backbone_rate"),
        ({"teacher_size": 0}, "teacher_size"),
    ],
)
def test_options_are_checked(options, named):
    with pytest.raises(GendataError, match=named):
        ASG(**options)
