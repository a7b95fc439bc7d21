import math

import numpy as np
import pytest

from gendata.errors import GendataError
from gendata.gap.cross_source.losses import (
    EDGES,
    asymmetry,
    histogram,
    mean_and_std,
    share_above,
    share_below,
    spread_of,
)


def losses(count=5000, seed=0):
    return 10 ** np.random.default_rng(seed).normal(-2, 2.5, count)


def test_histogram_equals_a_slow_loop_with_a_bin_beyond_either_end():
    values = np.concatenate([losses(), EDGES, [0.0, 1e9, math.inf]])
    counts = [0] * (len(EDGES) + 1)
    for value in values:
        counts[sum(1 for edge in EDGES if edge <= value)] += 1
    assert histogram(values).tolist() == counts
    assert counts[0] > 1 and counts[-1] > 2


def test_edges_are_five_a_decade_and_hold_both_limits():
    assert 0.01 in EDGES and 1.0 in EDGES
    assert np.allclose(np.diff(np.log10(EDGES)), 0.2)


def test_shares_are_strict_and_agree_with_the_bins():
    assert share_below(np.array([0.0, 0.0099, 0.01, 5])) == 0.5
    assert share_above(np.array([0.0, 1.0, 1.0001, 5])) == 0.5
    values = losses()
    spread = spread_of(values[None])
    below = spread.shares[: 1 + np.searchsorted(EDGES, 0.01)].sum()
    assert below == pytest.approx(spread.below[0])
    assert spread.shares.sum() == pytest.approx(1)


def test_spread_keeps_seeds_apart_and_pools_the_histogram():
    runs = np.stack([losses(seed=1), losses(seed=2) * 10])
    spread = spread_of(runs)
    assert spread.below.tolist() == [share_below(run) for run in runs]
    assert spread.above[0] < spread.above[1]
    assert np.allclose(spread.shares * runs.size, histogram(runs.ravel()))
    assert spread.images == 5000


def test_asymmetry_is_one_for_a_clone_that_is_no_news_beside_real_images_that_all_are():
    known, news = spread_of(np.full((2, 30), 1e-3)), spread_of(np.full((2, 30), 3.0))
    assert asymmetry(known, news).tolist() == [1, 1]
    assert asymmetry(news, known).tolist() == [-1, -1]
    assert asymmetry(known, known).tolist() == [0, 0]
    half = spread_of(np.array([[1e-3, 1e-3, 0.5, 0.5]]))
    assert asymmetry(half, spread_of(np.array([[0.5, 0.5, 0.5, 3.0]]))) == pytest.approx([0.375])


def test_a_loss_that_is_not_a_number_is_named():
    with pytest.raises(GendataError, match="not a number; found 1 such images of 3"):
        histogram(np.array([0.1, math.nan, 2]))


def test_mean_and_std_is_the_sample_deviation_and_unknown_for_one_run():
    mean, std = mean_and_std(np.array([[1.0, 2.0], [3.0, 2.0], [5.0, 2.0]]))
    assert mean.tolist() == [3, 2] and std.tolist() == [2, 0]
    assert np.isnan(mean_and_std(np.array([[1.0]]))[1]).all()
