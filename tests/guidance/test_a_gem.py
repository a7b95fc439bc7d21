"""A-GEM against its paper's equation, and against Real Guidance, which holds it."""

import pytest
import torch
from torch.nn import functional
from toys import toy_images

import gendata
from gendata.guidance.a_gem import AveragedGradientEpisodicMemory
from gendata.models import build_network
from gendata.training.learner import Learner
from gendata.training.processes import start_accelerator
from gendata.types import Examples


@pytest.mark.parametrize("options", [{}, {"optimizer": "sgd", "clip": 0.3, "weight_decay": 0.01}])
def test_it_is_real_guidance_with_lambdas_of_zero_and_one(options):
    images = {
        "synthetic": toy_images("synthetic", 66, seed=0, noise=90),
        "real": toy_images("real", 18, seed=1),
    }
    options = {"epochs": 2, "batch_size": 32, "progress": False, **options}
    found = gendata.train(**images, method="a-gem", **options)
    expected = gendata.train(**images, method="rg", lambda1=0, lambda2=1, **options)
    for name, value in expected.network.state_dict().items():
        assert torch.equal(found.network.state_dict()[name], value), name
    other = gendata.train(**images, method="rg", **options)
    assert not torch.equal(next(found.network.parameters()), next(other.network.parameters()))


def some_examples(seed, flip):
    generator = torch.Generator().manual_seed(seed)
    rows = torch.arange(24)
    labels = rows % 3
    pixels = torch.randint(0, 60, (24, 3, 8, 8), dtype=torch.uint8, generator=generator)
    pixels[rows, labels] += 120
    return Examples(pixels, (labels + flip) % 3, rows, torch.full_like(rows, -1))


def gradient_of(network, examples):
    """Parameter by parameter, as the paper's code has it."""
    loss = functional.cross_entropy(network(examples.images).logits, examples.labels)
    return torch.autograd.grad(loss, list(network.parameters()))


@pytest.mark.parametrize("flip", [0, 1])
def test_a_step_is_equation_11(flip):
    """Labels that contradict those of the memory turn the gradients against each other."""
    torch.manual_seed(0)
    network = build_network("small-cnn", 3).train()
    batch = {"synthetic": some_examples(0, flip), "real": some_examples(1, 0)}
    own, memory = (gradient_of(network, batch[source]) for source in ("synthetic", "real"))
    dot = sum((g * m).sum() for g, m in zip(own, memory, strict=True))
    assert (dot < 0) == bool(flip)
    share = dot / sum((m * m).sum() for m in memory) if flip else 0.0
    expected = [
        p.detach() - 0.1 * (g - share * m)
        for p, g, m in zip(network.parameters(), own, memory, strict=True)
    ]

    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    accelerator = start_accelerator("cpu", "no")
    method = AveragedGradientEpisodicMemory()
    method.prepare(Learner(network, optimizer, accelerator, classes=["a", "b", "c"], loaders={}))
    method.step(batch, 0.0)
    for parameter, value in zip(network.parameters(), expected, strict=True):
        torch.testing.assert_close(parameter.detach(), value, atol=1e-6, rtol=1e-5)
