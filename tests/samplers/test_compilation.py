"""The option `compile`: one batch size, one clear error, images that differ in rounding alone."""

import shutil

import edm_lookalikes
import fake_stylegan
import pytest
import torch
from family_files import FAMILIES

from gendata import load_sampler
from gendata.errors import GendataError
from gendata.samplers import compilation
from gendata.samplers.compilation import FixedBatches, compile_network

CPU = torch.device("cpu")


def test_batches_of_one_size_reach_the_network():
    sizes = []

    def network(x, labels, noise, *, scale, other=None):
        assert {len(each) for each in (x, labels, *noise)} == {len(x)} and other is None
        sizes.append(len(x))
        return (x + noise[0]).sum(1) * scale + labels

    fixed, random = FixedBatches(network), torch.Generator().manual_seed(0)
    for size in (4, 3, 1, 0, 4, 6, 4):
        x, noise = torch.randn(2, size, 2, generator=random)
        labels = torch.arange(size)
        found = fixed(x, labels, [noise], scale=2.0)
        assert torch.equal(found, (x + noise).sum(1) * 2 + labels)
    assert sizes == [4, 4, 4, 0, 4, 6, 6]


def test_without_the_option_the_network_is_what_it_was():
    network = torch.nn.Identity()
    assert compile_network(network, False, CPU) is network


@pytest.mark.parametrize("wanted", ["yes", 1, None])
def test_only_true_and_false(wanted):
    with pytest.raises(GendataError, match="bad option compile"):
        compile_network(torch.nn.Identity(), wanted, CPU)


def test_no_compiler_is_told_before_anything_is_drawn(monkeypatch, tmp_path):
    def broken(network, **options):
        raise RuntimeError("\nInvalidCxxCompiler: no working C++ compiler was found\nadvice")

    compilation._fault.cache_clear()
    monkeypatch.setattr(torch, "compile", broken)
    path = fake_stylegan.save(fake_stylegan.stylegan2(), tmp_path / "G.pkl")
    with pytest.raises(GendataError, match="does not work on cpu here") as failure:
        load_sampler(f"stylegan:{path}", device="cpu", compile=True)
    compilation._fault.cache_clear()
    assert "no working C++ compiler was found; expected a C++ compiler" in str(failure.value)


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="needs a C++ compiler")
@pytest.mark.parametrize("kind", ["stylegan", "edm"])
def test_compiled_images_differ_in_rounding_alone(kind, tmp_path):
    path = tmp_path / "net.pkl"
    if kind == "stylegan":
        fake_stylegan.save(fake_stylegan.stylegan2(c_dim=3), path)
        options = {"noise_mode": "random"}
    else:
        edm_lookalikes.save(path, classes=3, mults=(1,), attention=())
        options = {"steps": 1}
    plain = load_sampler(f"{kind}:{path}", device="cpu", **options)
    sampler = load_sampler(f"{kind}:{path}", device="cpu", compile=True, **options)
    assert sampler.card.settings == {**plain.card.settings, "compile": True}
    for size in (3, 2):
        labels, seeds = torch.arange(size), torch.arange(size) + 5
        found, expected = (each.sample(labels, seeds).int() for each in (sampler, plain))
        assert found.float().std() > 10
        assert (found - expected).abs().max() <= 1
        assert (found != expected).float().mean() < 0.01


@pytest.mark.parametrize("family", ["biggan", "lsgm", "edm", "stylegan2"])
def test_every_network_is_traced_and_draws_the_same(family, tmp_path, monkeypatch):
    """As far as a graph goes; that a C++ compiler keeps to it the slow test shows."""
    calls, real = [], torch.compile

    def trace_only(network, **options):
        calls.append(network)
        return real(network, **options, backend="eager")

    compilation._fault.cache_clear()
    monkeypatch.setattr(torch, "compile", trace_only)
    found = FAMILIES[family]
    reference, given = found.make(tmp_path), found.given(tmp_path)
    plain = load_sampler(reference, device="cpu", **given)
    sampler = load_sampler(reference, device="cpu", compile=True, **given)
    assert sampler.card.settings == {**plain.card.settings, "compile": True}
    for size in (3, 2):
        labels = torch.arange(size) if found.conditional else None
        images = [each.sample(labels, torch.arange(size) + 5).int() for each in (sampler, plain)]
        assert (images[0] - images[1]).abs().max() <= 1
    compilation._fault.cache_clear()
    assert len(calls) > 1, "the trial of the compiler, and the network"
