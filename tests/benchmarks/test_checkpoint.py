"""Drawing from a checkpoint of one's own beside the bare passes of its network."""

import json

import edm_lookalikes
import fake_stylegan
import pytest
import torch
from click.testing import CliRunner

from gendata import load_sampler
from gendata.benchmarks.speed.checkpoint import AnyClasses, bare_passes
from gendata.cli import main
from gendata.errors import GendataError
from gendata.models import load_classifier


def bench(path, *pairs):
    options = ["device=cpu", "batch_size=4", "images=6", "pairs=1", *pairs]
    words = ["--sampler", path, *(word for option in options for word in ("-o", option))]
    return CliRunner().invoke(main, ["bench", "speed", *words, "--json", "--out", "speed"])


@pytest.mark.parametrize("classes", [3, 0])
def test_a_clone_beside_the_passes(tmp_path, monkeypatch, classes):
    monkeypatch.chdir(tmp_path)
    fake_stylegan.save(fake_stylegan.stylegan2(c_dim=classes), tmp_path / "G.pkl")
    result = bench("stylegan:G.pkl", "psi=0.8")
    assert result.exit_code == 0, result.output
    (found,) = json.loads(result.stdout)["measurements"]
    assert found["name"] == "drawing, G.pkl, 16x16" and found["asked"] == ">= 0.95"
    assert found["value"] > 0 and "6 kept of 8 drawn, batch 4, 1 pairs" in found["how"]


def test_passes_are_as_many_as_the_sampler_makes(tmp_path):
    edm_lookalikes.save(tmp_path / "net.pkl", classes=3)
    sampler = load_sampler(f"edm:{tmp_path / 'net.pkl'}", device="cpu", steps=3)
    visits = []
    sampler.network.register_forward_pre_hook(
        lambda _, given: visits.append((len(given[0]), given[1].tolist()))
    )
    sampler.sample(torch.arange(2), torch.arange(2))
    drawn = list(visits)
    visits.clear()
    with torch.inference_mode():
        bare_passes(sampler, 2)()
    assert visits == drawn and len(drawn) == 5


def test_every_class_is_agreed_with():
    judge = AnyClasses(load_classifier("embedded:fashion-classifier", device="cpu"), ["a", "b"])
    images = torch.zeros(3, 3, 16, 16, dtype=torch.uint8)
    found = judge.probabilities(images)
    largest = judge.classifier.probabilities(images).amax(dim=1)
    assert judge.classes == ["a", "b"] and torch.equal(found, largest[:, None].expand(3, 2))


def test_mistakes(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(GendataError, match="passes of this sampler's network are not known"):
        bare_passes(load_sampler("embedded:fashion-gan", device="cpu"), 2)
    words = ["bench", "speed", "--sampler", "embedded:fashion-gan", "--only", "drawing"]
    result = CliRunner().invoke(main, [*words, "--out", "speed"])
    assert result.exit_code == 2 and "only chooses parts" in result.stderr
    fake_stylegan.save(fake_stylegan.stylegan2(), tmp_path / "G.pkl")
    result = bench("stylegan:G.pkl", "phi=1")
    assert result.exit_code == 2 and "no option phi" in result.stderr
