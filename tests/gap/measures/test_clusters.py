import numpy as np
import pytest
from scipy.cluster.vq import kmeans2
from scipy.spatial.distance import cdist

from gendata.errors import GendataError
from gendata.gap.measures.clusters import group, medoid, principal_components, spread_out


def blobs(sizes: list[int], seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    centers = 12 * generator.normal(size=(len(sizes), 6))
    labels = np.repeat(np.arange(len(sizes)), sizes)
    return centers[labels] + generator.normal(size=(sum(sizes), 6)), labels


def same_partition(one: np.ndarray, other: np.ndarray) -> bool:
    return len(np.unique(one)) == len(np.unique(other)) == len(set(zip(one, other, strict=True)))


def inertia(values: np.ndarray, groups: np.ndarray) -> float:
    members = [values[groups == each] for each in np.unique(groups)]
    return sum(float(((each - each.mean(axis=0)) ** 2).sum()) for each in members)


def test_finds_groups_of_different_sizes():
    values, labels = blobs([80, 40, 20, 10, 5])
    assert same_partition(group(values, 5), labels)


def test_is_about_as_tight_as_the_best_of_many_random_starts():
    values = np.random.default_rng(3).normal(size=(300, 4)) ** 3
    best = min(inertia(values, kmeans2(values, 6, minit="++", seed=seed)[1]) for seed in range(20))
    found = group(values, 6)
    assert len(np.unique(found)) == 6
    assert inertia(values, found) < 1.15 * best
    centers = np.stack([values[found == each].mean(axis=0) for each in range(6)])
    assert np.array_equal(cdist(values, centers).argmin(axis=1), found)  # Lloyd has converged


def test_does_not_depend_on_the_order_or_on_how_space_is_turned():
    generator = np.random.default_rng(4)
    values = generator.normal(size=(200, 5)) * [5, 4, 3, 2, 1]
    found, order = group(values, 7), generator.permutation(200)
    assert same_partition(group(values[order], 7), found[order])
    turn = np.linalg.qr(generator.normal(size=(5, 5)))[0]
    assert same_partition(group(values @ turn, 7), found)


def test_no_more_groups_than_distinct_images():
    assert group(np.ones((9, 3)), 4).tolist() == [0] * 9
    twice = np.repeat([[0.0, 0.0], [1.0, 0.0]], 5, axis=0)
    assert same_partition(group(twice, 4), np.repeat([0, 1], 5))
    assert group(np.ones((1, 3)), 4).tolist() == [0]
    for values, count in ((np.ones((0, 3)), 2), (np.ones((4, 3)), 0)):
        with pytest.raises(GendataError, match="nothing to group"):
            group(values, count)


def test_principal_components_keep_what_distances_there_are():
    generator = np.random.default_rng(5)
    flat = generator.normal(size=(50, 3)) @ generator.normal(size=(3, 20)) + 7
    found = principal_components(flat.astype(np.float32), 3)
    assert found.shape == (50, 3)
    np.testing.assert_allclose(cdist(found, found), cdist(flat, flat), atol=1e-4)
    assert np.all(np.diff(found.var(axis=0)) < 0)
    assert principal_components(flat, 64).shape == (50, 20)


def test_the_medoid_is_the_image_nearest_to_all_others():
    values = np.random.default_rng(6).exponential(size=(40, 3))
    sums = [sum(np.linalg.norm(one - other) for other in values) for one in values]
    assert medoid(values) == int(np.argmin(sums))


def test_examples_run_from_typical_to_unusual():
    values = np.array([[5.0], [0.0], [1.0], [-3.0], [0.1]])
    assert spread_out(values, 1, 3).tolist() == [1, 2, 0]
    assert spread_out(values, 1, 9).tolist() == [1, 4, 2, 3, 0]
    assert spread_out(values, 3, 1).tolist() == [3]
    equal = np.zeros((4, 2))
    assert sorted(spread_out(equal, 2, 4)) == [0, 1, 2, 3] and spread_out(equal, 2, 4)[0] == 2
