"""The recipes train on any colour images, go on as if never stopped, and save what we can read."""

import json

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image
from safetensors.torch import load_file
from toys import CLASSES, toy_images

from gendata.assets.recipes import classifier, diffusion, gan
from gendata.assets.recipes.card import sha256_of
from gendata.models import load_classifier
from gendata.samplers import load_sampler

RECIPES = {
    "diffusion": (diffusion, ["--steps", "6", "--widths", "8,32"], diffusion.WEIGHTS),
    "gan": (
        gan,
        ["--steps", "6", "--generator-widths", "16,8", "--discriminator-widths", "8,8"],
        "generator.pt",
    ),
    "classifier": (
        classifier,
        ["--network", "cifar-resnet20", "--epochs", "1"],
        "weights.safetensors",
    ),
}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "toys.npz"
    toys = toy_images("toys", 48, seed=0)
    pixels = toys.images.permute(0, 2, 3, 1).numpy()
    np.savez(path, images=pixels, labels=toys.labels, classes=np.array(CLASSES))
    return path


def run(recipe, data, folder, *more):
    module, options, _ = RECIPES[recipe]
    words = [*options, "--batch-size", "8", "--data", data, "--work", folder / "work"]
    words += ["--out", folder / "out", *more]
    return CliRunner().invoke(module.main, list(map(str, words)))


def read(recipe, folder):
    path = folder / "out" / RECIPES[recipe][2]
    if path.suffix == ".pt":
        return torch.jit.load(path).state_dict()
    return load_file(path)


def stop_at(monkeypatch, module, name, call):
    """Makes a function that every step calls once stop the training at that call."""
    usual, calls = getattr(module, name), []

    def stopping(*arguments):
        calls.append(1)
        if len(calls) == call:
            raise KeyboardInterrupt
        return usual(*arguments)

    monkeypatch.setattr(module, name, stopping)


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_stopped_training_ends_with_the_weights_of_one_that_never_stopped(
    recipe, data, tmp_path, monkeypatch
):
    whole = run(recipe, data, tmp_path / "whole")
    assert whole.exit_code == 0, whole.output
    module = RECIPES[recipe][0]
    every_step = {"classifier": "blanked"}.get(recipe, "signed")
    with monkeypatch.context() as patch:
        stop_at(patch, module, every_step, call=4)
        stopped = run(recipe, data, tmp_path / "stopped", "--minutes", "0")
    assert stopped.exit_code != 0 and not (tmp_path / "stopped" / "out" / "card.json").exists()
    (state,) = (tmp_path / "stopped" / "work").glob("*.pt")
    assert torch.load(state, weights_only=True)["step"] == 3
    torch.manual_seed(123)  # what is drawn until it goes on does not matter
    resumed = run(recipe, data, tmp_path / "stopped", "--minutes", "0")
    assert resumed.exit_code == 0, resumed.output
    first, second = read(recipe, tmp_path / "whole"), read(recipe, tmp_path / "stopped")
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)
    if recipe != "classifier":  # a picture with each save, a column a class
        pictures = sorted((tmp_path / "stopped" / "work").glob("samples-*.png"))
        assert [path.name for path in pictures] == [f"samples-{n:07d}.png" for n in range(1, 7)]
        assert Image.open(pictures[-1]).size == (3 * 16, 8 * 16)


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_seed_decides_and_other_settings_are_not_continued(recipe, data, tmp_path):
    run(recipe, data, tmp_path / "a")
    run(recipe, data, tmp_path / "b", "--seed", "1")
    first, second = read(recipe, tmp_path / "a"), read(recipe, tmp_path / "b")
    assert any(not torch.equal(first[name], second[name]) for name in first)
    refused = run(recipe, data, tmp_path / "a", "--seed", "1")
    assert refused.exit_code == 2 and "seed 0 there, 1 now" in refused.output


def test_what_is_saved_can_be_drawn_from_and_filtered_by(data, tmp_path):
    for recipe in RECIPES:
        assert run(recipe, data, tmp_path / recipe).exit_code == 0
    places = {
        f"diffusers:{tmp_path / 'diffusion' / 'out'}": {"steps": 2, "guidance": 2.0},
        f"torchscript:{tmp_path / 'gan' / 'out' / 'generator.pt'}": {"classes": CLASSES},
    }
    labels, seeds = torch.tensor([0, 2]), torch.tensor([5, 6])
    for reference, options in places.items():
        sampler = load_sampler(reference, device="cpu", **options)
        images = sampler.sample(labels, seeds)
        assert (list(sampler.classes), sampler.resolution) == (CLASSES, 16)
        assert images.shape == (2, 3, 16, 16) and images.float().std() > 0
    module = torch.jit.load(tmp_path / "gan" / "out" / "generator.pt")
    assert (module.z_dim, module.classes) == (128, CLASSES)
    weights = tmp_path / "classifier" / "out" / "weights.safetensors"
    judge = load_classifier(f"cifar-resnet20:{weights}", device="cpu")
    assert judge.probabilities(images).shape == (2, 3)


@pytest.mark.parametrize("recipe", RECIPES)
def test_the_card_says_what_was_seen_and_how_to_make_it_again(recipe, data, tmp_path):
    run(recipe, data, tmp_path, "--data-licence", "MIT", "--size", "16")
    card = json.loads((tmp_path / "out" / "card.json").read_text(encoding="utf-8"))
    assert card["training_data"] == f"{data} (licence: MIT)"
    assert card["origin"] == "trained by its user" and "Apache" not in card["licence"]
    module, options, file = RECIPES[recipe]
    assert card["command"].startswith(f"python -m {module.__name__} --data {data} --size 16 ")
    for name, value in zip(options[::2], options[1::2], strict=True):
        assert f"{name} {value}" in card["command"]
    assert card["command"].endswith("--seed 0")
    assert card["files"] == {file: sha256_of(tmp_path / "out" / file)}


def test_mistakes_are_told_in_one_line(data, tmp_path):
    def told(recipe, *words):
        result = CliRunner().invoke(RECIPES[recipe][0].main, list(map(str, words)))
        assert result.exit_code == 2
        return result.output.strip().splitlines()[-1]

    out = ["--out", tmp_path / "out", "--work", tmp_path / "work"]
    assert "--out" in told("gan", "--data", data)
    assert "multiple of 8" in told("gan", "--data", data, "--size", 20, *out)
    assert "multiples of 8" in told("diffusion", "--data", data, "--widths", "8,16", *out)
    assert "whole numbers" in told("diffusion", "--data", data, "--widths", "wide", *out)
    assert "--generator-widths" in told(
        "gan", "--data", data, "--size", 24, "--generator-widths", "8,8,8,8,8", *out
    )
