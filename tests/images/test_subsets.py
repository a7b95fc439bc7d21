import numpy as np
import pytest
import torch

from gendata.errors import GendataError
from gendata.images import ArrayImages, balanced_split, balanced_subset, check_same_classes, joined
from gendata.images.subsets import Joined


class Undecodable:
    """A set whose images must not be touched."""

    name, classes, labels = "sealed", ["a", "b"], np.array([0, 1, 1, 0, 1, 0, 0, 1])

    def __len__(self):
        return 8

    def __getitem__(self, index):
        raise AssertionError("decoded")


def test_subsets_are_balanced_seeded_and_nested(small):
    few, more = balanced_subset(small, 2, 5), balanced_subset(small, 6, 5)
    assert np.bincount(few.labels).tolist() == [2, 2, 2]
    assert set(few.rows) < set(more.rows)
    assert balanced_subset(small, 2, 5).rows.tolist() == few.rows.tolist()
    others = {tuple(balanced_subset(small, 2, seed).rows) for seed in range(20)}
    assert len(others) > 15
    image, label = few[3]
    assert torch.equal(image, small.images[few.rows[3]]) and label == few.labels[3]


def test_each_row_is_chosen_equally_often(small):
    counts = np.zeros(30)
    for seed in range(600):
        counts[balanced_subset(small, 3, seed).rows] += 1
    assert counts.min() > 130 and counts.max() < 230  # 180 expected, standard deviation 11


def test_split_is_disjoint_and_complete(small):
    held_out, rest = balanced_split(small, 4, 0)
    assert np.bincount(held_out.labels).tolist() == [4, 4, 4]
    assert sorted([*held_out.rows, *rest.rows]) == list(range(30))


def test_nothing_is_decoded():
    images = Undecodable()
    held_out, rest = balanced_split(images, 1, 0)
    assert len(balanced_subset(images, 2, 0)) == 4
    assert len(joined(held_out, rest)) == 8


def test_too_few_images_name_the_class(small):
    with pytest.raises(GendataError, match="found 10 of class 'cat'; expected at least 11"):
        balanced_subset(small, 11, 0)
    with pytest.raises(GendataError, match="holding out 10 per class"):
        balanced_split(small, 10, 0)


def test_union_has_both_in_order(small, square):
    union = joined(small, small)
    assert isinstance(union, ArrayImages) and len(union) == 60
    assert torch.equal(union[31][0], small[1][0])
    lazy = joined(balanced_subset(small, 2, 0), small)
    assert isinstance(lazy, Joined) and len(lazy) == 36
    assert torch.equal(lazy[6][0], small[0][0]) and lazy[35][1] == small[29][1]
    assert lazy.labels.tolist() == [label for _, label in lazy]


def test_union_refuses_other_classes_and_shows_the_difference(small, square):
    with pytest.raises(GendataError, match="only .* has 'cat', 'dog', 'emu'; only "):
        joined(small, square)
    other = ArrayImages("other", ["cat", "emu", "dog"], small.images, small.labels)
    with pytest.raises(GendataError, match="label 1 is 'dog' in .*, 'emu' in other"):
        joined(small, other)


def test_class_lists_agree_in_names_and_order():
    check_same_classes("a", ["x", "y"], "b", ("x", "y"))
    with pytest.raises(GendataError, match="of 'a' and 'b' differ; found 2 and 3 names, some rep"):
        check_same_classes("a", ["x", "y"], "b", ["x", "y", "y"])
