"""What every registered method keeps to, ours and a plugin's alike."""

import inspect
from itertools import groupby

import numpy as np
import pytest
import torch
from method_options import options_for, save_teacher
from resuming import assert_same_training, killed, without_time
from torch import nn
from toys import CLASSES, PoisonedLabels, toy_images

import gendata
from gendata.errors import GendataError
from gendata.images import ArrayImages
from gendata.models import build_network
from gendata.models.weights import fit_weights, read_weights, save_weights
from gendata.registry import methods
from gendata.training import Settings
from gendata.training.options import option_names
from gendata.training.stages import epoch_stages

SMALL = {
    "epochs": 8,
    "batch_size": 32,
    "learning_rate": 3e-3,
    "schedule": "constant",
    "views": 2,
    "progress": False,
    "device": "cpu",
}
SHORT = {**SMALL, "epochs": 2}
SEEDS = (1, 3)
CHANCE = 1 / 3
MARGIN = 0.1  # the smallest gain when this was written was 0.16, of adp

# Methods that must not read the labels of real images, with the options under which they do not.
BLIND = {"adda": {}, "dada": {}, "dann": {"use_real_labels": False}}


def stages_of(name):
    return methods.get(name)().stages


def sources_of(name):
    return {source for stage in stages_of(name) for source in stage.sources}


ZERO_SHOT = [name for name in methods.names() if sources_of(name) == {"synthetic"}]
WITH_REAL = [name for name in methods.names() if name not in ZERO_SHOT]


@pytest.fixture(scope="module")
def images():
    """Synthetic images of high contrast; real ones are paler, and what is learnt carries badly."""
    return {
        "synthetic": toy_images("synthetic", 96, 0),
        "real": toy_images("real", 30, 1, contrast=100, brightness=60),
        "test": toy_images("test", 150, 2, contrast=100, brightness=60),
    }


@pytest.fixture(scope="module")
def train(images, tmp_path_factory):
    """Trains with a method's options; what is given wins."""
    teacher = save_teacher(tmp_path_factory.mktemp("teacher"))

    def run(name, **options):
        return gendata.train(
            **{**images, "method": name, **SMALL, **options_for(name, teacher), **options}
        )

    return run


@pytest.fixture(scope="module")
def trained(train, tmp_path_factory):
    """Trains each method once with each seed, into a folder."""
    kept = {}

    def run(name, seed=SEEDS[0]):
        if (name, seed) not in kept:
            folder = tmp_path_factory.mktemp("runs")
            kept[name, seed] = train(name, seed=seed, out=folder / "run")
        return kept[name, seed]

    return run


def weights_of(result):
    return torch.cat([value.flatten().float() for value in result.network.state_dict().values()])


@pytest.mark.parametrize("name", methods.names())
def test_one_seed_is_one_result(name, images, trained, train):
    first, other = (trained(name, seed) for seed in SEEDS)
    again = train(name, seed=SEEDS[0])
    assert weights_of(first).isfinite().all()
    assert_same_training(first, again)
    assert not torch.equal(weights_of(first), weights_of(other))
    assert first.history[-1]["loss"] < first.history[0]["loss"]
    assert [record["epoch"] for record in first.history] == list(range(1, 9))
    assert first.network(images["test"].images).logits.shape == (150, 3)


@pytest.mark.parametrize("name", methods.names())
def test_the_weights_are_the_networks_own(name, images, trained):
    """A method's own modules are no part of them."""
    result = trained(name)
    network = build_network("small-cnn", 3).eval()
    path = result.out / "last.safetensors"
    fit_weights(network.backbone, read_weights(path), path)
    pixels = images["test"].images
    assert torch.equal(network(pixels).logits, result.network(pixels).logits)


@pytest.mark.parametrize("name", methods.names())
def test_real_images_help_where_the_domains_differ(name, trained):
    """Mean test accuracy of two seeds; a zero-shot method has nothing to learn the change from."""
    accuracy, fake = (
        sum(trained(each, seed).test_accuracy for seed in SEEDS) / len(SEEDS)
        for each in (name, "fake")
    )
    assert CHANCE + 0.1 < fake < 0.7
    assert accuracy > (CHANCE + 0.1 if name in ZERO_SHOT else fake + MARGIN)


