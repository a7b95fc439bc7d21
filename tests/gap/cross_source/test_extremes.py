import numpy as np

from gendata.gap.cross_source.extremes import lowest_and_highest


def test_equals_a_sort_by_loss_and_row():
    generator = np.random.default_rng(0)
    values = generator.integers(0, 6, 200) / 10  # many ties
    labels = generator.integers(0, 4, 200)
    found = lowest_and_highest(values, labels, classes=4, count=7)
    for label, extremes in enumerate(found):
        rows = [row for row in range(200) if labels[row] == label]
        assert extremes.lowest.tolist() == sorted(rows, key=lambda r: (values[r], r))[:7]
        assert extremes.highest.tolist() == sorted(rows, key=lambda r: (-values[r], r))[:7]


def test_a_class_with_few_images_or_none_gives_what_it_has():
    few, none = lowest_and_highest(np.array([2.0, 1.0]), np.array([0, 0]), classes=2, count=5)
    assert few.lowest.tolist() == [1, 0] and few.highest.tolist() == [0, 1]
    assert none.lowest.tolist() == none.highest.tolist() == []
