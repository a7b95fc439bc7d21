"""The Fréchet distance against clean-fid, closed forms, and its behaviour with few images."""

import numpy as np
import pytest
import scipy.linalg

from gendata.errors import GendataError
from gendata.gap.measures.frechet import frechet_distance, measure_frechet


def gaussians(real, synthetic, size, seed=0, scale=1.1, shift=0.1):
    generator = np.random.default_rng(seed)
    one, other = generator.normal(size=(real, size)), generator.normal(size=(synthetic, size))
    return one.astype(np.float32), (scale * other + shift).astype(np.float32)


def correlated(values):
    mixed = values @ np.random.default_rng(9).normal(size=(values.shape[1],) * 2)
    return (mixed * 10.0 ** -np.linspace(0, 3, values.shape[1]) + 5).astype(np.float32)


def rectified(values):
    """Like a network's features: many zeros, one that is always 0, and one that occurs twice."""
    values = np.maximum(values, 0)
    values[:, 1], values[:, 2] = 0, values[:, 3]
    return values


@pytest.mark.filterwarnings("ignore")  # of SciPy, where the product is singular
@pytest.mark.parametrize("change", [np.copy, correlated, rectified])
@pytest.mark.parametrize("sizes", [(300, 400, 20), (50, 60, 64), (30, 300, 64), (65, 65, 64)])
def test_equals_the_root_of_the_product(sizes, change):
    real, synthetic = (change(values) for values in gaussians(*sizes))
    means = [values.astype(np.float64).mean(axis=0) for values in (real, synthetic)]
    covariances = [np.cov(values.astype(np.float64), rowvar=False) for values in (real, synthetic)]
    root = scipy.linalg.sqrtm(covariances[0] @ covariances[1])
    expected = np.square(means[0] - means[1]).sum() + np.trace(
        covariances[0] + covariances[1] - 2 * np.real(root)
    )
    assert frechet_distance(real, synthetic) == pytest.approx(expected, rel=1e-6)


@pytest.mark.filterwarnings("ignore")
def test_equals_clean_fid():
    from cleanfid import fid

    real, synthetic = (correlated(values) for values in gaussians(300, 400, 20))
    try:
        expected = fid.fid_from_feats(real.astype(np.float64), synthetic.astype(np.float64))
    except TypeError:
        pytest.xfail("clean-fid's own root does not work with this SciPy")
    assert frechet_distance(real, synthetic) == pytest.approx(expected, rel=1e-6)


def test_closed_form_of_commuting_covariances():
    """With diagonal covariances d^2 is the sum over dimensions of (m - m')^2 + (s - s')^2."""
    base = np.array([[1, 1], [1, -1], [-1, 1], [-1, -1]], dtype=np.float32)
    scale = np.sqrt(4 / 3)  # standard deviation of each column, n - 1
    real, synthetic = base * [1, 2], base * [3, 0.5] + [1, 0]
    expected = 1 + (2 * scale) ** 2 + (1.5 * scale) ** 2
    assert frechet_distance(real, synthetic) == pytest.approx(expected, rel=1e-6)


def test_is_symmetric_zero_at_itself_and_blind_to_order():
    real, synthetic = (correlated(values) for values in gaussians(200, 150, 12))
    there, back = frechet_distance(real, synthetic), frechet_distance(synthetic, real)
    assert there == pytest.approx(back, rel=1e-9)
    assert frechet_distance(real, real) == pytest.approx(0, abs=1e-6 * there)
    moved = frechet_distance(real[::-1], synthetic[::-1])
    assert moved == pytest.approx(there, rel=1e-9)
    assert frechet_distance(real + 1000, synthetic + 1000) == pytest.approx(there, rel=1e-3)


def test_bias_is_found_and_flagged():
    """Two sets of one law are 0 apart; 1,000 images of 50 dimensions say otherwise."""
    real, synthetic = gaussians(1000, 1000, 50, scale=1.0, shift=0.0)
    found = measure_frechet(real, synthetic)
    assert found.distance.value == pytest.approx(frechet_distance(real, synthetic), rel=1e-9)
    assert found.distance.value > 1
    assert found.bias == pytest.approx(found.distance.value, rel=0.15)
    assert abs(found.corrected.value) < 0.15 * found.distance.value
    assert any("owed to the small number" in warning for warning in found.warnings)
    assert found.to_json()["bias"] == found.bias


def test_many_images_are_not_flagged():
    real, synthetic = gaussians(4000, 4000, 4, scale=1.5, shift=1.0)
    found = measure_frechet(real, synthetic)
    assert not found.warnings
    truth = 4 * (1.0 + 0.25)
    assert found.distance.low < truth < found.distance.high
    assert found.corrected.value == pytest.approx(truth, rel=0.05)


def test_intervals_hold_the_truth_about_as_often_as_they_say():
    truth, hits = 3 * (0.25 + 0.04), 0
    for seed in range(60):
        sets = gaussians(300, 300, 3, seed=seed, scale=1.2, shift=0.5)
        found = measure_frechet(*sets, seed=seed).corrected
        hits += found.low <= truth <= found.high
    assert 51 <= hits <= 60


def test_fewer_images_than_dimensions_are_flagged():
    found = measure_frechet(*gaussians(60, 500, 64))
    assert "60 images are too few for features of 64 dimensions" in found.warnings[0]
    assert np.isnan(found.bias) and np.isnan(found.corrected.value)
    assert found.distance.low < found.distance.value < found.distance.high


def test_very_few_images_get_a_distance_only():
    found = measure_frechet(*gaussians(10, 500, 4))
    assert np.isfinite(found.distance.value) and np.isnan(found.distance.low)
    assert "only 10 images" in found.warnings[0]
    assert found.to_json()["bias"] is None and found.to_json()["corrected"]["value"] is None


def test_collapsed_and_far_clones_are_farther():
    real, near = gaussians(500, 500, 6)
    collapsed = near * np.array([1, 1, 1, 0.05, 0.05, 0.05], dtype=np.float32)
    assert frechet_distance(real, near) < frechet_distance(real, collapsed)
    assert frechet_distance(real, collapsed) < frechet_distance(real, near + 5)


@pytest.mark.parametrize(
    ("real", "synthetic", "words"),
    [
        (np.eye(3)[:1], np.eye(3), "real set has no covariance"),
        (np.eye(3), np.eye(3)[:1], "synthetic set has no covariance"),
        (np.ones((5, 3)), np.eye(3), "features of the real set are equal"),
        (np.eye(3), np.ones((5, 3)), "features of the synthetic set are equal"),
        (np.eye(3), np.eye(4), "3 and 4 dimensions"),
        (np.eye(3), np.full((3, 3), np.inf), "synthetic set are not finite"),
    ],
)
def test_mistakes(real, synthetic, words):
    with pytest.raises(GendataError, match=words):
        frechet_distance(real, synthetic)
