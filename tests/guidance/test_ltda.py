"""LTDA against slow restatements of its algorithm, and on images with wrong labels."""

import copy
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.func import functional_call
from torch.nn import functional
from toys import CLASSES, toy_images

import gendata
from gendata.errors import GendataError
from gendata.guidance.ltda import LongTailedDomainAdaptation, class_balanced_weights
from gendata.images import ArrayImages
from gendata.models.network import Network, build_network
from gendata.models.recipe import Recipe
from gendata.training.learner import Learner
from gendata.training.processes import start_accelerator
from gendata.types import Examples

RATE, EPS_STEP = 0.3, 200.0  # so large that the weights move far
COUNTS = (40, 10, 4)


def linear_network(dropout):
    backbone = nn.Sequential(nn.Flatten(), nn.Dropout(dropout), nn.Linear(3 * 8 * 8, 3))
    recipe = Recipe("linear", (0.5, 0.5, 0.5), (0.25, 0.25, 0.25), None, 8)
    return Network(backbone, recipe, tap="1")


NETWORKS = {
    "linear": lambda: linear_network(0.0),
    "linear with dropout": lambda: linear_network(0.4),
    "small-cnn": lambda: build_network("small-cnn", 3),
}


def some_examples(seed, count=12):
    generator = torch.Generator().manual_seed(seed)
    pixels = torch.rand(count, 3, 8, 8, generator=generator, dtype=torch.float64)
    rows = torch.arange(count)
    return Examples(pixels, rows % 3, rows, torch.full_like(rows, -1))


def prepared(network, precision="no", scaler=None, **options):
    """A learner with plain gradient descent, and the method over an unbalanced synthetic set."""
    optimizer = torch.optim.SGD(network.parameters(), lr=RATE)
    accelerator = start_accelerator("cpu", precision)
    accelerator.scaler = scaler
    labels = torch.repeat_interleave(torch.arange(3), torch.tensor(COUNTS)).numpy()
    pixels = torch.zeros(len(labels), 3, 8, 8, dtype=torch.uint8)
    images = {"synthetic": ArrayImages("unbalanced", CLASSES, pixels, labels)}
    learner = Learner(
        network, optimizer, accelerator, classes=CLASSES, loaders={}, images=images, **options
    )
    method = LongTailedDomainAdaptation(eps_step=EPS_STEP)
    method.prepare(learner)
    return learner, method


def slow_weights():
    """The effective number of n images is the sum of n terms of a geometric series."""
    numbers = [sum(0.9999**k for k in range(count)) for count in COUNTS]
    inverse = [1 / number for number in numbers]
    return torch.tensor([3 * each / sum(inverse) for each in inverse], dtype=torch.float64)


def frozen_norms(network, frozen):
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.train(not frozen)


def through_the_inner_step(network, synthetic, real, batch_norm):
    """Epsilon by differentiating through the unrolled inner step, as in the released code."""
    parameters = dict(network.named_parameters())
    frozen_norms(network, batch_norm == "freeze")
    logits = network(synthetic.images).logits
    losses = functional.cross_entropy(logits, synthetic.labels, reduction="none")
    weights = slow_weights()[synthetic.labels]
    epsilon = torch.zeros_like(losses, requires_grad=True)
    total = ((weights + epsilon) * losses).sum()
    inner = torch.autograd.grad(total, list(parameters.values()), create_graph=True)
    moved = {
        name: parameter - RATE * gradient
        for (name, parameter), gradient in zip(parameters.items(), inner, strict=True)
    }
    frozen_norms(network, batch_norm != "both")
    meta = functional.cross_entropy(
        functional_call(network, moved, (real.images,)).logits, real.labels
    )
    (slope,) = torch.autograd.grad(meta, epsilon, retain_graph=True)
    return losses, weights - EPS_STEP * slope


