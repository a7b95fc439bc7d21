import numpy as np
import pytest

from gendata.errors import GendataError
from gendata.gap.measures.separation import Scores, copies_of, separation, separation_estimate


def scores(values, groups=None, copies=None):
    values = np.asarray(values, dtype=float)
    groups = np.zeros(len(values), dtype=int) if groups is None else np.asarray(groups)
    return Scores(values, groups, copies)


def slow_separation(synthetic, real):
    """Every pair of every group, one after the other."""
    areas, weights = [], []
    for group in set(synthetic.groups) & set(real.groups):
        ours = synthetic.values[synthetic.groups == group]
        theirs = real.values[real.groups == group]
        wins = sum((a > b) + 0.5 * (a == b) for a in ours for b in theirs)
        areas.append(wins / len(ours) / len(theirs))
        weights.append(len(ours) * len(theirs) / (len(ours) + len(theirs)))
    return 2 * np.average(areas, weights=weights) - 1


def test_is_the_mean_over_all_pairs_of_each_group():
    generator = np.random.default_rng(0)
    synthetic = scores(generator.integers(0, 9, 60), generator.integers(0, 4, 60))
    real = scores(generator.integers(2, 11, 80), generator.integers(1, 5, 80))
    assert separation(synthetic, real) == pytest.approx(slow_separation(synthetic, real))
    assert separation(synthetic, real) == pytest.approx(-separation(real, synthetic))
    assert separation(synthetic, real) < 0


def test_is_the_share_that_scores_above_all_others():
    same = np.arange(100.0)
    mixed = np.concatenate([same[::2] + 0.5, np.full(50, 1000.0)])  # half like, half beyond
    assert separation(scores(mixed), scores(same)) == pytest.approx(0.5)
    assert separation(scores(same + 500), scores(same)) == 1
    assert separation(scores(same), scores(same)) == 0


def test_groups_of_different_sizes_say_nothing():
    """One set holds more of the group that scores high, and yet each group scores alike."""
    synthetic = scores([0, 1, 10, 11, 10, 11], [0, 0, 1, 1, 1, 1])
    real = scores([0, 1, 0, 1, 10, 11], [0, 0, 0, 0, 1, 1])
    assert separation(synthetic, real) == 0
    everything = scores(synthetic.values), scores(real.values)
    assert separation(*everything) > 0.3


def test_interval_holds_the_value_and_is_wider_for_copies():
    generator = np.random.default_rng(1)
    values, reference = generator.normal(0.5, size=200), scores(generator.normal(size=200))
    copies = np.arange(200) // 20
    plain = separation_estimate(scores(values), reference)
    copied = separation_estimate(scores(values[copies * 20], copies=copies), reference)
    assert 0 <= plain.low < plain.value < plain.high <= 1
    assert copied.high - copied.low > 1.5 * (plain.high - plain.low)
    assert plain == separation_estimate(scores(values), reference)


def test_estimate_is_not_below_zero():
    estimate = separation_estimate(scores(np.arange(30)), scores(np.arange(30) + 100))
    assert (estimate.value, estimate.low, estimate.high) == (0, 0, 0)


def test_copies_are_equal_rows():
    rows = np.array([[1.0, 2.0], [0.0, 5.0], [1.0, 2.0]])
    first, second, third = copies_of(rows)
    assert first == third != second


def test_what_cannot_be_compared_is_an_error():
    with pytest.raises(GendataError, match="not a number"):
        separation(scores([1, np.nan]), scores([1, 2]))
    with pytest.raises(GendataError, match="no kind of content"):
        separation(scores([1, 2], [0, 0]), scores([1, 2], [1, 1]))
