"""Manifolds against tables of all distances, published values, and cases of known direction."""

import numpy as np
import pytest
import torch

from gendata.errors import GendataError
from gendata.gap.measures.manifold import DEFINITIONS, compare_manifolds

from .point_sets import KINDS, SHAPES, point_sets, slow_distances, slow_within


def slow_manifolds(real, synthetic, nearest_k, rarity_k):
    """The definitions, one after the other, on whole tables."""
    between = slow_distances(real, synthetic)
    real_sorted, synthetic_sorted = (
        np.sort(slow_within(values), axis=1) for values in (real, synthetic)
    )
    real_radii, rarity_radii = real_sorted[:, nearest_k - 1], real_sorted[:, rarity_k - 1]
    synthetic_radii = synthetic_sorted[:, nearest_k - 1]
    smallest = np.where(between < rarity_radii[:, None], rarity_radii[:, None], np.inf).min(0)
    balls = (real_radii <= np.median(real_radii)) & (real_radii > 0)
    with np.errstate(divide="ignore"):
        ratios = real_radii[balls, None] / between[balls]
    return {
        "real_radii": real_radii,
        "synthetic_radii": synthetic_radii,
        "real_balls": (between < real_radii[:, None]).sum(axis=0),
        "synthetic_balls": (between < synthetic_radii).sum(axis=1),
        "rarity": np.where(np.isinf(smallest), np.nan, smallest),
        "realism": ratios.max(axis=0, initial=0.0),
        "nearest_synthetic": between.argmin(axis=1),
        "nearest_synthetic_distance": between.min(axis=1),
        "nearest_real": between.argmin(axis=0),
        "nearest_real_distance": between.min(axis=0),
        "covered": between.min(axis=1) < real_radii,
    }


def assert_equal(found, expected):
    for name, values in expected.items():
        np.testing.assert_array_equal(getattr(found, name), values, err_msg=name)


@pytest.mark.parametrize("tile", [None, 7])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", SHAPES)
def test_equals_the_definitions(shape, kind, tile):
    real, synthetic = point_sets(shape, kind)
    for nearest_k, rarity_k in ((5, 3), (2, 6)):
        found = compare_manifolds(real, synthetic, nearest_k, rarity_k=rarity_k, tile=tile)
        assert_equal(found, slow_manifolds(real, synthetic, nearest_k, rarity_k))


def test_published_values():
    """The released `prdc` (k = 5) and Rarity-Score (k = 3), run on the same points."""
    state = np.random.RandomState(7)
    real, synthetic = state.randn(200, 4), state.randn(150, 4) * 0.8
    found = compare_manifolds(real, synthetic)
    assert found.precision == 1.0
    assert found.recall == pytest.approx(0.865)
    assert found.density == pytest.approx(1.18933333, abs=1e-8)
    assert found.coverage == pytest.approx(0.895)
    assert np.mean(~np.isnan(found.rarity)) == pytest.approx(0.99333, abs=1e-5)
    assert np.nanmean(found.rarity) == pytest.approx(0.83047280, rel=1e-6)


def two_clouds(count=200, seed=0):
    """Two well separated modes of equal size, (2 * count, 8)."""
    generator = np.random.default_rng(seed)
    cloud = generator.normal(size=(2 * count, 8))
    cloud[count:] += 40
    return cloud.astype(np.float32)


def test_a_collapsed_clone_is_precise_but_covers_little():
    real = two_clouds()
    found = compare_manifolds(real, two_clouds(seed=1)[:200])
    assert found.precision > 0.85
    assert found.recall < 0.55 and found.coverage < 0.55
    assert not found.covered[200:].any()


def test_a_clone_around_one_image_is_precise_dense_and_uncovering():
    real = two_clouds()
    synthetic = real[0] + 0.05 * np.random.default_rng(2).normal(size=(300, 8))
    found = compare_manifolds(real, synthetic)
    assert found.precision == 1.0 and found.recall < 0.05 and found.coverage < 0.2


def test_outliers_are_neither_precise_nor_real():
    real = two_clouds()
    outliers = 400 + 10 * np.random.default_rng(3).normal(size=(200, 8))
    found = compare_manifolds(real, outliers)
    assert found.precision == found.coverage == found.density == found.recall == 0
    assert np.isnan(found.rarity).all() and (found.realism < 0.1).all()
    # One real image far out has a ball that holds everything: not rarer, but not unreal.
    real[0] = 400
    found = compare_manifolds(real, outliers)
    assert found.precision > 0.9 and found.coverage == pytest.approx(1 / 400)
    assert np.nanmin(found.rarity) > 100 and (found.realism < 0.1).all()


