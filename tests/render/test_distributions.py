"""Distributions: what is drawn follows the law that was asked for."""

import colorsys
import math

import numpy as np
import pytest
from scipy import stats

from gendata.render.distributions import (
    RANGES,
    Channels,
    Choice,
    Fixed,
    Mixture,
    Normal,
    Range,
    WholeRange,
)

COUNT = 4000
CRITICAL = 1e-3  # a right law fails one seed in a thousand; the seed is fixed


def draws(law, count=COUNT, seed=0):
    generator = np.random.Generator(np.random.PCG64(seed))
    return [law.sample(generator) for _ in range(count)]


def fits(values, cumulative):
    return stats.kstest(values, cumulative).pvalue > CRITICAL


def test_fixed_draws_nothing():
    generator = np.random.Generator(np.random.PCG64(0))
    assert {Fixed("metal").sample(generator) for _ in range(5)} == {"metal"}
    assert generator.random() == np.random.Generator(np.random.PCG64(0)).random()


@pytest.mark.parametrize("weights", [(1.0, 1.0, 1.0), (3.0, 0.0, 1.0)])
def test_choices_are_as_likely_as_their_weights(weights):
    values = draws(Choice((1, 1.5, 2), weights))
    counts = np.array([values.count(value) for value in (1, 1.5, 2)])
    likely = np.array(weights) > 0
    assert not counts[~likely].any()
    expected = COUNT * np.array(weights)[likely] / sum(weights)
    assert stats.chisquare(counts[likely], expected).pvalue > CRITICAL


def test_uniform():
    values = draws(Range("uniform", -3.0, 5.0))
    assert fits(values, stats.uniform(-3, 8).cdf)
    assert not fits(values, stats.uniform(-3, 8.5).cdf)


def test_log_uniform():
    values = draws(Range("log_uniform", 0.1, 10.0))
    assert fits(values, stats.loguniform(0.1, 10).cdf)
    assert np.median(values) == pytest.approx(1.0, rel=0.1)


def test_uniform_area_spreads_directions_evenly():
    """The z of a point that is uniform on a sphere is uniform, by Archimedes."""
    values = draws(Range("uniform_area", 5.0, 89.0))
    heights = np.sin(np.radians(values))
    low, high = math.sin(math.radians(5)), math.sin(math.radians(89))
    assert fits(heights, stats.uniform(low, high - low).cdf)
    assert not fits(values, stats.uniform(5, 84).cdf)


def test_uniform_volume_spreads_points_evenly():
    values = np.array(draws(Range("uniform_volume", 1.0, 2.0)))
    assert fits(values, lambda radius: (radius**3 - 1) / 7)
    known_mistake = 1 + (2 - 1) * np.random.default_rng(0).random(COUNT) ** (1 / 3)
    assert not fits(known_mistake, lambda radius: (radius**3 - 1) / 7)


@pytest.mark.parametrize("kind", RANGES)
def test_ranges_end_at_their_bounds(kind):
    law = RANGES[kind]
    assert law(0.0, 2.0, 7.0) == pytest.approx(2.0)
    assert law(1.0, 2.0, 7.0) == pytest.approx(7.0)
    shares = np.linspace(0, 1, 50)
    assert (np.diff([law(share, 2.0, 7.0) for share in shares]) > 0).all()
    values = draws(Range(kind, 3.0, 3.0), count=5)
    assert set(values) == {3.0}


def test_whole_numbers_include_both_ends():
    values = draws(WholeRange(2, 4))
    counts = [values.count(value) for value in (2, 3, 4)]
    assert sum(counts) == COUNT
    assert all(isinstance(value, int) for value in values)
    assert stats.chisquare(counts).pvalue > CRITICAL


def test_normal():
    assert fits(draws(Normal(50.0, 10.0)), stats.norm(50, 10).cdf)


def test_a_bounded_normal_does_not_pile_up_at_its_bounds():
    values = draws(Normal(50.0, 10.0, 35.0, 55.0))
    assert fits(values, stats.truncnorm(-1.5, 0.5, 50, 10).cdf)
    assert min(values) > 35 and max(values) < 55


def test_mixture():
    law = Mixture((Range("uniform", 0.0, 1.0), Fixed(None), Fixed(9.0)), (2.0, 1.0, 1.0))
    values = draws(law)
    assert 0.45 < np.mean([value is not None and value < 9 for value in values]) < 0.55
    assert 0.2 < np.mean([value is None for value in values]) < 0.3
    inside = [value for value in values if value is not None and value < 9]
    assert fits(inside, stats.uniform(0, 1).cdf)
    assert law.extremes() == (0.0, 1.0, None, 9.0)


def test_parts_without_weight_are_no_extremes():
    assert Mixture((Fixed(1.0), Fixed(2.0)), (0.0, 1.0)).extremes() == (2.0,)
    assert Choice((1.0, 2.0), (0.0, 1.0)).extremes() == (2.0,)


def test_channels_are_drawn_independently():
    unit = Range("uniform", 0.0, 1.0)
    values = np.array(draws(Channels("rgb", (unit, unit, unit))))
    assert np.abs(np.corrcoef(values.T) - np.eye(3)).max() < 0.06
    for channel in values.T:
        assert fits(channel, stats.uniform(0, 1).cdf)


def test_hue_saturation_and_value():
    law = Channels("hsv", (Range("uniform", 0.0, 360.0), Fixed(0.5), Fixed(0.8)))
    values = draws(law)
    assert fits(
        [360 * colorsys.rgb_to_hsv(*value)[0] for value in values], stats.uniform(0, 360).cdf
    )
    assert {round(max(value), 9) for value in values} == {0.8}
    assert {round(min(value), 9) for value in values} == {0.4}


def test_grey_has_three_equal_channels():
    values = draws(Channels("grey", (Range("uniform", 0.25, 1.0),)))
    assert all(red == green == blue for red, green, blue in values)
    assert fits([value[0] for value in values], stats.uniform(0.25, 0.75).cdf)


def test_draws_need_nothing_but_uniform_numbers():
    """numpy promises the streams of `random()`, not those of its other methods."""

    class Uniform:
        def random(self):
            return 0.25

    assert Range("uniform", 0.0, 8.0).sample(Uniform()) == 2.0
    assert Normal(0.0, 1.0).sample(Uniform()) == pytest.approx(stats.norm.ppf(0.25))
    assert WholeRange(0, 3).sample(Uniform()) == 1
    assert Choice(("a", "b", "c", "d"), (1.0,) * 4).sample(Uniform()) == "b"
