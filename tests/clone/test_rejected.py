"""What a filter turned away comes out of the clone's identity again, or nothing does."""

import json

import pytest
import torch
from tiny import NAMES, TinyClassifier, TinySampler, TinySet, draw_tiny, read_rejects

from gendata.clone import ConfidenceFilter, draw_clone
from gendata.clone.rejected import remake_rejected


def test_every_rejected_attempt_of_a_conditional_clone_is_remade_in_batches(tmp_path):
    draw_tiny(tmp_path, per_class=40, seed=4)
    sampler = TinySampler(spoil=11)
    rejected = remake_rejected(tmp_path, sampler, 1000)
    report = read_rejects(tmp_path)
    assert len(rejected.seeds) == sum(report["rejects"].values()) > 8
    assert len(rejected.seeds.unique()) == len(rejected.seeds)
    assert max(sampler.sizes) <= 8, "the run's batch size"
    probabilities = TinyClassifier().probabilities(rejected.images)
    sure = probabilities.max(1).values > 0.6
    agree = probabilities.argmax(1) == rejected.labels
    assert not (sure & agree & (rejected.seeds % 11 != 0)).any()
    few = remake_rejected(tmp_path, sampler, 1)
    assert torch.bincount(few.labels).tolist() == [1, 1, 1]


@pytest.mark.parametrize("kind", ["unconditional", "finite", "classifier"])
def test_clone_that_was_not_drawn_slot_by_slot_has_none(tmp_path, kind):
    label = "classifier" if kind == "classifier" else None
    judge = ConfidenceFilter(TinyClassifier(), 0.6, label)
    sampler = {
        "unconditional": TinySampler(None),
        "finite": TinySet(),
        "classifier": TinySampler(),
    }[kind]
    draw_clone(sampler, 5, tmp_path, filter=judge, batch_size=8, progress=False)
    (tmp_path / "shard-00000.parquet").write_bytes(b"not searched: no slot had attempts")
    rejected = remake_rejected(tmp_path, sampler, 3)
    assert rejected.images.shape == (0, 3, 12, 12) and not len(rejected.seeds)


def test_image_that_is_no_attempt_of_its_slot_ends_the_search(tmp_path):
    draw_tiny(tmp_path, per_class=3)
    run = json.loads((tmp_path / "run.json").read_text())
    run["settings"]["seed"] += 1
    (tmp_path / "run.json").write_text(json.dumps(run))
    assert not len(remake_rejected(tmp_path, TinySampler(), len(NAMES)).seeds)