def test_swapped_sets_swap_precision_and_recall():
    real, synthetic = two_clouds(), two_clouds(seed=1)[:200]
    one, other = compare_manifolds(real, synthetic), compare_manifolds(synthetic, real)
    assert one.precision == other.recall and one.recall == other.precision
    assert one.precision > 0.85 > 0.6 > one.recall


def test_halves_of_one_set_have_no_gap():
    values = np.random.default_rng(4).normal(size=(1000, 3))
    found = compare_manifolds(values[::2], values[1::2])
    assert found.precision > 0.93 and found.recall > 0.93
    assert found.density == pytest.approx(1.0, abs=0.1)
    # What Naeem et al. expect of it, 1 - 1 / 2^k.
    assert found.coverage == pytest.approx(1 - 2.0**-5, abs=0.03)


def test_a_set_against_itself():
    values = np.random.default_rng(5).normal(size=(100, 4)).astype(np.float32)
    found = compare_manifolds(values, values)
    assert found.precision == found.recall == found.coverage == 1.0
    # The k-th neighbour lies on the border of its ball, hence not in it: k - 1 and the image.
    assert found.density == 1.0
    assert not found.nearest_real_distance.any()
    assert np.isinf(found.realism[found.real_radii <= np.median(found.real_radii)]).all()
    np.testing.assert_array_equal(found.nearest_real, np.arange(100))


def test_images_with_k_copies_have_balls_that_hold_nothing():
    values = np.random.default_rng(6).normal(size=(60, 4)).astype(np.float32)
    values[:6] = values[0]
    found = compare_manifolds(values, values)
    assert not found.real_radii[:6].any()
    assert not found.covered[:6].any() and found.covered[6:].all()


def test_order_of_images_changes_nothing():
    real, synthetic = two_clouds(), two_clouds(seed=1)[100:350]
    one, other = (np.random.default_rng(seed).permutation for seed in (7, 8))
    rows, columns = one(len(real)), other(len(synthetic))
    found = compare_manifolds(real, synthetic)
    moved = compare_manifolds(real[rows], synthetic[columns], tile=45)
    for name in ("real_balls", "rarity", "realism", "nearest_real_distance"):
        np.testing.assert_array_equal(getattr(moved, name), getattr(found, name)[columns])
    for name in ("synthetic_balls", "covered", "nearest_synthetic_distance"):
        np.testing.assert_array_equal(getattr(moved, name), getattr(found, name)[rows])
    np.testing.assert_array_equal(rows[moved.nearest_real], found.nearest_real[columns])


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an accelerator")
def test_device_changes_nothing():
    real, synthetic = point_sets("wide", "near copies")
    one = compare_manifolds(real, synthetic)
    other = compare_manifolds(real, synthetic, device="cuda")
    assert_equal(other, vars(one))


def test_a_copied_image_has_infinite_realism():
    real, synthetic = point_sets("flat", "plain")
    radii = compare_manifolds(real, synthetic).real_radii
    synthetic[3] = real[np.argmin(radii)]
    found = compare_manifolds(real, synthetic)
    assert np.isinf(found.realism).nonzero()[0].tolist() == [3]


@pytest.mark.parametrize(
    ("real", "synthetic", "words"),
    [
        (np.eye(5), np.eye(8)[:, :5], "real set has too few .* 5 images; expected at least 6"),
        (np.eye(8), np.eye(8)[:5], "synthetic set has too few"),
        (np.ones((9, 3)), np.eye(9)[:, :3], "all features of the real set are equal"),
        (np.eye(9)[:, :3], np.ones((9, 3)), "all features of the synthetic set are equal"),
        (np.full((9, 3), np.nan), np.eye(9)[:, :3], "real set are not finite"),
        (np.eye(9), np.eye(9)[:, :3], "9 and 3 dimensions"),
        (np.eye(9), np.zeros((0, 9)), "no matrix"),
    ],
)
def test_mistakes(real, synthetic, words):
    with pytest.raises(GendataError, match=words):
        compare_manifolds(real, synthetic)


@pytest.mark.parametrize("ks", [{"nearest_k": 0}, {"rarity_k": 0}])
def test_no_neighbour(ks):
    with pytest.raises(GendataError, match="below 1"):
        compare_manifolds(np.eye(9), np.eye(9), **ks)


def test_every_figure_is_defined():
    assert set(DEFINITIONS) == {
        "precision", "recall", "density", "coverage", "rarity", "realism"
    }  # fmt: skip
