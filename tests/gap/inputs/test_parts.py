import numpy as np
import pytest
import torch

from gendata.errors import GendataError
from gendata.gap.inputs.parts import common_size, equal_parts
from gendata.images import ArrayImages


def made(counts, name="toy", classes=None, seed=0):
    labels = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(counts)), counts))
    pixels = torch.arange(len(labels)).remainder(256).to(torch.uint8)
    images = pixels.view(-1, 1, 1, 1).expand(-1, 3, 8, 8).contiguous()
    return ArrayImages(name, classes or [f"class {i}" for i in range(len(counts))], images, labels)


def test_the_smallest_class_of_any_source_decides():
    sources = {"real": made([50, 60]), "clone": made([30, 21])}
    assert common_size(sources) == 21
    assert common_size(sources, per_class=10) == 10
    assert common_size(sources, limit=31) == 15


def test_parts_are_equal_balanced_disjoint_and_know_their_rows():
    sources = {"real": made([50, 60]), "clone": made([30, 21], seed=1)}
    parts = equal_parts(sources, 20, side=8)
    for name, part in parts.items():
        assert np.bincount(part.training.labels).tolist() == [18, 18]
        assert np.bincount(part.held_out.labels).tolist() == [2, 2]
        shown = {int(part.training[i][0][0, 0, 0]) for i in range(36)}
        held = {int(part.held_out[i][0][0, 0, 0]) for i in range(4)}
        assert not shown & held and len(shown) == 36
        for place, row in enumerate(part.rows):
            assert torch.equal(part.training[place][0], sources[name][int(row)][0])
            assert part.training.labels[place] == sources[name].labels[row]
    again = equal_parts(sources, 20, side=8)
    assert all((again[name].rows == parts[name].rows).all() for name in parts)


@pytest.mark.parametrize(
    ("clone", "message"),
    [
        (
            made([5, 5], classes=["class 0", "<b>"]),
            "of 'real' and 'clone' differ; found only real has 'class 1'; only clone has '<b>'",
        ),
        (
            made([5, 5], classes=["class 1", "class 0"]),
            "found label 0 is 'class 0' in real, 'class 1' in clone",
        ),
        (made([5, 0]), "found 0 of class 'class 1' in 'clone'"),
        (made([5, 1]), "found 1 of class 'class 1' in 'clone'"),
    ],
)
def test_sources_that_do_not_fit_are_refused_in_one_line(clone, message):
    with pytest.raises(GendataError, match=message) as error:
        common_size({"real": made([5, 5]), "clone": clone})
    assert "\n" not in str(error.value)


def test_a_limit_that_leaves_nothing_is_refused():
    with pytest.raises(GendataError, match="room for 1 of each class"):
        common_size({"real": made([5, 5])}, limit=3)
