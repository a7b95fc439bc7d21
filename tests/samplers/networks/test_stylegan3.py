from functools import partial

import fake_stylegan
import numpy as np
import pytest
import torch
from fake_stylegan import inputs

from gendata.errors import GendataError
from gendata.samplers.networks.stylegan3 import build

VARIANTS = {
    "translation": {},
    "rotation": {"radial": True, "kernel": 1},
    "labels": {"c_dim": 3},
    "grey": {"colours": 1, "seed": 4},
}


rebuilt = partial(fake_stylegan.rebuilt, build)


@pytest.mark.parametrize("name", VARIANTS)
def test_every_variant_is_the_slow_formula(tmp_path, name):
    slow = fake_stylegan.stylegan3(**VARIANTS[name])
    fast = rebuilt(slow, tmp_path)
    z, labels = inputs(slow)
    for options in ({}, {"psi": 0.6}, {"psi": 0.3, "cutoff": 2}, {"psi": 0.3, "cutoff": 0}):
        expected = slow(z, labels, **options)
        found = fast(z, labels, **options)
        assert found.shape == expected.shape == (3, slow.img_channels, 16, 16)
        assert (found - expected).abs().max() < 3e-5 * expected.std()


def test_what_the_network_says_of_itself(tmp_path):
    fast = rebuilt(fake_stylegan.stylegan3(c_dim=3), tmp_path)
    assert (fast.z_dim, fast.c_dim, fast.img_resolution, fast.img_channels) == (7, 3, 16, 3)
    assert (fast.family, fast.to_bytes, fast.noise_shapes) == ("stylegan3", "x*127.5+128", [])
    assert not fast.training and not list(fast.parameters())


def test_the_files_own_transform_moves_nothing(tmp_path):
    slow = fake_stylegan.stylegan3()
    z, _ = inputs(slow)
    expected = rebuilt(slow, tmp_path)(z, None)
    slow.synthesis.input.transform.copy_(torch.randn(3, 3))
    assert torch.equal(rebuilt(slow, tmp_path)(z, None), expected)


def test_an_image_does_not_depend_on_its_batch(tmp_path):
    """The published layers scale styles by the mean over the batch, which cancels but for 1e-8."""
    slow = fake_stylegan.stylegan3()
    fast = rebuilt(slow, tmp_path)
    z, _ = inputs(slow)
    others = z * torch.tensor([[1.0], [50.0], [-3.0]])
    assert torch.equal(fast(z, None)[0], fast(others, None)[0])


def shift(generator):
    generator.synthesis.L2_24_5.in_size = np.broadcast_to(np.asarray(20), [2])


def swell(generator):
    generator.synthesis.input.size = np.broadcast_to(np.asarray(10**6), [2])


def rush(generator):
    generator.synthesis.L2_24_5.up_factor = 10**6


def vanish(generator):
    generator.synthesis.L2_24_5.magnitude_ema = torch.tensor(0.0)


def cut(generator):
    generator.synthesis.layer_names.pop()


def forget(generator):
    generator.synthesis.layer_names = "L0_16_6"


def strip(generator):
    del generator.synthesis.input.affine


@pytest.mark.parametrize("harm", [shift, swell, rush, vanish, cut, forget, strip])
def test_a_file_that_does_not_fit_is_one_line(tmp_path, harm):
    generator = fake_stylegan.stylegan3()
    harm(generator)
    with pytest.raises(GendataError, match="does not fit") as caught:
        rebuilt(generator, tmp_path)
    assert "\n" not in str(caught.value)
