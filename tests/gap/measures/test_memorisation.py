import numpy as np
import pytest

from gendata.errors import GendataError
from gendata.gap.measures.memorisation import (
    authentic_images,
    authentic_left_out,
    calibrate,
    relative_distances,
    repeated,
    rows_of_same,
    same_elsewhere,
)
from gendata.gap.measures.neighbours import Neighbours, nearest


def slow_authentic(real: np.ndarray, synthetic: np.ndarray) -> list[bool]:
    flags = []
    for image in synthetic:
        to_real = [np.linalg.norm(image - each) for each in real]
        row = int(np.argmin(to_real))
        others = [np.linalg.norm(real[row] - each) for j, each in enumerate(real) if j != row]
        flags.append(min(others) < min(to_real))
    return flags


def test_authenticity_equals_dgm_eval_and_a_slow_loop():
    generator = np.random.RandomState(7)
    real, synthetic = generator.randn(200, 4), generator.randn(150, 4) * 0.8
    # What dgm-eval's compute_authpct (commit d57a6d2) printed for these, in percent.
    assert authentic_images(real, synthetic).mean() == pytest.approx(0.4266666793823242)
    assert authentic_images(synthetic, real).mean() == pytest.approx(0.65)
    assert authentic_images(real[:100], real[100:]).mean() == pytest.approx(0.54)
    assert authentic_images(real, synthetic).tolist() == slow_authentic(real, synthetic)


def test_authenticity_of_copies_of_outliers_and_of_a_collapsed_generator():
    real = np.random.default_rng(0).normal(size=(80, 3))
    assert not authentic_images(real, real).any()
    assert not authentic_images(real, real + 1e-3).any()
    assert authentic_images(real, real + 50).all()
    assert authentic_images(real, np.repeat(real[:1] + 5, 40, axis=0)).all()


def test_as_close_as_the_neighbours_own_neighbour_is_not_authentic():
    real = np.array([[0.0], [1.0], [10.0]])
    assert authentic_images(real, np.array([[-1.0], [-1.001], [2.0]])).tolist() == [
        False,
        True,
        False,
    ]
    twice = np.array([[0.0], [0.0], [5.0]])
    assert authentic_images(twice, np.array([[0.0], [0.1]])).tolist() == [False, True]


def test_left_out_images_are_judged_as_if_they_were_not_there():
    real = np.random.default_rng(1).normal(size=(60, 3))
    found = authentic_left_out(nearest(real, real, 2, exclude_self=True))
    for row in range(60):
        others = np.delete(real, row, axis=0)
        assert found[row] == slow_authentic(others, real[row : row + 1])[0]


def test_relative_distance_tells_a_copy_from_a_dense_place():
    distances = np.array([[0.01, 1, 1, 1], [0.01, 0.01, 0.01, 0.01], [0, 0, 0, 0], [2, 2, 3, 5]])
    found = relative_distances(Neighbours(distances.astype(np.float32), np.zeros((4, 4), int)))
    assert found == pytest.approx([0.01 / 0.7525, 1, 0, 2 / 3])


def test_no_more_than_the_share_of_new_images_are_suspicious():
    generator = np.random.default_rng(2)
    rates = []
    for _ in range(400):
        threshold = calibrate(generator.exponential(size=199), 0.05)
        rates.append(threshold.exceeded_by(generator.exponential(size=200)).mean())
    assert np.mean(rates) == pytest.approx(0.05, abs=0.003)


def test_a_distance_is_suspicious_where_its_p_value_is_at_most_the_share():
    generator = np.random.default_rng(3)
    reference = generator.integers(0, 30, 150) / 10  # many ties
    threshold = calibrate(reference, 0.1)
    for distance in np.unique(np.concatenate([reference, generator.random(50)])):
        p_value = (1 + sum(each <= distance for each in reference)) / 151
        assert threshold.p_values(np.array([distance]))[0] == pytest.approx(p_value)
        assert threshold.exceeded_by(np.array([distance]))[0] == (p_value <= 0.1)


def test_held_out_images_are_judged_by_each_other():
    reference = np.random.default_rng(5).exponential(size=250)
    threshold = calibrate(reference, 0.04)
    left_out = [
        (1 + np.sum(np.delete(reference, row) <= each)) / 250 <= 0.04
        for row, each in enumerate(reference)
    ]
    assert threshold.exceeded_by(reference, held_out=True).tolist() == left_out
    assert sum(left_out) == 10


def test_few_held_out_images_raise_the_share_that_can_be_told():
    threshold = calibrate(np.array([3.0, 1.0, 2.0]), 0.01)
    assert threshold.share == 0.25 and threshold.distance == 1.0
    assert threshold.exceeded_by(np.array([0.99, 1.0])).tolist() == [True, False]
    assert calibrate(np.arange(99.0), 0.01).share == 0.01
    for reference, share in ((np.empty(0), 0.01), (np.ones(5), 0.0), (np.ones(5), 1.0)):
        with pytest.raises(GendataError):
            calibrate(reference, share)


def test_equal_pixels_are_found_by_their_digests():
    training = np.array(["d", "b", "b", "a"])
    assert rows_of_same(np.array(["b", "x", "a", "zz", "d"]), training).tolist() == [
        1,
        -1,
        3,
        -1,
        0,
    ]
    assert repeated(np.array(["b", "a", "b", "b", "c"])).tolist() == [
        False,
        False,
        True,
        True,
        False,
    ]


def test_a_symmetric_image_is_no_copy_of_itself():
    digests = np.array(["symmetric", "left", "right", "twice", "twice", "alone"])
    mirrored = np.array(["symmetric", "right", "left", "eciwt", "eciwt", "enola"])
    assert same_elsewhere(digests, mirrored).tolist() == [False, True, True, True, True, False]
