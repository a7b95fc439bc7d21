import numpy as np
import pytest

from gendata.errors import GendataError
from gendata.gap.measures.quality import measure_quality, outlier_factors, soundness


def slow_factors(real, synthetic, count):
    """Distances one by one; of a real image nothing is used but the other real ones."""

    def factor(image, reference):
        distances = np.sqrt(((reference - image) ** 2).sum(axis=1))
        nearest = np.argsort(distances, kind="stable")[:count]
        radii = []
        for row in nearest:
            others = np.delete(reference, row, axis=0)
            radii.append(np.sort(np.sqrt(((others - reference[row]) ** 2).sum(axis=1)))[count - 1])
        return distances[nearest].mean() / np.mean(radii)

    of_real = [factor(image, np.delete(real, row, axis=0)) for row, image in enumerate(real)]
    return np.array(of_real), np.array([factor(image, real) for image in synthetic])


def normal(count, seed, scale=1.0, dimensions=6):
    return np.random.default_rng(seed).normal(scale=scale, size=(count, dimensions))


def test_factors_are_those_of_a_slow_loop():
    real, synthetic = normal(60, 0), normal(40, 1, scale=2)
    found = outlier_factors(real, synthetic, 3)
    for fast, slow in zip(found, slow_factors(real, synthetic, 3), strict=True):
        np.testing.assert_allclose(fast, slow, rtol=1e-5)


def test_two_samples_of_one_distribution_have_no_gap():
    gaps = [measure_quality(normal(400, seed), normal(400, seed + 9)).gap for seed in range(4)]
    assert np.mean([gap.value for gap in gaps]) < 0.06
    assert all(gap.low < 0.03 for gap in gaps)


def test_gap_is_about_the_share_of_outliers():
    real = normal(500, 0)
    for share in (0.2, 0.5, 0.9):
        synthetic = normal(500, 1)
        synthetic[: int(share * 500)] += 8
        found = measure_quality(real, synthetic)
        assert found.gap.value == pytest.approx(share, abs=0.08)
        # The most outlying tenth of the real images cannot be told from broken ones.
        assert -0.05 < found.soundness.mean() - (1 - share) < 0.11
        assert found.soundness[: int(share * 500)].max() < 0.4


def test_direction_matters():
    """Outliers among the synthetic images are broken, among the real ones rare content."""
    tight, wide = normal(400, 0, scale=0.5), normal(400, 1, scale=2)
    assert measure_quality(tight, wide).gap.value > 0.8
    assert measure_quality(wide, tight).gap.value < 0.05


def test_few_modes_and_dense_ones_are_sound():
    """Two clusters of very different density, of which only the wide one is drawn."""
    real = np.concatenate([normal(200, 0, scale=0.05), normal(200, 1) + 20])
    assert measure_quality(real, normal(300, 2) + 20).gap.value < 0.15


def test_copies_of_real_images_are_sound():
    real = normal(100, 0)
    assert measure_quality(real, real).gap.value == 0
    flat = np.zeros((50, 3))
    of_real, of_synthetic = outlier_factors(flat, np.ones((2, 3)))
    assert (of_real == 1).all() and np.isfinite(of_synthetic).all() and (of_synthetic > 1).all()


def test_soundness_is_the_ratio_of_shares():
    real = np.arange(100.0)
    synthetic = np.concatenate([np.arange(0, 50), np.full(50, 99.5)])
    found = soundness(real, synthetic)
    assert (found[:50] == 1).all()
    np.testing.assert_allclose(found[50:], 0.1 / 0.5)


def test_too_few_or_unusable():
    with pytest.raises(GendataError, match="too few real"):
        measure_quality(normal(6, 0), normal(9, 1))
    broken = normal(20, 0)
    broken[3, 2] = np.nan
    with pytest.raises(GendataError):
        measure_quality(broken, normal(9, 1))
    with pytest.raises(GendataError):
        measure_quality(normal(20, 0), normal(9, 1, dimensions=5))
