"""The official code beside the sampler: on clones made up here, whose code really runs."""

import json
import shutil
from pathlib import Path

import edm_lookalikes
import fake_stylegan
import numpy as np
import pytest
import torch
from click.testing import CliRunner

from gendata import load_sampler
from gendata.benchmarks.speed.official import difference, measure, official_code
from gendata.cli import main
from gendata.errors import GendataError

HELPERS = Path(__file__).parents[1]

LEGACY = """
import pickle

import dnnlib
import pkg_resources
from torch import nn

assert pkg_resources.parse_version("2.10.0") > pkg_resources.parse_version("2.9.1")


class Official(nn.Module):
    def __init__(self, network):
        super().__init__()
        self.network, self.z_dim, self.c_dim = network, network.z_dim, network.c_dim

    def forward(self, z, c, truncation_psi=1, truncation_cutoff=None, noise_mode="random",
                force_fp32=False):
        assert force_fp32 and c.sum(1).eq(1).all()
        print("drawing", len(z))
        args = z.float(), c.argmax(1), truncation_psi, truncation_cutoff, noise_mode
        return self.network(*args) + SHIFT


def load_network_pkl(file):
    return {name: Official(each) for name, each in pickle.load(file).items() if name == "G_ema"}
"""

GENERATE = """
import torch


class StackedRandomGenerator:
    def __init__(self, device, seeds):
        self.own = [torch.Generator(device).manual_seed(seed) for seed in seeds]

    def randn(self, size, device):
        return torch.stack([torch.randn(size[1:], generator=own) for own in self.own])

    def randn_like(self, input):
        return self.randn(input.shape, input.device)


def edm_sampler(net, latents, class_labels, randn_like, num_steps, sigma_min, sigma_max, rho,
                S_churn=0, S_min=0, S_noise=1, S_max=float("inf")):
    net, labels, x = net.double(), class_labels.argmax(1), latents.double() * sigma_max
    ends = sigma_max ** (1 / rho), sigma_min ** (1 / rho)
    levels = [(ends[0] + i / (num_steps - 1) * (ends[1] - ends[0])) ** rho
              for i in range(num_steps)] + [0.0]
    def slope(x, level):
        return (x - net(x, torch.full((len(x),), level).double(), labels)) / level
    for high, low in zip(levels[:-1], levels[1:]):
        first = slope(x, high)
        euler = x + (low - high) * first
        x = euler if low == 0 else x + (low - high) * (first + slope(euler, low)) / 2
    return x
"""

BIGGAN = """
import boto3, torch
from botocore.exceptions import ClientError
import numpy as np


class Config:
    z_dim, num_classes = 4, 3


class BigGAN(torch.nn.Module):
    config = Config

    @classmethod
    def from_pretrained(cls, folder):
        assert folder.endswith("weights")
        return cls()

    def forward(self, z, classes, truncation):
        return (z[:, :3] + classes).reshape(-1, 3, 1, 1).expand(-1, 3, 2, 2) * truncation


def truncated_noise_sample(batch_size, dim_z, truncation, seed):
    return truncation * np.random.RandomState(seed).rand(batch_size, dim_z).astype(np.float32)
"""


def clone_of(folder, shift=0.0):
    """A look-alike of a repository of StyleGAN's family."""
    (folder / "dnnlib").mkdir(parents=True)
    (folder / "dnnlib" / "__init__.py").write_text("print('hello from the clone')\n")
    (folder / "legacy.py").write_text(LEGACY + f"\nSHIFT = {shift}\n")
    shutil.copy(HELPERS / "fake_stylegan.py", folder)
    return folder


@pytest.fixture
def checkpoint(tmp_path):
    return fake_stylegan.save(fake_stylegan.stylegan2(), tmp_path / "G.pkl")


def test_a_generator_beside_its_official_code(checkpoint, tmp_path):
    words = ["speed", "--sampler", f"stylegan:{checkpoint}", "-o", "psi=0.7", "-o", "pairs=2"]
    clone = clone_of(tmp_path / "clone")
    words += ["--official", str(clone), "-o", "batch_size=3", "-o", "device=cpu", "--json"]
    result = CliRunner().invoke(main, ["bench", *words, "--out", str(tmp_path / "out")])
    assert result.exit_code == 0, result.output
    (found,) = json.loads(result.stdout)["measurements"]
    assert found["name"] == "drawing / the official code, G.pkl, 16x16"
    assert found["asked"] == ">= 1" and found["value"] > 0
    assert "batch 3, 2 pairs; images differ by at most" in found["how"]
    assert deviation(found["how"]) < 1e-4


