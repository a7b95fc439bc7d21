"""Tests of a difference: against scipy's own, against every sign by hand, against Holm's rule."""

import itertools
import math

import numpy as np
import pytest
from scipy import stats

from gendata.benchmarks.protocol.significance import holm, paired, sign_flip

GENERATOR = np.random.default_rng(3)
SAMPLES = [GENERATOR.normal(0.01, 0.02, size).tolist() for size in (2, 3, 5, 10, 12)]


@pytest.mark.parametrize("differences", SAMPLES, ids=len)
def test_paired_t_test_is_scipys(differences):
    found = paired("Aug.", differences)
    expected = stats.ttest_rel([0.7 + each for each in differences], [0.7] * len(differences))
    assert found.t == pytest.approx(expected.statistic)
    assert found.p == pytest.approx(expected.pvalue)
    assert (found.baseline, found.seeds, found.note) == ("Aug.", len(differences), "")


def test_paired_t_test_by_hand():
    # Mean 2, deviations -1, 0, 1: standard error 1 / sqrt(3); two degrees of freedom, for which
    # P(|T| > t) = 1 - t / sqrt(t^2 + 2).
    found = paired("Aug.", [0.01, 0.02, 0.03])
    t = 2 * math.sqrt(3)
    assert found.difference == pytest.approx(0.02)
    assert found.error == pytest.approx(0.01 / math.sqrt(3))
    assert found.t == pytest.approx(t)
    assert found.p == pytest.approx(1 - t / math.sqrt(t * t + 2))
    assert found.permutation_p == 2 / 8


@pytest.mark.parametrize("differences", SAMPLES, ids=len)
def test_sign_flips_by_hand(differences):
    observed = abs(sum(differences))
    hits = 0
    for signs in itertools.product((1, -1), repeat=len(differences)):
        total = sum(sign * each for sign, each in zip(signs, differences, strict=True))
        hits += abs(total) >= observed - 1e-12
    assert sign_flip(differences) == (hits / 2 ** len(differences), True)


def test_sign_flips_count_ties_and_zeros():
    assert sign_flip([0.1, -0.1]) == (1.0, True)
    assert sign_flip([0.0, 0.0, 0.0]) == (1.0, True)
    # A third of 0.3 is not 0.1 in binary: sums that differ by rounding alone are equal.
    assert sign_flip([0.3, 0.1 + 0.1 + 0.1, 0.3])[0] == 2 / 8
    assert sign_flip([0.01] * 5)[0] == 2 / 32


def test_many_seeds_draw_signs_at_random():
    few = GENERATOR.normal(0.5, 1, 12)
    many = [*few, 0.0]  # a difference of zero changes no sum: the exact p is that of the twelve
    p, exact = sign_flip(many)
    assert not exact
    assert p == pytest.approx(sign_flip(few)[0], abs=0.01)
    assert sign_flip(many) == (p, exact) != sign_flip(many, seed=1)
    assert sign_flip([1.0] * 40)[0] > 0  # never nought


def test_no_p_value_without_pairs():
    assert paired("Aug.", []).difference is None
    assert paired("Aug.", []).note == "no seed in common: not paired, no p-value"
    one = paired("Aug.", [0.02], "paired over 1 of 3 and 1 seeds")
    assert (one.difference, one.error, one.p, one.permutation_p) == (0.02, None, None, None)
    assert one.note == "paired over 1 of 3 and 1 seeds; one seed: no p-value"


def test_equal_differences_have_no_t():
    found = paired("Aug.", [0.7 - 0.6, 0.8 - 0.7, 0.9 - 0.8])
    assert (found.t, found.p, found.error) == (None, None, 0.0)
    assert "all differences are equal" in found.note
    assert found.permutation_p == 2 / 8


def stepped(values):
    """Holm's rule by its words: reject the smallest while p < level / rows left."""

    def rejected(level):
        left, out = sorted(values), set()
        while left and left[0] * len(left) <= level:
            out.add(left.pop(0))
        return out

    levels = np.linspace(0, 1, 20_001)
    return [min((lv for lv in levels if each in rejected(lv)), default=1.0) for each in values]


def test_holm():
    assert holm([]) == []
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.6]) == [1.0, 1.0]
    values = [0.2, 0.011, 0.0004, 0.05, 0.013]
    assert holm(values) == pytest.approx(stepped(values), abs=1e-4)
