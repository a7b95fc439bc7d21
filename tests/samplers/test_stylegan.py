import pickle
import re

import fake_stylegan
import numpy as np
import pytest
import torch
from torch import nn

from gendata import load_sampler
from gendata.errors import GendataError, UnusableImages
from gendata.models.weights import digest_of
from gendata.samplers.stylegan import StyleganSampler
from gendata.seeds import hash_seed, image_noise
from gendata.types import Card

LABELS, SEEDS = torch.tensor([2, 0, 1, 2]), torch.tensor([7, 8, 9, 10])
MAKERS = {"stylegan2": fake_stylegan.stylegan2, "stylegan3": fake_stylegan.stylegan3}


@pytest.fixture(params=MAKERS)
def generator(request):
    return MAKERS[request.param](c_dim=3)


@pytest.fixture
def load(tmp_path):
    def write(generator, **options):
        path = fake_stylegan.save(generator, tmp_path / "G.pkl")
        return load_sampler(f"stylegan:{path}", device="cpu", **options)

    return write


def test_it_draws_what_the_published_program_would(load, generator, tmp_path):
    sampler = load(generator, psi=0.7, classes=["a", "b", "c"])
    images = sampler.sample(LABELS, SEEDS)
    floats = generator(image_noise(SEEDS, (generator.z_dim,)), LABELS, psi=0.7)
    expected = (floats * 127.5 + 128).clamp(0, 255).to(torch.uint8)
    assert images.shape == (4, 3, 16, 16) and images.dtype == torch.uint8
    different = images != expected  # where rounding moved a value over a whole number
    assert different.float().mean() < 0.01
    assert (images.int() - expected.int()).abs().max() <= 1
    assert sampler.resolution == 16 and sampler.classes == ["a", "b", "c"]
    assert sampler.name == f"stylegan:{tmp_path / 'G.pkl'}"
    assert sampler.card.sha256 == digest_of(tmp_path / "G.pkl")
    assert sampler.card.settings["psi"] == 0.7 and sampler.card.settings["cutoff"] is None
    assert sampler.card.settings["family"] in MAKERS


def test_synthesize_returns_the_networks_own_images(load, generator):
    z = torch.randn(4, generator.z_dim)
    sampler = load(generator, psi=0.5, cutoff=3, noise_mode="none")
    expected = generator(z, LABELS, psi=0.5, cutoff=3, noise="none")
    images = sampler.synthesize(z, LABELS)
    assert images.dtype == torch.float32 and not images.requires_grad
    assert (images - expected).abs().max() < 3e-5 * expected.std()


@pytest.mark.parametrize("noise_mode", ["const", "none", "random"])
def test_an_image_depends_on_its_label_and_seed_alone(load, generator, noise_mode):
    sampler = load(generator, noise_mode=noise_mode)
    images = sampler.sample(LABELS, SEEDS)
    assert torch.equal(sampler.sample(LABELS, SEEDS), images)
    order = torch.tensor([3, 1, 0, 2])
    assert torch.equal(sampler.sample(LABELS[order], SEEDS[order]), images[order])
    others = sampler.sample(torch.tensor([2, 1, 1, 1]), torch.tensor([7, 1, 2, 3]))
    assert torch.equal(others[0], images[0]) and not torch.equal(others[1], images[1])
    for first, last in ((0, 1), (1, 4)):  # another size of the batch may round otherwise
        part = sampler.sample(LABELS[first:last], SEEDS[first:last])
        assert (part.int() - images[first:last].int()).abs().max() <= 1
    another = sampler.sample(torch.tensor([1, 0, 1, 2]), SEEDS)
    assert not torch.equal(another[0], images[0]) and torch.equal(another[1:], images[1:])


@pytest.mark.parametrize(("dtype", "most"), [(torch.float16, 0.02), (torch.bfloat16, 0.2)])
def test_half_precision_stays_close(load, generator, dtype, most):
    sampler = load(generator)
    z = image_noise(SEEDS, (generator.z_dim,))
    exact = sampler.synthesize(z, LABELS)
    sampler.dtype = dtype
    images = sampler.synthesize(z, LABELS)
    assert images.dtype == torch.float32 and not torch.equal(images, exact)
    assert (images - exact).abs().max() < most * exact.std()


def test_large_styles_do_not_overflow_half_precision(load):
    generator = fake_stylegan.stylegan2(clamp=None)
    for name, value in generator.named_parameters():
        value.mul_(100 if name.endswith(("affine.weight", "conv1.weight")) else 1)
    sampler = load(generator)
    z = image_noise(SEEDS, (generator.z_dim,))
    exact = sampler.synthesize(z, LABELS)
    sampler.dtype = torch.float16
    assert (sampler.synthesize(z, LABELS) - exact).abs().max() < 0.05 * exact.std()


