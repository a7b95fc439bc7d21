from functools import partial

import fake_stylegan
import numpy as np
import pytest
import torch
from fake_stylegan import inputs
from torch import nn

from gendata.errors import GendataError
from gendata.samplers.networks.stylegan2 import build
from gendata.samplers.restricted_pickle import read_checkpoint

BOX = (1.0,)
ODD = (1.0, 2.0, 4.0)
UNEVEN = ((1.0, 2.0, 4.0), (3.0, 5.0, 2.0), (0.0, 1.0, 7.0), (2.0, 2.0, 2.0))
LONG = tuple(float(tap) for tap in (1, 4, 7, 8, 3, 2, 5, 1, 2))  # eight and more: separable
VARIANTS = {
    "skip": {},
    "resnet": {"architecture": "resnet"},
    "orig": {"architecture": "orig"},
    "no label": {"c_dim": 0},
    "grey": {"colours": 1},
    "clamped": {"clamp": 0.5, "architecture": "resnet"},
    "not clamped": {"clamp": None},
    "box": {"taps": BOX, "architecture": "resnet"},
    "odd filter": {"taps": ODD, "architecture": "resnet"},
    "uneven filter": {"taps": UNEVEN, "architecture": "resnet"},
    "long filter": {"taps": LONG},
    "one pixel": {"kernel": 1},
    "five pixels": {"kernel": 5, "taps": ODD},
    "no noise": {"noise": False},
    "wider and narrower": {"widths": (3, 9, 2, 5)},
    "smallest": {"widths": (4,)},
    "relu": {"activation": "relu", "mapping": "relu", "architecture": "resnet"},
    "sigmoid": {"activation": "sigmoid", "mapping": "sigmoid", "architecture": "resnet"},
}


rebuilt = partial(fake_stylegan.rebuilt, build)


@pytest.mark.parametrize("name", VARIANTS)
def test_every_variant_is_the_slow_formula(tmp_path, name):
    slow = fake_stylegan.stylegan2(**VARIANTS[name])
    fast = rebuilt(slow, tmp_path)
    z, labels = inputs(slow)
    random = [torch.randn(3, 1, *shape) for shape in fast.noise_shapes]
    for options in (
        {},
        {"psi": 0.6},
        {"psi": -0.5, "cutoff": 2},
        {"psi": 0.3, "cutoff": 0},
        {"psi": 0.3, "cutoff": 99},
        {"noise": "none"},
        {"noise": random},
    ):
        expected = slow(z, labels, **options)
        found = fast(z, labels, **options)
        assert found.shape == expected.shape and found.dtype == torch.float32
        assert (found - expected).abs().max() < 2e-5 * expected.std()


def test_what_the_network_says_of_itself(tmp_path):
    fast = rebuilt(fake_stylegan.stylegan2(), tmp_path)
    assert (fast.z_dim, fast.c_dim, fast.img_resolution, fast.img_channels) == (7, 3, 16, 3)
    assert (fast.family, fast.to_bytes) == ("stylegan2", "x*127.5+128")
    assert fast.noise_shapes == [(4, 4), (8, 8), (8, 8), (16, 16), (16, 16)]
    assert not fast.training and not list(fast.parameters())


def test_half_precision_weights_are_read_as_float32(tmp_path):
    slow = fake_stylegan.stylegan2()
    z, labels = inputs(slow)
    fast = rebuilt(slow.half(), tmp_path)
    expected = slow.float()(z, labels)
    assert (fast(z, labels) - expected).abs().max() < 2e-5 * expected.std()


def test_the_published_vector(shared):
    folder = shared / "checkpoints"
    fast = build(read_checkpoint(folder / "sg2ada_cond32.pkl")["G_ema"])
    vector = np.load(folder / "sg2ada_cond32.npz")
    z, labels = torch.tensor(vector["z"]), torch.tensor(vector["c"]).argmax(dim=1)
    for name, psi in (("image", 1.0), ("image_truncated", float(vector["psi"]))):
        expected = torch.tensor(vector[name])
        assert (fast(z, labels, psi=psi) - expected).abs().max() < 1e-4 * expected.std()


def shrink(generator):
    generator.synthesis.b8.conv0.weight = nn.Parameter(torch.randn(5, 7, 3, 3))


def starve(generator):
    del generator.synthesis.b8.conv1.affine


def jump(generator):
    generator.synthesis.b64 = generator.synthesis.b16
    del generator.synthesis.b16


def darken(generator):
    del generator.synthesis.b16.torgb


def tower(generator):
    for power in range(5, 30):
        setattr(generator.synthesis, f"b{2**power}", generator.synthesis.b16)


def stretch(generator):
    generator.synthesis.b8.conv0.resample_filter = torch.ones(100_000)


def unbound(generator):
    generator.synthesis.b8.conv0.conv_clamp = float("nan")


def unknown(generator):
    generator.mapping.fc0.activation = "__import__"


def integers(generator):
    generator.synthesis.b4.const = nn.Parameter(torch.ones(6, 4, 4).long(), requires_grad=False)


def deeper(generator):
    generator.mapping.num_layers = 10**9


def wider(generator):
    generator.mapping.c_dim = 10**6


def quiet(generator):
    generator.synthesis.b8.conv0.noise_const = torch.zeros(1, 1)


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        (shrink, "shape of 'weight'"),
        (starve, "no module 'affine'"),
        (jump, "b16 next"),
        (darken, "no module 'torgb'"),
        (tower, "blocks"),
        (stretch, "at most 32 taps"),
        (unbound, "bad 'conv_clamp'"),
        (unknown, "activation"),
        (integers, "no tensor 'const'"),
        (deeper, "bad 'num_layers'"),
        (wider, "shape of 'weight'"),
        (quiet, "shape of 'noise_const'"),
    ],
)
def test_a_file_that_does_not_fit_is_one_line(tmp_path, harm, words):
    generator = fake_stylegan.stylegan2()
    harm(generator)
    with pytest.raises(GendataError, match=words) as caught:
        rebuilt(generator, tmp_path)
    assert "\n" not in str(caught.value)


def test_wrong_inputs_are_one_line(tmp_path):
    fast = rebuilt(fake_stylegan.stylegan2(), tmp_path)
    z, labels = inputs(fast)
    with pytest.raises(GendataError, match="unknown noise"):
        fast(z, labels, noise="random")
    with pytest.raises(GendataError, match="noise inputs; found 1; expected 5"):
        fast(z, labels, noise=[torch.zeros(3, 1, 4, 4)])
    with pytest.raises(GendataError, match="needs labels"):
        fast(z, None)


def test_no_truncation_without_an_average(tmp_path):
    slow = fake_stylegan.stylegan2()
    del slow.mapping.w_avg
    fast = rebuilt(slow, tmp_path)
    z, labels = inputs(slow)
    assert fast(z, labels).isfinite().all()
    with pytest.raises(GendataError, match="use psi=1"):
        fast(z, labels, psi=0.5)
