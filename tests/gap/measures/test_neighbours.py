"""Nearest neighbours against sorted tables of all distances, on awkward sets of points."""

import numpy as np
import pytest
import torch

from gendata.errors import GendataError
from gendata.gap.measures import neighbours
from gendata.gap.measures.neighbours import nearest

from .point_sets import KINDS, SHAPES, point_sets, slow_distances, slow_within


def by_sorting(distances, count):
    rows = np.argsort(distances, axis=1, kind="stable")[:, :count]
    return np.take_along_axis(distances, rows, axis=1), rows


@pytest.mark.parametrize("tile", [None, 7])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", SHAPES)
def test_equals_sorting_all_distances(shape, kind, tile):
    keys, queries = point_sets(shape, kind)
    for count in (1, 6):
        found = nearest(queries, keys, count, tile=tile)
        distances, rows = by_sorting(slow_distances(queries, keys), count)
        np.testing.assert_array_equal(found.distances, distances)
        np.testing.assert_array_equal(found.rows, rows)
        found = nearest(keys, keys, count, exclude_self=True, tile=tile)
        distances, rows = by_sorting(slow_within(keys), count)
        np.testing.assert_array_equal(found.distances, distances)
        np.testing.assert_array_equal(found.rows, rows)


def test_all_others_are_neighbours():
    values = np.arange(5, dtype=np.float32)[:, None]
    found = nearest(values, values, 4, exclude_self=True)
    assert found.rows[0].tolist() == [1, 2, 3, 4]
    assert found.rows[2].tolist() == [1, 3, 0, 4]  # of equally far ones the lower row
    assert found.distances.dtype == np.float32 and found.rows.dtype == np.int64


def test_equal_vectors_everywhere():
    values = np.full((9, 3), -0.1, dtype=np.float32)
    found = nearest(values, values, 3, exclude_self=True)
    assert not found.distances.any()
    assert found.rows[0].tolist() == [1, 2, 3] and found.rows[8].tolist() == [0, 1, 2]
    values = np.array([[0.0], [-0.0], [1.0]], dtype=np.float32)
    assert nearest(values, values, 1, exclude_self=True).rows[:, 0].tolist() == [1, 0, 0]


def test_products_alone_would_be_wrong():
    """Two images a millionth of their norm apart: |a|^2 + |b|^2 - 2ab knows nothing of it."""
    generator = np.random.default_rng(0)
    base = 1000 + generator.normal(size=(1, 64))
    values = (base + 1e-3 * generator.normal(size=(40, 64))).astype(np.float32)
    found = nearest(values, values, 5, exclude_self=True)
    distances, rows = by_sorting(slow_within(values), 5)
    np.testing.assert_array_equal(found.rows, rows)
    product = torch.from_numpy(values)
    naive = product.square().sum(1)[:, None] + product.square().sum(1) - 2 * product @ product.T
    assert naive.fill_diagonal_(torch.inf).argmin(1).tolist() != rows[:, 0].tolist()


def test_order_of_images_changes_nothing():
    values = np.random.default_rng(1).normal(size=(200, 6)).astype(np.float32)
    order = np.random.default_rng(2).permutation(200)
    place = np.argsort(order)
    found = nearest(values, values, 5, exclude_self=True)
    moved = nearest(values[order], values[order], 5, exclude_self=True, tile=31)
    np.testing.assert_array_equal(moved.distances[place], found.distances)
    np.testing.assert_array_equal(order[moved.rows][place], found.rows)


def test_pairs_that_wait_are_dropped_in_time(monkeypatch):
    values = np.random.default_rng(3).normal(size=(300, 3)).astype(np.float32)
    expected = nearest(values, values, 4, exclude_self=True)
    monkeypatch.setattr(neighbours, "PENDING", 1)
    found = nearest(values, values, 4, exclude_self=True, tile=32)
    np.testing.assert_array_equal(found.rows, expected.rows)


def test_low_precision_products_are_not_used():
    """A program may have allowed TensorFloat-32; it stays allowed, but not here."""
    values = np.random.default_rng(4).normal(size=(50, 8)).astype(np.float32)
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium")
    try:
        found = nearest(values, values, 3, exclude_self=True)
        assert torch.get_float32_matmul_precision() == "medium"
    finally:
        torch.set_float32_matmul_precision(before)
    np.testing.assert_array_equal(found.rows, by_sorting(slow_within(values), 3)[1])


@pytest.mark.filterwarnings("error")
def test_arrays_that_cannot_be_written_to():
    values = np.random.default_rng(7).normal(size=(20, 3)).astype(np.float32)
    values.flags.writeable = False
    found = nearest(values, values, 2, exclude_self=True)
    np.testing.assert_array_equal(found.rows, by_sorting(slow_within(values), 2)[1])


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an accelerator")
def test_device_changes_nothing():
    values = np.random.default_rng(5).normal(size=(500, 32)).astype(np.float32)
    one, other = (
        nearest(values, values, 5, exclude_self=True, device=device) for device in ("cpu", "cuda")
    )
    np.testing.assert_array_equal(one.rows, other.rows)
    np.testing.assert_array_equal(one.distances, other.distances)


@pytest.mark.parametrize(
    ("queries", "keys", "count", "words"),
    [
        (np.ones((3, 2)), np.ones((3, 4)), 1, "2 and 4 dimensions"),
        (np.ones((3, 2)), np.ones((3, 2)), 4, "at least 4"),
        (np.ones((3, 2)), np.ones((3, 2)), 0, "below 1"),
        (np.array([[np.nan]]), np.ones((3, 1)), 1, "not finite"),
        (np.ones((3, 1)), np.array([[1.0], [np.inf], [2.0]]), 1, "row 1"),
        (np.ones(3), np.ones((3, 1)), 1, "no matrix"),
        (np.ones((0, 2)), np.ones((3, 2)), 1, "no matrix"),
    ],
)
def test_mistakes(queries, keys, count, words):
    with pytest.raises(GendataError, match=words):
        nearest(queries, keys, count)


def test_mistakes_about_oneself():
    values = np.random.default_rng(6).random((4, 2))
    with pytest.raises(GendataError, match="at least 5"):
        nearest(values, values, 4, exclude_self=True)
    with pytest.raises(GendataError, match="not the keys"):
        nearest(values, values + 1, 2, exclude_self=True)
