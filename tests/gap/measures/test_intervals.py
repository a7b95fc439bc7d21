"""Bootstrap intervals against known spreads, and what becomes of nan."""

import math

import numpy as np
import pytest

from gendata.errors import GendataError
from gendata.gap.measures.intervals import (
    ABSENT,
    Estimate,
    bootstrap,
    bootstrap_mean,
    bootstrap_means,
)


def test_interval_of_a_mean_is_that_of_the_normal_law():
    values = np.random.default_rng(0).normal(3.0, 2.0, size=2000)
    found = bootstrap_mean(values)
    error = values.std(ddof=1) / math.sqrt(len(values))
    assert found.value == pytest.approx(values.mean(), rel=1e-12)
    assert found.low == pytest.approx(values.mean() - 1.96 * error, abs=0.25 * error)
    assert found.high == pytest.approx(values.mean() + 1.96 * error, abs=0.25 * error)


def test_intervals_hold_the_truth_about_as_often_as_they_say():
    generator = np.random.default_rng(1)
    hits = 0
    for seed in range(100):
        found = bootstrap_mean(generator.exponential(size=80), seed=seed, resamples=200)
        hits += found.low <= 1.0 <= found.high
    assert 86 <= hits <= 99


def test_nan_belongs_to_no_mean():
    assert bootstrap_mean(np.array([1.0, np.nan, 3.0])).value == 2.0
    found = bootstrap_mean(np.array([np.nan, np.nan]))
    assert math.isnan(found.value) and math.isnan(found.low)
    assert ABSENT.to_json() == {"value": None, "low": None, "high": None}


def test_columns_are_drawn_alike():
    values = np.random.default_rng(2).random((50, 2))
    for found, column in zip(bootstrap_means(values, seed=4), values.T, strict=True):
        assert vars(found) == pytest.approx(vars(bootstrap_mean(column, seed=4)))
    first, second = bootstrap_means(np.stack([values[:, 0], -values[:, 0]], axis=1), seed=4)
    assert first.low == pytest.approx(-second.high)


def test_any_statistic():
    values = np.random.default_rng(3).exponential(size=400)
    found = bootstrap(values, np.median)
    assert found.value == np.median(values)
    assert 0.4 < found.low < found.value < found.high < 1.0
    assert bootstrap(values, np.mean).low == pytest.approx(bootstrap_mean(values).low)
    assert bootstrap(np.array([1.0, np.inf, np.inf]), np.median).high == np.inf


def test_seed_decides():
    values = np.random.default_rng(5).random(30)
    assert bootstrap_mean(values, seed=1) == bootstrap_mean(values, seed=1)
    assert bootstrap_mean(values, seed=1) != bootstrap_mean(values, seed=2)


def test_plain_forms():
    assert Estimate(1.0, 0.5).to_json() == {"value": 1.0, "low": 0.5, "high": None}
    assert str(Estimate(0.5, 0.25, 0.75)) == "0.5 (0.25 to 0.75)"
    assert str(Estimate(0.5)) == "0.5"


@pytest.mark.parametrize("resampled", [bootstrap_mean, lambda values: bootstrap(values, np.mean)])
def test_no_image(resampled):
    with pytest.raises(GendataError, match="no image"):
        resampled(np.array([]))