def test_no_images(load, generator):
    none = torch.zeros(0, dtype=torch.int64)
    assert load(generator).sample(none, none).shape == (0, 3, 16, 16)


def test_random_noise_comes_from_each_seed(load):
    generator = fake_stylegan.stylegan2()
    sampler = load(generator, noise_mode="random")
    drawn = image_noise([hash_seed(int(seed), 1) for seed in SEEDS], (16 + 2 * 64 + 2 * 256,))
    pieces = drawn.split([16, 64, 64, 256, 256], dim=1)
    noise = [piece.view(4, 1, int(piece.shape[1] ** 0.5), -1) for piece in pieces]
    z = image_noise(SEEDS, (generator.z_dim,))
    expected = generator(z, LABELS, noise=noise)
    found = sampler.synthesize(z, LABELS, SEEDS)
    assert (found - expected).abs().max() < 3e-5 * expected.std()
    silent = generator(z, LABELS, noise="none")
    found = sampler.synthesize(z, LABELS)
    assert (found - silent).abs().max() < 3e-5 * silent.std(), "without seeds there is no noise"


def test_an_unconditional_generator(load):
    sampler = load(fake_stylegan.stylegan2(c_dim=0, colours=1))
    images = sampler.sample(None, SEEDS)
    assert sampler.classes is None and images.shape == (4, 3, 16, 16)
    assert torch.equal(images[:, 0], images[:, 2])
    with pytest.raises(GendataError, match="unconditional"):
        sampler.sample(LABELS, SEEDS)


def test_the_other_networks_of_a_file(tmp_path):
    averaged, last = fake_stylegan.stylegan2(seed=0), fake_stylegan.stylegan2(seed=1)
    path = tmp_path / "G.pkl"
    path.write_bytes(pickle.dumps({"G": last, "G_ema": averaged}))
    drawn = {
        network: load_sampler(f"stylegan:{path}", network=network, device="cpu")
        for network in ("G", "G_ema")
    }
    images = {network: sampler.sample(LABELS, SEEDS) for network, sampler in drawn.items()}
    assert not torch.equal(images["G"], images["G_ema"])
    path.write_bytes(pickle.dumps(last))
    alone = load_sampler(f"stylegan:{path}", device="cpu").sample(LABELS, SEEDS)
    assert torch.equal(alone, images["G"])


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"psi": "high"}, "bad option psi; found 'high'"),
        ({"psi": True}, "bad option psi"),
        ({"psi": float("nan")}, "bad option psi"),
        ({"cutoff": -1}, "bad option cutoff; found -1"),
        ({"cutoff": 1.5}, "bad option cutoff"),
        ({"noise_mode": "fresh"}, "bad option noise_mode; found 'fresh'; expected const, none"),
        ({"network": "Gs"}, "has no network 'Gs'; found G, G_ema"),
        ({"network": "D"}, "has no network 'D'"),
        ({"classes": 4}, "found 4 classes; expected 3"),
        ({"centroids": "c.npy"}, "only StyleGAN-XL truncates to centroids"),
        ({"dtype": "float8"}, "bad option dtype; found 'float8'"),
        ({"dtype": "float16"}, "expected float32 on a CPU"),
        ({"steps": 4}, "no option steps; expected some of centroids, classes, compile"),
    ],
)
def test_bad_options_are_one_line(load, options, words):
    with pytest.raises(GendataError, match=re.escape(words)) as caught:
        load(fake_stylegan.stylegan2(), **options)
    assert "\n" not in str(caught.value)


def test_bad_inputs_are_one_line(load):
    sampler = load(fake_stylegan.stylegan2())
    with pytest.raises(GendataError, match="outside the sampler's classes"):
        sampler.sample(LABELS + 1, SEEDS)
    with pytest.raises(GendataError, match="needs labels"):
        sampler.sample(None, SEEDS)
    with pytest.raises(GendataError, match="do not match"):
        sampler.sample(torch.eye(4).long(), SEEDS)  # several labels an image
    with pytest.raises(GendataError, match="latents of a wrong shape"):
        sampler.synthesize(torch.randn(4, 9), LABELS)


class Unknown(nn.Module):
    """A generator of another family."""


