"""The benchmark of rendering, made small."""

import math
import os
from pathlib import Path

import pytest

from gendata.benchmarks.speed import rendering
from gendata.render.blender import find_blender

ROOT = Path(__file__).parents[2]


def test_without_blender_one_row_says_so(monkeypatch):
    monkeypatch.setenv("GENDATA_BLENDER", "/no/such/blender")
    (row,) = rendering.measure()
    assert row.found == "skipped" and math.isnan(row.value)
    assert "there is no Blender at '/no/such/blender'" in row.how


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="cannot pin processes here")
def test_two_cores_are_given_back():
    before = os.sched_getaffinity(0)
    with rendering.two_cores() as count:
        inside = os.sched_getaffinity(0)
        assert len(inside) == count <= 2 and inside <= before
    assert os.sched_getaffinity(0) == before


@pytest.mark.blender
@pytest.mark.slow
def test_rows_of_the_table(monkeypatch):
    beside = ROOT / ".venv/blender/bin/python"
    if "GENDATA_BLENDER" not in os.environ and beside.exists():
        monkeypatch.setenv("GENDATA_BLENDER", str(beside))
    try:
        find_blender()
    except Exception as error:
        pytest.skip(f"needs Blender ({error})")
    sizes = {"RESOLUTION": 16, "PER_CLASS": 1, "WARM_UP": 1, "PAIRS": 1, "PAIRED": 4, "PLAIN": 1}
    for name, value in sizes.items():
        monkeypatch.setattr(rendering, name, value)
    monkeypatch.setattr(rendering.torch.cuda, "is_available", lambda: False)
    rate, share, loop, workers = rendering.measure()
    assert [row.asked for row in (rate, share, loop, workers)] == [
        ">= 20",
        ">= 0.85",
        "",
        ">= 1.1",
    ]
    assert rate.value > 0 and workers.value > 0
    assert 0 < share.value < 1 and f"engine {share.value:.1%}" in share.how
    assert loop.value > 1 and "the same 1 parameters, 4 samples" in loop.how
