"""Settings, presets, stages and schedules."""

import math

import pytest
import torch
from toys import toy_images

import gendata
from gendata.errors import GendataError
from gendata.training.processes import start_accelerator
from gendata.training.run import resolve
from gendata.training.settings import Settings, learning_rate_at
from gendata.training.stages import epoch_stages
from gendata.types import Stage


def test_the_paper_preset_and_what_overrides_it():
    settings, _, _ = resolve("fake", "paper", {"epochs": 3})
    assert (settings.network, settings.size, settings.batch_size) == ("timm:resnet50", 224, 128)
    assert (settings.learning_rate, settings.init, settings.epochs) == (1e-4, "imagenet", 3)
    assert resolve("fake", "paper", {"network": "small-cnn"})[0].network == "small-cnn"
    assert resolve("fake", "small", {})[0] == Settings()


@pytest.mark.parametrize(
    "options",
    [
        {"optimizer": "lion"},
        {"schedule": "step"},
        {"select": "best"},
        {"batch_norm": "no"},
        {"precision": "fp8"},
        {"epochs": 0},
        {"epochs": 2.5},
        {"batch_size": True},
        {"learning_rate": -1},
        {"learning_rate": 0},
        {"learning_rate": float("nan")},
        {"weight_decay": "none"},
        {"views": -1},
        {"clip": -2},
        {"clip": 0.0},
        {"size": 0},
    ],
)
def test_a_wrong_value_names_its_setting(options):
    with pytest.raises(GendataError, match=next(iter(options))):
        resolve("fake", None, options)


def test_names_and_paths_become_texts(tmp_path):
    settings, _, _ = resolve("fake", None, {"init": tmp_path / "w.safetensors", "network": 5})
    assert (settings.init, settings.network) == (str(tmp_path / "w.safetensors"), "5")
    for mistake in ({"init": 5}, {"network": 5}):
        with pytest.raises(GendataError, match="5"):
            gendata.train(synthetic=toy_images("s", 30, 0), progress=False, **mistake)


def test_unknown_names():
    with pytest.raises(GendataError, match="unknown preset 'huge'.*small, paper"):
        resolve("fake", "huge", {})
    with pytest.raises(GendataError, match="unknown method 'pgrg'.*pg"):
        resolve("pgrg", None, {})


def test_adaptation_splits_200_epochs_as_the_paper_does():
    stages = resolve("adp", None, {})[1].stages
    plan = epoch_stages(stages, 200)
    assert [stage.sources for stage in plan] == [("synthetic",)] * 150 + [("real",)] * 50
    assert [stage.sources for stage in epoch_stages(stages, 2)] == [("synthetic",), ("real",)]
    with pytest.raises(GendataError, match="fewer epochs than stages"):
        resolve("adp", None, {"epochs": 1})


def test_stages_cover_every_epoch_whatever_the_rounding():
    stages = [Stage(1 / 3, (name,)) for name in ("a", "b", "c")]
    for epochs in range(3, 30):
        plan = epoch_stages(stages, epochs)
        counts = [sum(stage is each for stage in plan) for each in stages]
        assert len(plan) == epochs and min(counts) >= 1 and max(counts) - min(counts) <= 1


def test_schedules():
    cosine = Settings(schedule="cosine", learning_rate=2.0)
    assert learning_rate_at(cosine, 0, 9) == 2.0
    assert learning_rate_at(cosine, 0.5, 9) == pytest.approx(1.0)
    assert learning_rate_at(cosine, 0.25, 9) == pytest.approx(1 + math.sqrt(0.5))
    constant = Settings(schedule="constant", learning_rate=2.0)
    assert learning_rate_at(constant, 0.9, 9) == 2.0


def test_half_precision_needs_an_accelerator():
    with pytest.raises(GendataError, match="fp16"):
        start_accelerator("cpu", "fp16")


def test_bf16_trains_and_keeps_float32_weights():
    images = {"synthetic": toy_images("s", 64, 0), "test": toy_images("t", 30, 1)}
    result = gendata.train(**images, epochs=3, batch_size=32, precision="bf16", progress=False)
    assert {p.dtype for p in result.network.parameters()} == {torch.float32}
    assert result.network(images["test"].images).logits.dtype == torch.float32
    plain = gendata.train(**images, epochs=3, batch_size=32, progress=False)
    assert plain.history[-1]["loss"] != result.history[-1]["loss"]