def one_backward_an_image(network, synthetic, real, batch_norm):
    """Epsilon from <g_i, g_meta>, with one backward pass for each image."""
    parameters = list(network.parameters())
    frozen_norms(network, batch_norm == "freeze")
    logits = network(synthetic.images).logits
    losses = functional.cross_entropy(logits, synthetic.labels, reduction="none")
    weights = slow_weights()[synthetic.labels]
    each = [torch.autograd.grad(loss, parameters, retain_graph=True) for loss in losses]
    moved = copy.deepcopy(network)
    with torch.no_grad():
        for number, parameter in enumerate(moved.parameters()):
            for weight, gradients in zip(weights, each, strict=True):
                parameter -= RATE * weight * gradients[number]
    frozen_norms(moved, batch_norm != "both")
    meta = functional.cross_entropy(moved(real.images).logits, real.labels)
    towards = torch.autograd.grad(meta, list(moved.parameters()))
    slopes = [-RATE * sum((g * t).sum() for g, t in zip(e, towards, strict=True)) for e in each]
    return losses, weights - EPS_STEP * torch.stack(slopes)


@pytest.mark.parametrize("restatement", [through_the_inner_step, one_backward_an_image])
@pytest.mark.parametrize(
    ("name", "batch_norm"),
    [("linear", "both"), ("linear with dropout", "both")]
    + [("small-cnn", policy) for policy in ("both", "freeze-real", "freeze")],
)
def test_a_step_equals_a_slow_restatement(name, batch_norm, restatement):
    torch.manual_seed(0)
    network = NETWORKS[name]().double().train()
    network(some_examples(9, 30).images)  # running statistics that are not the initial ones
    synthetic, real = some_examples(1), some_examples(2, 9)
    slow = copy.deepcopy(network)
    torch.manual_seed(5)  # for dropout
    losses, weights = restatement(slow, synthetic, real, batch_norm)
    assert (weights - slow_weights()[synthetic.labels]).abs().min() > 1e-3
    gradients = torch.autograd.grad((weights * losses).mean(), list(slow.parameters()))
    expected = [p.detach() - RATE * g for p, g in zip(slow.parameters(), gradients, strict=True)]
    statistics = copy.deepcopy(network)
    frozen_norms(statistics, batch_norm == "freeze")
    statistics(synthetic.images)

    learner, method = prepared(network, batch_norm=batch_norm)
    labels = learner.images["synthetic"].labels
    method.class_weights = class_balanced_weights(labels, 3, method.balance_beta)
    torch.manual_seed(5)
    method.step({"synthetic": synthetic, "real": real}, 0.9)
    for parameter, value in zip(network.parameters(), expected, strict=True):
        torch.testing.assert_close(parameter.detach(), value, atol=1e-10, rtol=1e-9)
    for (buffer, found), value in zip(network.named_buffers(), statistics.buffers(), strict=True):
        assert torch.equal(found, value), f"{buffer}: the synthetic batch alone sets it"


def test_class_balanced_weights():
    labels = torch.repeat_interleave(torch.arange(3), torch.tensor(COUNTS)).numpy()
    found = class_balanced_weights(labels, 3, 0.9999)
    torch.testing.assert_close(found, slow_weights(), atol=1e-10, rtol=0)
    assert torch.equal(class_balanced_weights(labels, 3, 0), torch.ones(3).double())
    assert torch.equal(
        class_balanced_weights(labels % 2, 2, 0.99) < 1, torch.tensor([True, False])
    )
    assert class_balanced_weights(labels, 4, 0.9999)[3] == 0, "a class without images"


@pytest.fixture
def noisy():
    """Synthetic images of which every fifth has the label of the next class."""
    images = toy_images("noisy", 90, seed=0)
    wrong = torch.arange(90) % 5 == 0
    images.labels[wrong.numpy()] = (images.labels[wrong.numpy()] + 1) % 3
    return images, wrong


