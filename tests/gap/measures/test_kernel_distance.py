"""The kernel distance against clean-fid, a loop over pairs, and its lack of bias."""

import numpy as np
import pytest

from gendata.errors import GendataError
from gendata.gap.measures.kernel_distance import kernel_distance, measure_kernel_distance


def gaussians(real, synthetic, size, seed=0, shift=0.3):
    generator = np.random.default_rng(seed)
    one, other = generator.normal(size=(real, size)), generator.normal(size=(synthetic, size))
    return one.astype(np.float32), (other + shift).astype(np.float32)


def by_loops(real, synthetic):
    def mean(first, second, same):
        values = [
            (one @ other / len(one) + 1) ** 3
            for row, one in enumerate(first.astype(np.float64))
            for column, other in enumerate(second.astype(np.float64))
            if not same or row != column
        ]
        return np.mean(values)

    own = mean(real, real, True) + mean(synthetic, synthetic, True)
    return own - 2 * mean(real, synthetic, False)


def test_equals_a_loop_over_pairs():
    sets = gaussians(14, 9, 5)
    assert kernel_distance(*sets) == pytest.approx(by_loops(*sets), rel=1e-5)


def test_equals_clean_fid():
    from cleanfid import fid

    real, synthetic = gaussians(150, 150, 16)
    wide = real.astype(np.float64), synthetic.astype(np.float64)
    expected = fid.kernel_distance(*wide, num_subsets=1, max_subset_size=150)
    assert kernel_distance(real, synthetic) == pytest.approx(expected, rel=1e-4)


def test_subsets_agree_with_the_whole():
    sets = gaussians(600, 500, 8)
    found = measure_kernel_distance(*sets)
    whole = kernel_distance(*sets)
    assert found.low < whole < found.high
    assert found.value == pytest.approx(whole, rel=0.2)
    assert measure_kernel_distance(*sets, seed=1) != found == measure_kernel_distance(*sets)


def test_is_not_larger_with_few_images():
    """Sets of one law are 0 apart on average, however few images there are."""
    values = [measure_kernel_distance(*gaussians(40, 40, 8, seed, 0.0)) for seed in range(60)]
    mean = np.mean([each.value for each in values])
    error = np.std([each.value for each in values]) / np.sqrt(60)
    assert abs(mean) < 3 * error
    assert sum(each.low <= 0 <= each.high for each in values) >= 50


def test_farther_sets_are_farther():
    real, near = gaussians(100, 100, 8, shift=0.1)
    collapsed = near[:1] + 0.01 * near
    values = [measure_kernel_distance(real, each).value for each in (near, collapsed, near + 3)]
    assert values == sorted(values)


@pytest.mark.parametrize(
    ("real", "synthetic", "words"),
    [
        (np.eye(9)[:7], np.eye(9), "real set is too small .* 7 images; expected 8"),
        (np.eye(9), np.eye(9)[:7], "synthetic set is too small"),
        (np.eye(9), np.eye(10), "9 and 10 dimensions"),
        (np.eye(9), np.full((9, 9), np.nan), "not finite"),
    ],
)
def test_mistakes(real, synthetic, words):
    with pytest.raises(GendataError, match=words):
        measure_kernel_distance(real, synthetic)