@pytest.mark.slow
def test_a_deviation_is_found(checkpoint, tmp_path):
    clone = clone_of(tmp_path / "clone", shift=0.5)
    (found,) = measure(f"stylegan:{checkpoint}", clone, batch_size=2, pairs=1, device="cpu")
    assert deviation(found.how) > 0.01


def test_the_official_sampler_of_edm(tmp_path):
    clone, path = tmp_path / "clone", tmp_path / "net.pkl"
    clone.mkdir()
    (clone / "generate.py").write_text(GENERATE)
    for name in ("edm_lookalikes.py", "unet_lookalikes.py"):
        shutil.copy(HELPERS / name, clone)
    edm_lookalikes.save(path, classes=3)
    settings = {"batch_size": 2, "pairs": 1, "device": "cpu", "steps": 2}
    (found,) = measure(f"edm:{path}", clone, **settings)
    assert deviation(found.how) < 1e-4
    random = load_sampler(f"edm:{path}", device="cpu", churn=1)
    assert "not compared" in difference(random, None, torch.arange(2), torch.arange(2))


def test_the_official_biggan_without_its_download_libraries(tmp_path):
    package = tmp_path / "pytorch_pretrained_biggan"
    package.mkdir()
    (package / "__init__.py").write_text(BIGGAN)
    settings = {"kind": "biggan", "clone": str(tmp_path), "device": "cpu", "threads": 1}
    settings |= {"checkpoint": str(tmp_path / "weights"), "truncation": 0.5}
    latents, labels = np.random.default_rng(0).random((2, 4), np.float32), [2, 0]
    given, out = tmp_path / "latents.npy", tmp_path / "images.npy"
    np.save(given, latents)
    with official_code(settings) as ask:
        took = ask({"do": "draw", "seeds": [7, 8], "labels": labels})
        assert set(took) == {"seconds"} and took["seconds"] > 0
        ask({"do": "images", "latents": str(given), "labels": labels, "out": str(out)})
    expected = 0.5 * (latents[:, :3] + np.eye(3, dtype=np.float32)[labels])
    assert np.allclose(np.load(out), expected[:, :, None, None].repeat(2, 2).repeat(2, 3))


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("def load_network_pkl(file): raise RuntimeError('no kernel')", "RuntimeError: no kernel"),
        pytest.param(
            "import os, sys; print('dying', file=sys.stderr); os._exit(3)",
            "it ended: dying",
            marks=pytest.mark.slow,
        ),
    ],
)
def test_what_fails_in_the_clone_is_told(checkpoint, tmp_path, source, message):
    (tmp_path / "legacy.py").write_text(source)
    with pytest.raises(GendataError, match="the official code in .* failed") as failure:
        measure(f"stylegan:{checkpoint}", tmp_path, batch_size=1, pairs=1, device="cpu")
    assert message in str(failure.value)


def test_mistakes(checkpoint, tmp_path):
    with pytest.raises(GendataError, match="no clone of an official repository for stylegan"):
        measure(f"stylegan:{checkpoint}", tmp_path, device="cpu")
    with pytest.raises(GendataError, match="no official code to compare"):
        measure("embedded:fashion-gan", tmp_path, device="cpu")
    result = CliRunner().invoke(main, ["bench", "speed", "--official", str(tmp_path)])
    assert result.exit_code == 2 and "with a sampler only" in result.stderr


def deviation(how):
    return float(how.partition("at most ")[2].split()[0])


def test_official_latents_are_those_of_the_repository(checkpoint, tmp_path):
    """The driver's own module, here in this process, for the seeds of the official scripts."""
    from gendata.benchmarks.speed.official_driver import Stylegan

    family = Stylegan.__new__(Stylegan)
    family.device, family.network = torch.device("cpu"), fake_stylegan.stylegan2()
    expected = np.stack([np.random.RandomState(seed).randn(7) for seed in (3, 4)])
    assert np.array_equal(family.latents([3, 4]).numpy(), expected.astype(np.float32))