def test_mislabelled_images_lose_weight(noisy, monkeypatch):
    images, wrong = noisy
    seen = []
    slopes_of = LongTailedDomainAdaptation._slopes

    def spied(self, weights, losses, batch, random):
        slopes, meta = slopes_of(self, weights, losses, batch, random)
        seen.append((batch["synthetic"].rows, -self.eps_step * slopes))
        return slopes, meta

    monkeypatch.setattr(LongTailedDomainAdaptation, "_slopes", spied)
    gendata.train(
        synthetic=images,
        real=toy_images("real", 30, seed=1),
        method="ltda",
        eps_step=10.0,
        epochs=8,
        batch_size=30,
        progress=False,
    )
    assert len(seen) == 2 * 3, "two of eight epochs, three batches each"
    rows, epsilon = (torch.cat(each) for each in zip(*seen, strict=True))
    mislabelled = wrong[rows]
    assert (epsilon[mislabelled] < 0).float().mean() > 0.9
    assert (epsilon[~mislabelled] > 0).float().mean() > 0.9
    assert epsilon[mislabelled].mean() < -2 * epsilon[~mislabelled].mean()


def slopes_in(precision, scaler=None):
    torch.manual_seed(0)
    network = build_network("small-cnn", 3).train()
    learner, method = prepared(network, precision, scaler)
    if scaler is not None:
        learner.accelerator.native_amp = True
    batch = {"synthetic": some_examples(1), "real": some_examples(2, 9)}
    batch = {name: e._replace(images=(e.images * 255).byte()) for name, e in batch.items()}
    learner.set_learning_rate(1e-5)  # theta' hardly moves, so that rounding is all that differs
    output = learner.forward(batch["synthetic"], "synthetic")
    losses = functional.cross_entropy(output.logits, batch["synthetic"].labels, reduction="none")
    weights = method.class_weights[batch["synthetic"].labels]
    return method._slopes(weights, losses, batch, torch.get_rng_state())[0], method, batch


def test_mixed_precision_and_a_loss_scale_change_little():
    plain = slopes_in("no")[0]
    half = slopes_in("bf16")[0]
    assert half.dtype == torch.float32 and not torch.equal(plain, half)
    assert (plain - half).norm() < 0.25 * plain.norm()
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**10)
    torch.testing.assert_close(slopes_in("no", scaler)[0], plain, atol=0, rtol=1e-4)


def test_an_overflow_of_the_meta_gradient_skips_the_update():
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**10)
    _, method, batch = slopes_in("no", scaler)
    before = [p.detach().clone() for p in method.learner.bare.parameters()]
    broken = method.learner.mean
    method._slopes = lambda weights, *_: (torch.full_like(weights, float("inf")), broken(weights))
    method.step(batch, 0.9)
    for parameter, value in zip(method.learner.bare.parameters(), before, strict=True):
        assert torch.equal(parameter, value)
    assert scaler.get_scale() == 2.0**9


def test_stages_see_what_the_docstring_says():
    images = {"synthetic": toy_images("s", 30, 0), "real": toy_images("r", 9, 1)}
    for options, seen in (({}, 6), ({"first_share": 0.5}, 4)):
        result = gendata.train(
            **images, method="ltda", epochs=8, batch_size=16, progress=False, **options
        )
        sources = [record["sources"] for record in result.history]
        assert sources == ["synthetic"] * seen + ["synthetic+real"] * (8 - seen)
        assert ["loss_real" in record for record in result.history] == [
            s != "synthetic" for s in sources
        ]


@pytest.mark.parametrize(
    "option",
    [
        {"eps_step": -1},
        {"balance_beta": 1},
        {"balance_beta": -0.1},
        {"first_share": 0},
        {"first_share": 1.0},
        {"first_share": "half"},
    ],
)
def test_options_are_checked(option):
    with pytest.raises(GendataError, match=next(iter(option))):
        LongTailedDomainAdaptation(**option)


QUIET = """
from toys import toy_images
import gendata
images = {"synthetic": toy_images("s", 12, 0), "real": toy_images("r", 6, 1)}
gendata.train(**images, method="ltda", epochs=4, batch_size=6, device="cpu", progress=False)
"""


def test_torch_s_own_use_of_torchscript_is_not_told():
    """In a process of its own: torch warns where its forward mode is used first."""
    run = subprocess.run(
        [sys.executable, "-W", "error::FutureWarning", "-c", QUIET],
        cwd=Path(__file__).parents[1],  # where toys.py is
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0 and "deprecated" not in run.stderr, run.stderr
