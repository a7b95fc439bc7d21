import re

import pytest
import torch
from torch import Tensor, nn

from gendata import load_sampler
from gendata.errors import GendataError
from gendata.models.weights import digest_of
from gendata.seeds import image_noise

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning")
SEEDS, LABELS = torch.tensor([3, 4, 5]), torch.tensor([2, 0, 1])


class Conditional(nn.Module):
    z_dim: int

    def __init__(self):
        super().__init__()
        self.z_dim = 6
        self.embed, self.linear = nn.Embedding(3, 6), nn.Linear(6, 25)

    def forward(self, z: Tensor, label: Tensor) -> Tensor:
        return torch.tanh(self.linear(z + self.embed(label))).view(-1, 1, 5, 5)


class Unconditional(nn.Module):
    def forward(self, z: Tensor) -> Tensor:
        return torch.tanh(z).view(-1, 3, 2, 2)


class Noisy(nn.Module):
    def forward(self, z: Tensor) -> Tensor:
        return z.view(-1, 3, 2, 2) + torch.randn_like(z).view(-1, 3, 2, 2)


class Entangled(nn.Module):
    def forward(self, z: Tensor) -> Tensor:
        return (z - z.mean(dim=0)).view(-1, 3, 2, 2)


class Oblong(nn.Module):
    def forward(self, z: Tensor) -> Tensor:
        return z.view(-1, 3, 1, 4)


@pytest.fixture
def save(tmp_path):
    def write(module):
        torch.jit.script(module.eval()).save(tmp_path / "g.pt")
        return tmp_path / "g.pt"

    return write


def test_a_conditional_generator(save):
    module = Conditional()
    path = save(module)
    sampler = load_sampler(f"torchscript:{path}", classes=["a", "b", "c"], device="cpu")
    images = sampler.sample(LABELS, SEEDS)
    with torch.no_grad():
        expected = module(image_noise(SEEDS, (6,)), LABELS)
    assert (images[:, 1:2].float() - (expected + 1) * 127.5).abs().max() <= 0.501
    assert sampler.resolution == 5 and sampler.classes == ["a", "b", "c"]
    assert sampler.card.sha256 == digest_of(path) and sampler.card.settings["z_dim"] == 6


class Named(Conditional):
    """A generator that names its classes itself."""

    classes: list[str]

    def __init__(self):
        super().__init__()
        self.classes = ["cat", "dog"]


def test_a_file_may_name_its_classes(save):
    path = str(save(Named()))
    assert load_sampler(path, device="cpu").classes == ["cat", "dog"]
    assert load_sampler(path, classes=["a", "b"], device="cpu").classes == ["a", "b"]


def test_an_image_depends_on_its_label_and_seed_alone(save):
    sampler = load_sampler(str(save(Conditional())), classes=3, device="cpu")
    images = sampler.sample(LABELS, SEEDS)
    assert torch.equal(sampler.sample(LABELS.flip(0), SEEDS.flip(0)), images.flip(0))
    other = sampler.sample(torch.tensor([2, 1, 0]), torch.tensor([3, 8, 9]))
    assert torch.equal(other[0], images[0]) and not torch.equal(other[1], images[1])


def test_an_unconditional_generator(save):
    sampler = load_sampler(f"torchscript:{save(Unconditional())}", z_dim=12, device="cpu")
    assert sampler.classes is None and sampler.sample(None, SEEDS).shape == (3, 3, 2, 2)
    with pytest.raises(GendataError, match="unconditional"):
        sampler.sample(LABELS, SEEDS)


@pytest.mark.parametrize(
    ("module", "options", "words"),
    [
        (Unconditional, {}, "option z_dim"),
        (Unconditional, {"z_dim": 13}, "check the options z_dim and classes"),
        (Unconditional, {"z_dim": 12, "classes": 3}, "check the options z_dim and classes"),
        (Conditional, {}, "check the options z_dim and classes"),
        (Conditional, {"classes": 0}, "at least 1"),
        (Conditional, {"classes": "cat"}, """found 'cat'; expected a number or ["cat", "dog","""),
        (Conditional, {"classes": 2.5}, "found 2.5; expected a number or ["),
        (Conditional, {"classes": 3, "steps": 2}, "no option steps; expected some of classes, z_"),
        (Noisy, {"z_dim": 12}, "depends on more than its latent"),
        (Entangled, {"z_dim": 12}, "depends on more than its latent"),
        (Oblong, {"z_dim": 12}, "no square images"),
    ],
)
def test_mistakes_are_one_line(save, module, options, words):
    with pytest.raises(GendataError, match=re.escape(words)) as caught:
        load_sampler(f"torchscript:{save(module())}", device="cpu", **options)
    assert "\n" not in str(caught.value)


def test_files_that_are_no_torchscript(tmp_path):
    (tmp_path / "g.pt").write_bytes(b"not a zip")
    with pytest.raises(GendataError, match="cannot be read as TorchScript"):
        load_sampler(f"torchscript:{tmp_path / 'g.pt'}", z_dim=3)
    with pytest.raises(GendataError, match="missing"):
        load_sampler("torchscript:/nowhere/g.pt", z_dim=3)
