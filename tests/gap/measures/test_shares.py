import numpy as np
import pytest
from scipy.stats import binomtest

from gendata.errors import GendataError
from gendata.gap.measures.intervals import Estimate
from gendata.gap.measures.shares import compare_shares, difference, share_of, share_of_count


@pytest.mark.parametrize("hits, images", [(0, 1), (0, 50), (3, 40), (20, 40), (50, 50)])
def test_equals_the_score_interval_of_scipy(hits, images):
    found = share_of_count(hits, images)
    expected = binomtest(hits, images).proportion_ci(method="wilson")
    assert found.value == hits / images
    assert [found.low, found.high] == pytest.approx(list(expected), abs=1e-12)


# Newcombe 1998, table II, method 10.
@pytest.mark.parametrize(
    "counts, low, high",
    [
        ((56, 70, 48, 80), 0.0524, 0.3339),
        ((9, 10, 3, 10), 0.1705, 0.8090),
        ((6, 7, 2, 7), 0.0582, 0.8062),
        ((10, 10, 0, 10), 0.6075, 1.0),
    ],
)
def test_equals_the_published_intervals_of_differences(counts, low, high):
    hits, images, others, all_others = counts
    found = difference(share_of_count(hits, images), share_of_count(others, all_others))
    assert [found.low, found.high] == pytest.approx([low, high], abs=5e-5)
    back = difference(share_of_count(others, all_others), share_of_count(hits, images))
    assert [-back.high, -back.low] == pytest.approx([low, high], abs=5e-5)


def test_an_excess_is_told_from_chance():
    many, few = np.arange(100) < 30, np.arange(200) < 4
    assert compare_shares(many, few).is_more
    assert not compare_shares(few, many).is_more
    assert not compare_shares(few, few).is_more
    assert compare_shares(many, few).to_json()["reference"]["value"] == 0.02


def test_images_that_are_hit_in_pairs_are_half_as_many_observations():
    flags = np.arange(100) < 30
    assert share_of(flags, independent=0.5).low == share_of(flags[::2]).low
    both = (flags, np.zeros(100, dtype=bool))
    paired, single = compare_shares(*both, independent=0.5), compare_shares(*both)
    assert paired.excess.low < single.excess.low and paired.excess.value == single.excess.value


def test_no_image_and_no_hit():
    assert share_of(np.zeros(100, dtype=bool)).high == pytest.approx(0.037, abs=5e-4)
    assert share_of(np.ones(3, dtype=bool)) == Estimate(1.0, pytest.approx(0.4385, abs=1e-4), 1.0)
    with pytest.raises(GendataError, match="no images"):
        share_of(np.zeros(0, dtype=bool))
