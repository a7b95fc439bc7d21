"""What every registered method keeps to, ours and a plugin's alike."""

import inspect

import pytest
import torch
from toys import PoisonedLabels, toy_images

import gendata
from gendata.errors import GendataError
from gendata.models import build_network
from gendata.models.weights import fit_weights, read_weights, save_weights
from gendata.registry import methods
from gendata.training import Settings
from gendata.training.options import option_names

SMALL = {"epochs": 6, "batch_size": 32, "learning_rate": 3e-3, "views": 2, "progress": False}


@pytest.fixture(scope="module")
def images():
    return {
        "synthetic": toy_images("synthetic", 66, seed=0, noise=90),
        "real": toy_images("real", 18, seed=1),
        "test": toy_images("test", 60, seed=2),
    }


def weights_of(result):
    return torch.cat([value.flatten().float() for value in result.network.state_dict().values()])


@pytest.mark.parametrize("name", methods.names())
def test_method(name, images, tmp_path):
    first = gendata.train(**images, method=name, out=tmp_path / "run", **SMALL)
    again = gendata.train(**images, method=name, **SMALL)
    other = gendata.train(**images, method=name, seed=1, **SMALL)
    assert weights_of(first).isfinite().all()
    assert torch.equal(weights_of(first), weights_of(again))
    assert not torch.equal(weights_of(first), weights_of(other))
    assert first.test_accuracy > 0.8, "chance is a third"
    assert first.history[-1]["loss"] < first.history[0]["loss"]
    assert [record["epoch"] for record in first.history] == list(range(1, 7))

    network = build_network("small-cnn", 3).eval()
    path = tmp_path / "run" / "last.safetensors"
    fit_weights(network.backbone, read_weights(path), path)
    pixels = images["test"].images
    assert torch.equal(network(pixels).logits, first.network(pixels).logits)


@pytest.mark.parametrize("name", methods.names())
def test_options_do_not_hide_settings(name):
    entry = methods.get(name)
    named = set(inspect.signature(gendata.train).parameters) | set(Settings.names())
    assert not named & set(option_names(entry))
    assert inspect.getdoc(entry)


@pytest.mark.parametrize("name", methods.names())
def test_the_first_stage_shares_sum_to_one(name):
    stages = methods.get(name)().stages
    assert sum(stage.share for stage in stages) == pytest.approx(1)


@pytest.mark.parametrize("name", ["fake", "pg"])
def test_zero_shot_methods_never_open_the_real_set(name, images):
    options = {**images, "real": PoisonedLabels(), "method": name, **SMALL, "epochs": 1}
    gendata.train(**options)
    with pytest.raises(AssertionError):
        gendata.train(**{**options, "method": "aug"})


def test_an_unknown_option_is_named_with_the_known_ones(images):
    with pytest.raises(GendataError, match="'pg_wait'.*pg_weight.*did you mean pg_weight"):
        gendata.train(**images, method="pg", pg_wait=2, **SMALL)
    with pytest.raises(GendataError, match="'pg_weight'"):
        gendata.train(**images, method="fake", pg_weight=2, **SMALL)


def test_pg_on_the_mixed_set_acts_on_the_asked_part(images):
    """On synthetic rows only, the real ones must not change the term, and the reverse."""
    records = {}
    for part in ("f", "r", "fr"):
        result = gendata.train(
            **images,
            method="pg",
            train_on="mixed",
            pg_on=part,
            **{**SMALL, "epochs": 1, "views": 0},
        )
        records[part] = result.history[0]["guidance"]
    assert len(set(records.values())) == 3
    assert records["fr"] > max(records["f"], records["r"]) > 0


def test_a_teacher_file_that_does_not_fit_is_one_clear_error(images, tmp_path):
    path = tmp_path / "other.safetensors"
    save_weights(torch.nn.Linear(2, 2), path)
    with pytest.raises(GendataError, match="do not fit"):
        gendata.train(**images, method="pg", teacher=f"cifar-resnet20:{path}", **SMALL)
    with pytest.raises(GendataError, match="missing"):
        gendata.train(**images, method="pg", teacher=f"cifar-resnet20:{path}.gone", **SMALL)
