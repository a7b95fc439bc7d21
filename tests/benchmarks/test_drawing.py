"""The rate of drawing a clone, with a clock that always takes two seconds."""

import json

import pytest
from tiny import NAMES, TinyClassifier, TinySampler

from gendata.benchmarks.speed import drawing
from gendata.clone import ConfidenceFilter, draw_clone


def test_every_image_that_was_drawn_counts(tmp_path, monkeypatch):
    """Spare images that fill up the last batches cost as much as those that were asked for."""
    accept = ConfidenceFilter(TinyClassifier(), 0.6)
    settings = {"filter": accept, "batch_size": 16, "progress": False}
    sampler = TinySampler()
    draw_clone(sampler, 10, tmp_path / "clone", **settings)
    drawn = 16 * sampler.calls
    assert sampler.sizes == {16}
    rejects = json.loads((tmp_path / "clone" / "rejects.json").read_text(encoding="utf-8"))
    assert rejects["accepted"] < rejects["attempts"] < drawn, "some were spare"

    monkeypatch.setattr(drawing, "seconds", lambda work: [work(), 2.0][1])
    sizes = {"images": 30, "pairs": 1, "batch_size": 16, "classes": NAMES}
    found = drawing.compare(
        "row", "", TinySampler(), lambda: None, accept, folder=tmp_path, **sizes
    )
    assert found.value == pytest.approx((drawn / 2) / (16 / 2))
    assert f"30 kept of {drawn} drawn, batch 16" in found.how
