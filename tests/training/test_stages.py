"""Stages: their hook, and what a run resumed within one finds."""

import math
from dataclasses import dataclass, field

import pytest
import torch
from resuming import assert_same_training, killed
from torch import nn
from toys import toy_images

import gendata
from gendata.errors import GendataError
from gendata.registry import methods
from gendata.training.stages import epoch_stages, epochs_of, two_stages
from gendata.training.supervised import supervised_step
from gendata.types import Stage


@dataclass
class TwoStages:
    """Trains a head of its own beside the network, then holds the network's last layer still."""

    stages = (Stage(0.5, ("synthetic",)), Stage(0.5, ("real",)))
    begun: list = field(default_factory=list)

    def prepare(self, learner):
        self.learner = learner
        self.head = learner.add("head", nn.Linear(learner.bare.feature_dim, 3))
        learner.set_rate_factor(learner.bare.backbone.get_classifier(), 1.0)

    def begin_stage(self, number):
        self.begun.append((number, float(torch.rand(()))))
        if number == 1:
            self.learner.set_rate_factor(self.learner.bare.backbone.get_classifier(), 0.0)

    def step(self, batch, progress):
        ((source, examples),) = batch.items()
        output = self.learner.forward(examples, source)
        self.learner.accelerator.backward(
            nn.functional.cross_entropy(self.head(output.features.detach()), examples.labels)
        )
        return supervised_step(self.learner, batch)


@pytest.fixture
def registered(monkeypatch):
    built = []

    def entry():
        built.append(TwoStages())
        return built[-1]

    methods.names()
    monkeypatch.setitem(methods._entries, "two-stages", entry)
    return built


def test_a_stage_begins_once_even_where_the_run_is_resumed_in_it(
    registered, monkeypatch, tmp_path
):
    images = {
        "synthetic": toy_images("synthetic", 66, 0),
        "real": toy_images("real", 18, 1),
        "test": toy_images("test", 30, 2),
    }
    options = {"method": "two-stages", "epochs": 4, "batch_size": 32, "progress": False}
    whole = gendata.train(**images, **options)
    assert [number for number, _ in registered[0].begun] == [0, 1]

    options["out"] = tmp_path / "run"
    with killed(monkeypatch, TwoStages, at=0.75):
        gendata.train(**images, **options)
    resumed = gendata.train(**images, **options)
    assert registered[1].begun == registered[0].begun and registered[2].begun == []
    assert_same_training(whole, resumed)
    for mine, theirs in zip(
        registered[0].head.parameters(), registered[2].head.parameters(), strict=True
    ):
        assert torch.equal(mine, theirs)


def test_two_stages():
    assert [stage.share for stage in two_stages(0.6)] == [0.6, 0.4]
    for share in (0, 1, 1.5, "half"):
        with pytest.raises(GendataError, match="first_share"):
            two_stages(share)


def test_the_epochs_of_a_stage():
    first, second = two_stages(0.75)
    plan = epoch_stages((first, second), 8)
    assert epochs_of(first, plan) == (0, 6) and epochs_of(second, plan) == (6, 2)


def test_the_cosine_begins_anew_in_each_stage(registered, monkeypatch):
    rates = []
    step = TwoStages.step

    def watched(self, batch, progress):
        rates.append(self.learner.learning_rate)
        return step(self, batch, progress)

    monkeypatch.setattr(TwoStages, "step", watched)
    images = {
        "synthetic": toy_images("synthetic", 64, 0),
        "real": toy_images("real", 64, 1),
        "test": toy_images("test", 30, 2),
    }
    options = {"method": "two-stages", "epochs": 4, "batch_size": 32, "progress": False}
    gendata.train(**images, schedule="cosine", learning_rate=0.01, **options)
    cosine = [0.01 * (1 + math.cos(math.pi * step / 4)) / 2 for step in range(4)]
    assert rates == pytest.approx(2 * cosine)
