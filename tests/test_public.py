"""The names at the top are there, where they say, and documented as public."""

import importlib

import pytest

import gendata


@pytest.mark.parametrize("name", gendata.__all__)
def test_public_name_is_that_of_its_home(name):
    home = importlib.import_module(gendata._HOMES[name])
    assert getattr(gendata, name) is getattr(home, name)
    assert name in dir(gendata)


def test_subsets_and_filters_are_public():
    assert {"balanced_subset", "balanced_split", "filter_clone", "filter_images"} <= {
        *gendata.__all__
    }
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = gendata.nothing
