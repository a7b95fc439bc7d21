"""The learner: gradients, updates, normalisation, precision."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from gendata.models import build_network
from gendata.training.learner import Learner
from gendata.training.processes import start_accelerator
from gendata.types import Examples


def examples(seed=0, count=12):
    generator = torch.Generator().manual_seed(seed)
    pixels = torch.randint(0, 256, (count, 3, 16, 16), dtype=torch.uint8, generator=generator)
    rows = torch.arange(count)
    return Examples(pixels, rows % 3, rows, torch.full_like(rows, -1))


def make_learner(optimizer=None, scaler=None, **options):
    torch.manual_seed(0)
    network = build_network("small-cnn", 3)
    optimizer = (optimizer or (lambda p: torch.optim.SGD(p, lr=0.1)))(network.parameters())
    accelerator = start_accelerator("cpu", "no")
    accelerator.scaler = scaler
    return Learner(network, optimizer, accelerator, classes=["a", "b", "c"], loaders={}, **options)


def loss_of(learner, batch, source="synthetic"):
    return learner.cross_entropy(learner.forward(batch, source), batch)


def flat(tensors):
    return torch.cat([tensor.detach().flatten() for tensor in tensors])


def test_gradient_is_one_flat_vector_in_parameter_order():
    learner, batch = make_learner(), examples()
    found = learner.gradient(loss_of(learner, batch))
    assert found.dtype == torch.float32 and found.ndim == 1
    output, parameters = learner.bare(batch.images), list(learner.bare.parameters())
    expected = torch.autograd.grad(
        functional.cross_entropy(output.logits, batch.labels), parameters
    )
    for parameter, part, gradient in zip(
        parameters, found.split([p.numel() for p in parameters]), expected, strict=True
    ):
        torch.testing.assert_close(part.as_strided(parameter.shape, parameter.stride()), gradient)
    layouts = {
        p.is_contiguous(memory_format=torch.channels_last) for p in parameters if p.ndim == 4
    }
    assert layouts == {True}, "a fused optimiser would otherwise mix up the weights"


def test_two_gradients_of_a_step_do_not_share_memory():
    learner = make_learner()
    first = learner.gradient(loss_of(learner, examples(0)))
    kept = first.clone()
    second = learner.gradient(loss_of(learner, examples(1)))
    lent = learner.flat_memory()
    assert torch.equal(first, kept) and not torch.equal(first, second)
    assert len({first.data_ptr(), second.data_ptr(), lent.data_ptr()}) == 3
    learner.apply(first)
    assert learner.flat_memory().data_ptr() == first.data_ptr(), "memory is used again"


@pytest.mark.parametrize(
    "optimizer",
    [
        lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, weight_decay=0.1),
        lambda p: torch.optim.Adam(p, lr=0.01, weight_decay=0.1, fused=True),
    ],
)
def test_apply_and_update_make_the_same_step(optimizer):
    one, two = make_learner(optimizer, clip=0.5), make_learner(optimizer, clip=0.5)
    for seed in range(3):
        one.update(loss_of(one, examples(seed)))
        two.apply(two.gradient(loss_of(two, examples(seed))))
    assert torch.equal(flat(one.bare.parameters()), flat(two.bare.parameters()))


def test_clip_and_weight_decay_come_after_the_merge():
    learner = make_learner(lambda p: torch.optim.SGD(p, lr=1.0, weight_decay=0.1), clip=0.5)
    before = flat(learner.bare.parameters())
    gradient = torch.full_like(before, 3.0)
    learner.apply(gradient.clone())
    clipped = gradient * (0.5 / (gradient.norm() + 1e-6))
    torch.testing.assert_close(flat(learner.bare.parameters()), before - clipped - 0.1 * before)


def test_a_parameter_without_part_in_the_loss_has_a_gradient_of_zero():
    learner, batch = make_learner(), examples()
    learner.gradient(loss_of(learner, batch))
    learner.apply(learner.gradient(loss_of(learner, batch)))
    features = learner.forward(batch, "synthetic").features
    gradient = learner.gradient(features.square().mean())
    tail = sum(p.numel() for p in learner.bare.backbone.get_classifier().parameters())
    assert torch.equal(gradient[-tail:], torch.zeros(tail))
    assert gradient[:-tail].abs().sum() > 0


@pytest.mark.parametrize("policy", ["both", "freeze-real"])
def test_batch_norm_policy(policy):
    learner = make_learner(batch_norm=policy)
    learner.network.train()
    norm = next(m for m in learner.bare.modules() if isinstance(m, nn.BatchNorm2d))
    start = norm.running_mean.clone()
    learner.forward(examples(0), "synthetic")
    after_synthetic = norm.running_mean.clone()
    learner.forward(examples(1), "real")
    assert not torch.equal(after_synthetic, start)
    assert torch.equal(norm.running_mean, after_synthetic) == (policy == "freeze-real")
    assert norm.training
    if policy == "freeze-real":
        batch = examples(1)
        found = learner.forward(batch, "real").logits
        expected = learner.bare.eval()(batch.images).logits
        assert torch.equal(found, expected)


def test_loss_scale_changes_no_update_and_an_overflow_skips_one():
    """What fp16 does on an accelerator, done here with a scaler for the CPU."""

    plain = make_learner(clip=0.5)
    scaled = make_learner(clip=0.5, scaler=torch.amp.GradScaler("cpu", init_scale=2.0**10))
    scaled.accelerator.native_amp = True
    scaled.accelerator.state._mixed_precision = "fp16"
    for learner in (plain, scaled):
        first = learner.gradient(loss_of(learner, examples(0)))
        second = learner.gradient(loss_of(learner, examples(1)))
        learner.apply(first + second)
    torch.testing.assert_close(flat(plain.bare.parameters()), flat(scaled.bare.parameters()))

    before = flat(scaled.bare.parameters())
    broken = scaled.gradient(loss_of(scaled, examples(0)))
    broken[5] = float("inf")
    scaled.apply(broken)
    assert torch.equal(flat(scaled.bare.parameters()), before)
    assert scaled.accelerator.scaler.get_scale() == 2.0**9


def test_every_batch_uses_the_running_statistics_where_they_are_frozen():
    learner = make_learner(batch_norm="freeze")
    learner.network.train()
    norm = next(m for m in learner.bare.modules() if isinstance(m, nn.BatchNorm2d))
    start = norm.running_mean.clone()
    learner.forward(examples(0), "synthetic")
    learner.forward(examples(1), "real")
    assert torch.equal(norm.running_mean, start) and norm.training


def test_an_added_module_is_trained_with_the_network():
    learner, batch = make_learner(), examples()
    head = learner.add("domain", nn.Linear(learner.bare.feature_dim, 2))
    network, module = flat(learner.bare.parameters()), flat(head.parameters())
    logits = head(learner.forward(batch, "synthetic").features)
    loss = functional.cross_entropy(logits, batch.labels % 2)
    gradients = torch.autograd.grad(loss, list(head.parameters()), retain_graph=True)
    expected = torch.cat([each.flatten() for each in gradients])
    gradient = learner.gradient(loss)
    assert len(gradient) == len(network), "the vector holds the network's part alone"
    learner.apply(gradient)
    torch.testing.assert_close(flat(head.parameters()), module - 0.1 * expected)
    assert not torch.equal(flat(learner.bare.parameters()), network)
    learner.update(loss_of(learner, batch))
    torch.testing.assert_close(flat(head.parameters()), module - 0.1 * expected)
    assert list(learner.added.state_dict()) == ["domain.weight", "domain.bias"]


@pytest.mark.parametrize(
    "optimizer",
    [
        lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, weight_decay=0.1),
        lambda p: torch.optim.Adam(p, lr=0.1, weight_decay=0.1, fused=True),
    ],
)
def test_a_module_may_learn_at_a_rate_of_its_own(optimizer):
    learner, batch = make_learner(optimizer), examples()
    last = learner.bare.backbone.get_classifier()
    learner.set_rate_factor(last, 1.0)
    learner.set_learning_rate(0.01)
    learner.update(loss_of(learner, batch))
    held, others = flat(last.parameters()), flat(learner.bare.parameters())
    learner.set_rate_factor(last, 0.0)
    learner.set_learning_rate(0.02)
    learner.update(loss_of(learner, batch))
    assert torch.equal(flat(last.parameters()), held)
    assert not torch.equal(flat(learner.bare.parameters()), others)
    learner.set_rate_factor(last, 10.0)
    learner.set_learning_rate(0.02)
    assert [group["lr"] for group in learner.optimizer.param_groups] == [0.02, 0.2]
    assert learner.learning_rate == 0.02