class Listed:
    """A file's content that names a function to call."""

    def __reduce__(self):
        return sorted, (["ran"],)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (("G", "D", "Gs"), "TensorFlow"),
        ({"weights": [1, 2]}, "no networks in a dict"),
        ([1, 2], "no networks in a list"),
        (3, "no networks in a int"),
        ({"G_ema": Unknown()}, "unknown family; found Unknown with no modules"),
        ({"G_ema": Listed()}, "unknown family; found sorted"),
    ],
)
def test_files_of_something_else(tmp_path, capsys, content, words):
    path = tmp_path / "G.pkl"
    path.write_bytes(pickle.dumps(content))
    with pytest.raises(GendataError, match=words) as caught:
        load_sampler(f"stylegan:{path}", device="cpu")
    assert "\n" not in str(caught.value) and capsys.readouterr().out == ""


def test_files_that_are_no_checkpoints(tmp_path):
    (tmp_path / "G.pkl").write_bytes(b"not a pickle")
    with pytest.raises(GendataError, match="damaged"):
        load_sampler(f"stylegan:{tmp_path / 'G.pkl'}", device="cpu")
    with pytest.raises(GendataError, match="cannot be read"):
        load_sampler("stylegan:/nowhere/G.pkl", device="cpu")


class Toy(nn.Module):
    """A network as the modules in `networks` make them."""

    z_dim, c_dim, img_resolution, img_channels, noise_shapes = 3, 0, 2, 3, []
    family = "toy"

    def __init__(self, to_bytes):
        super().__init__()
        self.to_bytes = to_bytes
        self.values = torch.tensor([-2.0, -1.0, -0.502, 0.0, 0.5, 0.999, 1.0, 2.0, -1.5, 0, 0, 0])

    def forward(self, z, labels, *, psi, cutoff, noise):
        return self.values.view(1, 3, 2, 2).expand(len(z), -1, -1, -1).clone()


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("x*127.5+128", [0, 0, 63, 128, 191, 255, 255, 255, 0, 128, 128, 128]),
        ("(x+1)*127.5", [0, 0, 63, 127, 191, 254, 255, 255, 0, 127, 127, 127]),
    ],
)
def test_each_family_has_its_own_way_to_bytes(rule, expected):
    sampler = StyleganSampler(Toy(rule), None, "toy", Card("toy"), torch.device("cpu"))
    assert sampler.sample(None, SEEDS)[0].flatten().tolist() == expected


def test_images_that_are_not_finite_are_told(load):
    toy = Toy("x*127.5+128")
    toy.values[3] = float("nan")
    sampler = StyleganSampler(toy, None, "toy", Card("toy"), torch.device("cpu"))
    with pytest.raises(UnusableImages) as caught:
        sampler.sample(None, SEEDS)
    assert caught.value.bad.all() and not caught.value.images.any()


def test_the_published_vectors(shared):
    """Each of the families, through the same sampler."""
    for name, classes in (("sg2ada_cond32", 10), ("sgxl_superres32", 10)):
        folder = shared / "checkpoints"
        vector = np.load(folder / f"{name}.npz")
        z, labels = torch.tensor(vector["z"]), torch.tensor(vector["c"]).argmax(dim=1)
        for key, psi in (("image", 1), ("image_truncated", float(vector["psi"]))):
            sampler = load_sampler(f"stylegan:{folder / name}.pkl", psi=psi, device="cpu")
            expected = torch.tensor(vector[key])
            assert (sampler.synthesize(z, labels) - expected).abs().max() < 1e-4 * expected.std()
            assert sampler.classes == [str(label) for label in range(classes)]


def test_truncation_to_centroids(shared, tmp_path):
    path = f"stylegan:{shared / 'checkpoints' / 'sgxl_superres32.pkl'}"
    centre = np.random.default_rng(0).standard_normal((1, 64)).astype(np.float32)
    np.save(tmp_path / "c.npy", centre)
    sampler = load_sampler(path, psi=0, centroids=tmp_path / "c.npy", device="cpu")
    images = sampler.sample(LABELS, SEEDS)
    assert torch.equal(images[0], images[1]) and len(sampler.card.settings["centroids"]) == 64
    assert not torch.equal(images[0], load_sampler(path, psi=0).sample(LABELS, SEEDS)[0])
    np.save(tmp_path / "c.npy", centre[:, :9])
    with pytest.raises(GendataError, match="centroids do not fit"):
        load_sampler(path, centroids=tmp_path / "c.npy", device="cpu")
    np.save(tmp_path / "c.npy", np.array([{"a": 1}]), allow_pickle=True)
    for name in ("c.npy", "missing.npy"):
        with pytest.raises(GendataError, match="cannot be read as centroids"):
            load_sampler(path, centroids=tmp_path / name, device="cpu")
