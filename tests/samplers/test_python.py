import re
import sys

import pytest
import torch

from gendata import load_sampler
from gendata.errors import GendataError, UnusableImages
from gendata.models.weights import digest_of

SEEDS, LABELS = torch.tensor([3, 4, 5]), torch.tensor([2, 0, 1])
MODULE = """
import torch
from gendata.seeds import image_noise
from gendata.types import Card

open(__file__ + ".ran", "w").close()
sizes = []


def draw(labels, seeds):
    noise = image_noise(seeds, (3, 4, 4)) / 3
    return noise if labels is None else noise + labels[:, None, None, None] / 10


def plain(scale=1.0):
    return lambda labels, seeds: draw(labels, seeds) * scale


class Whole:
    name, classes, resolution, card = "whole", ["a", "b", "c"], 4, Card("Whole")

    def __init__(self, device):
        self.device = device

    def sample(self, labels, seeds):
        return draw(labels, seeds).add(1).mul(127.5).clamp(0, 255).to(torch.uint8)


def whole(device):
    return Whole(device)


def small(device):
    made = Whole(device)
    made.resolution = 8
    return made


def bare():
    made = Whole("cpu")
    made.card = None
    return made


def entangled():
    return lambda labels, seeds: draw(None, seeds) - draw(None, seeds).mean(dim=0)


def shrinking():
    def one(labels, seeds):
        sizes.append(1)
        return torch.zeros(len(seeds), 3, 4 + len(sizes) // 3, 4 + len(sizes) // 3)

    return one


def integers():
    return lambda labels, seeds: torch.zeros(len(seeds), 3, 4, 4, dtype=torch.int64)


def broken():
    return lambda labels, seeds: draw(None, seeds) / (seeds < 100)[:, None, None, None]


def number():
    return 7


def few():
    return lambda labels, seeds: torch.zeros(1, 3, 4, 4)


value = 3
"""


@pytest.fixture
def module(tmp_path, monkeypatch):
    (tmp_path / "own_sampler.py").write_text(MODULE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield tmp_path / "own_sampler.py"
    sys.modules.pop("own_sampler", None)


def load(function, **options):
    return load_sampler(f"python:own_sampler:{function}", device="cpu", trust=True, **options)


@pytest.mark.parametrize("trust", [False, None, "yes", 1])
def test_nothing_runs_without_trust(module, trust):
    with pytest.raises(GendataError, match="is a program.*trust=True"):
        load_sampler("python:own_sampler:plain", device="cpu", trust=trust)
    assert not module.with_suffix(".py.ran").exists()


def test_a_callable_becomes_a_sampler(module):
    sampler = load("plain", scale=0.5, classes=["a", "b", "c"])
    images = sampler.sample(LABELS, SEEDS)
    assert images.dtype == torch.uint8 and images.shape == (3, 3, 4, 4)
    assert sampler.classes == ["a", "b", "c"] and sampler.resolution == 4
    assert sampler.card.sha256 == digest_of(module) and sampler.card.settings["scale"] == 0.5
    assert torch.equal(sampler.sample(LABELS.flip(0), SEEDS.flip(0)), images.flip(0))
    other = sampler.sample(torch.tensor([2, 1, 0]), torch.tensor([3, 8, 9]))
    assert torch.equal(other[0], images[0]) and not torch.equal(other[1], images[1])
    assert torch.equal(sampler.sample(LABELS[:1], SEEDS[:1])[0], images[0])
    assert load("plain").classes is None


def test_a_whole_sampler_is_kept(module):
    sampler = load("whole")
    assert sampler.classes == ["a", "b", "c"] and sampler.card.title == "Whole"
    images = sampler.sample(LABELS, SEEDS)
    assert torch.equal(images, sampler.sample(LABELS, SEEDS))
    with pytest.raises(GendataError, match="outside"):
        sampler.sample(LABELS + 1, SEEDS)


def test_images_that_are_not_finite_are_named(module):
    with pytest.raises(UnusableImages) as caught:
        load("broken").sample(None, torch.tensor([1, 200]))
    assert caught.value.bad.tolist() == [False, True]


def test_a_batch_of_another_size_is_refused(module):
    sampler = load("shrinking")
    with pytest.raises(GendataError, match=re.escape("expected a tensor (3, 3, 4, 4)")):
        sampler.sample(None, SEEDS)


@pytest.mark.parametrize(
    ("function", "options", "words"),
    [
        ("small", {}, "names another resolution than it draws; found 8; expected 4"),
        ("bare", {}, "returns no whole sampler; found card of NoneType"),
        ("entangled", {}, "depends on more than its label and its seed"),
        ("integers", {}, "images of a wrong kind; found torch.int64"),
        ("number", {}, "returns no sampler; found int"),
        ("few", {}, "found (1, 3, 4, 4); expected a tensor (2, 3, H, H)"),
        ("plain", {"size": 3}, "does not take these options"),
        ("plain", {"classes": 0}, "bad option classes"),
        ("nothing", {}, "has no function nothing"),
        ("value", {}, "has no function value; found int"),
    ],
)
def test_mistakes_are_one_line(module, function, options, words):
    with pytest.raises(GendataError, match=re.escape(words)) as caught:
        load(function, **options)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("reference", "words"),
    [
        ("own_sampler", "names no function; expected python:MODULE:FUNCTION"),
        ("not_there:make", "cannot be imported; found ModuleNotFoundError"),
        ("..:make", "cannot be imported"),
    ],
)
def test_references_that_lead_nowhere(module, reference, words):
    with pytest.raises(GendataError, match=words):
        load_sampler(f"python:{reference}", trust=True)