@pytest.mark.parametrize("name", methods.names())
def test_killed_and_resumed_in_the_first_and_the_last_stage(
    name, trained, train, tmp_path, monkeypatch
):
    for share in (0.15, 0.87):  # early, and in the last of eight epochs
        with killed(monkeypatch, methods.get(name), at=share):
            train(name, seed=SEEDS[0], out=tmp_path / "run")
    resumed = train(name, seed=SEEDS[0], out=tmp_path / "run")
    assert_same_training(resumed, trained(name))


@pytest.mark.parametrize("name", methods.names())
def test_precision_and_batch_norm(name, train):
    def weights(**options):
        return weights_of(train(name, **{**SHORT, **options}))

    plain, half = weights(), weights(precision="bf16")
    assert half.isfinite().all() and not torch.equal(plain, half)
    norms = [m for m in train(name, **SHORT, batch_norm="freeze").network.modules()]
    norms = [m for m in norms if isinstance(m, nn.BatchNorm2d)]
    assert norms and all(torch.equal(m.running_var, torch.ones(m.num_features)) for m in norms)
    has_real_batches = "real" in sources_of(name)
    assert torch.equal(plain, weights(batch_norm="freeze-real")) != has_real_batches


@pytest.mark.parametrize("name", ZERO_SHOT)
def test_zero_shot_methods_never_open_the_real_set(name, train):
    train(name, real=PoisonedLabels(), **{**SHORT, "epochs": 1})


@pytest.mark.parametrize("name", WITH_REAL)
def test_labels_of_real_images(name, images, train):
    """They change nothing where a method must not read them, and something everywhere else."""
    real = images["real"]
    wrong = ArrayImages("real", CLASSES, real.images, np.zeros_like(real.labels))
    options = {**SHORT, **BLIND.get(name, {})}
    first, second = (train(name, **{**options, "real": each}) for each in (real, wrong))
    blind = name in BLIND
    assert torch.equal(weights_of(first), weights_of(second)) == blind
    assert (without_time(first) == without_time(second)) == blind


def test_every_method_that_needs_real_images_asks_for_them(train):
    for name in WITH_REAL:
        with pytest.raises(GendataError, match="needs real images"):
            train(name, real=None)


@pytest.mark.parametrize("name", methods.names())
def test_options_do_not_hide_settings(name):
    entry = methods.get(name)
    named = set(inspect.signature(gendata.train).parameters) | set(Settings.names())
    assert not named & set(option_names(entry))
    assert inspect.getdoc(entry)


@pytest.mark.parametrize("name", methods.names())
def test_a_second_stage_is_the_papers_quarter(name):
    """150 + 50 of 200 epochs, in that proportion whatever is asked, and an option."""
    for epochs, parts in ((200, [150, 50]), (8, [6, 2]), (2, [1, 1])):
        plan = epoch_stages(stages_of(name), epochs)
        lengths = [len(list(group)) for _, group in groupby(plan, key=id)]
        assert lengths == (parts if len(stages_of(name)) > 1 else [epochs])
    if len(stages_of(name)) > 1:
        halves = methods.get(name)(first_share=0.5).stages
        assert [stage.share for stage in halves] == [0.5, 0.5]


def test_an_unknown_option_is_named_with_the_known_ones(images):
    with pytest.raises(GendataError, match="'pg_wait'.*pg_weight.*did you mean pg_weight"):
        gendata.train(**images, method="pg", pg_wait=2, **SMALL)
    with pytest.raises(GendataError, match="'pg_weight'"):
        gendata.train(**images, method="fake", pg_weight=2, **SMALL)


def test_pg_on_the_mixed_set_acts_on_the_asked_part():
    """On synthetic rows only, the real ones must not change the term, and the reverse."""
    images = {
        "synthetic": toy_images("synthetic", 66, seed=0, noise=90),
        "real": toy_images("real", 18, seed=1),
    }
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
