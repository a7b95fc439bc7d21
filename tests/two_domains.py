"""Two domains of the toy images, and a learner whose steps a test makes by hand."""

import torch
from toys import CLASSES, network_without_batch_norm, toy_images

import gendata
from gendata.images import ArrayImages
from gendata.training.learner import Learner
from gendata.training.processes import start_accelerator
from gendata.types import Examples

RATE = 0.1
TINT = torch.tensor([[0.9, 20.0], [0.4, 80.0], [0.2, 150.0]])  # factor and offset by channel


def shifted_images(name, count, seed, shift):
    """The toy images in other light: "tint" or "dim"."""
    images = toy_images(name, count, seed)
    pixels = images.images.float()
    if shift == "tint":
        pixels = pixels * TINT[:, 0].view(3, 1, 1) + TINT[:, 1].view(3, 1, 1)
    else:
        pixels = pixels * 0.35 + 120
    return ArrayImages(name, CLASSES, pixels.clamp(0, 255).to(torch.uint8), images.labels)


def two_domains(shift):
    return {
        "synthetic": toy_images("synthetic", 198, 0, noise=90),
        "real": shifted_images("real", 60, 1, shift),
        "test": shifted_images("test", 150, 2, shift),
    }


def few_of_two_domains():
    return {
        "synthetic": toy_images("synthetic", 48, 0),
        "real": shifted_images("real", 12, 1, "tint"),
        "test": shifted_images("test", 9, 2, "tint"),
    }


def accuracies(method, images, seeds=(0, 1), **options):
    """Test accuracies of a short training, by seed."""
    common = {"epochs": 12, "batch_size": 32, "augment": "none"}
    common |= {"learning_rate": 3e-3, "schedule": "constant"}
    return [
        gendata.train(
            **images, method=method, seed=seed, progress=False, **common, **options
        ).test_accuracy
        for seed in seeds
    ]


def with_other_labels(images):
    return ArrayImages(images.name, CLASSES, images.images, (images.labels + 1) % 3)


def assert_real_labels_unread(method, **options):
    """A training is the same with other labels of real images, and not of synthetic ones."""
    images = few_of_two_domains()
    options = {"method": method, "epochs": 4, "progress": False, **options}
    given = gendata.train(**images, **options)
    assert given.history[-1]["sources"] == "synthetic+real"
    for source, unread in (("real", True), ("synthetic", False)):
        changed = {**images, source: with_other_labels(images[source])}
        other = gendata.train(**changed, **options)
        assert all(map(torch.equal, copied(given.network), copied(other.network))) == unread


def small_learner(rate=RATE):
    """A student without batch normalisation, trained by plain gradient descent."""
    torch.manual_seed(0)
    network = network_without_batch_norm("small", 3)
    optimizer = torch.optim.SGD(network.parameters(), lr=rate)
    return Learner(network, optimizer, start_accelerator("cpu", "no"), classes=CLASSES, loaders={})


def examples(count, seed):
    generator = torch.Generator().manual_seed(seed)
    pixels = torch.randint(0, 256, (count, 3, 16, 16), dtype=torch.uint8, generator=generator)
    rows = torch.arange(count)
    return Examples(pixels, rows % 3, rows, torch.full_like(rows, -1))


def two_batches():
    """Twelve synthetic and five real rows."""
    return {"synthetic": examples(12, 0), "real": examples(5, 1)}


def copied(module):
    return [parameter.detach().clone() for parameter in module.parameters()]


def assert_descended(module, before, gradients, rate=RATE):
    """The parameters moved by minus the rate times these gradients."""
    for parameter, old, gradient in zip(module.parameters(), before, gradients, strict=True):
        torch.testing.assert_close(parameter.detach(), old - rate * gradient, atol=2e-6, rtol=2e-5)


def assert_backbone_rate(prepared):
    """All but the last layer moves a tenth as far in a step at a backbone rate of a tenth.

    Args:
        prepared: of a rate, a learner and a method that is prepared with it.
    """
    moved = {}
    for rate in (1.0, 0.1):
        learner, method = prepared(rate)
        learner.set_learning_rate(RATE)
        before = copied(learner.bare)
        method.step({"synthetic": next(iter(learner.loaders["synthetic"].epoch(0)))}, 0.0)
        names = [name for name, _ in learner.bare.named_parameters()]
        pairs = zip(copied(learner.bare), before, strict=True)
        moved[rate] = dict(zip(names, (new - old for new, old in pairs), strict=True))
    for name, full in moved[1.0].items():
        factor = 1.0 if ".linear." in name else 0.1
        torch.testing.assert_close(moved[0.1][name], factor * full, atol=1e-7, rtol=1e-2)
