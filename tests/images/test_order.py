import numpy as np
import pytest

from gendata.images.order import Order


def order(count=23, batch=6, rank=0, world=1, views=0, drop=True, seed=3):
    return Order(count, batch, seed, rank, world, views, drop)


@pytest.mark.parametrize("drop", [True, False])
@pytest.mark.parametrize("world", [1, 2, 3])
def test_ranks_share_the_same_global_batches(world, drop):
    whole = [share.rows for share in order(drop=drop).epoch(4)]
    parts = [
        [share.rows for share in order(rank=r, world=world, drop=drop).epoch(4)]
        for r in range(world)
    ]
    for step, rows in enumerate(whole):
        for rank in range(world):
            assert parts[rank][step].tolist() == rows[rank::world].tolist()


def test_an_epoch_sees_every_row_once_in_its_own_order():
    rows = [np.concatenate([s.rows for s in order(drop=False).epoch(e)]) for e in (0, 1)]
    assert all(sorted(part) == list(range(23)) for part in rows)
    assert rows[0].tolist() != rows[1].tolist()
    assert (
        rows[0].tolist()
        != np.concatenate([s.rows for s in order(drop=False, seed=4).epoch(0)]).tolist()
    )


@pytest.mark.parametrize(
    ("count", "drop", "steps"), [(23, True, 3), (23, False, 4), (24, False, 4)]
)
def test_steps(count, drop, steps):
    assert order(count, drop=drop).steps == steps == len(list(order(count, drop=drop).epoch(0)))


def test_views_are_chosen_evenly_and_anew_in_each_epoch():
    plan = order(3000, 3000, views=4)
    first, second = (next(iter(plan.epoch(epoch))) for epoch in (0, 1))
    assert np.bincount(first.views, minlength=4).min() > 650
    by_row = [share.views[np.argsort(share.rows)] for share in (first, second)]
    assert 0.2 < (by_row[0] == by_row[1]).mean() < 0.3
    assert (next(iter(order().epoch(0))).views == -1).all()


@pytest.mark.parametrize("world", [1, 2])
def test_an_epoch_can_begin_and_end_at_any_batch(world):
    plan = order(drop=False, rank=world - 1, world=world)
    whole = [share.rows.tolist() for share in plan.epoch(2)]
    for first in range(5):
        for end in (*range(first, 5), None, 9):
            part = [share.rows.tolist() for share in plan.epoch(2, first, end)]
            assert part == whole[first:end]
