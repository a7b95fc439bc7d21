"""What a clone will take, beside what it took."""

import pytest
from tiny import TinySampler

from gendata.clone import draw_clone
from gendata.clone.cost import estimate_cost


def test_estimate_beside_the_clone(tmp_path):
    sampler = TinySampler()
    cost = estimate_cost(sampler, 40, batch_size=8, shard_size=60, images=30)
    assert cost["images"] == cost["draws"] == 120  # all are kept
    assert sampler.calls == 4 and cost["timed"] == 24  # whole batches; the first one warms up
    assert cost["seconds"] == pytest.approx(120 / cost["images_per_second"])
    draw_clone(TinySampler(), 40, tmp_path, batch_size=8, shard_size=60, progress=False)
    taken = sum(path.stat().st_size for path in tmp_path.glob("shard-*.parquet"))
    assert cost["bytes"] == pytest.approx(taken, rel=0.2)


def test_unusable_images_are_drawn_again():
    cost = estimate_cost(TinySampler(spoil=2), 40, batch_size=16, images=160, classes=["ant"])
    assert cost["images"] == 40 and 60 < cost["draws"] < 110  # half of them, more or less
