"""Names of factors, nested and with dots."""

import pytest

from gendata.errors import GendataError
from gendata.render.factor_names import flatten, nest, read_yaml


def test_tables_and_dots_mean_the_same():
    flat = {"camera.roll": 5, "material.metal.roughness": {"uniform": [0, 1]}}
    assert flatten(flat) == flat
    assert flatten({"camera": {"roll": 5}, "material": {"metal.roughness": 1}}) == {
        "camera.roll": 5,
        "material.metal.roughness": 1,
    }
    assert flatten({"material.metal": {"roughness": 1}}) == {"material.metal.roughness": 1}
    assert flatten(nest(flat)) == flat
    assert flatten({"camera": None}) == {}


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ({"camera": {"elevaton": 5}}, "did you mean camera.elevation"),
        ({"cam": {"elevation": 5}}, "unknown factor 'cam'"),
        ({"elevation": 5}, "light.elevation or camera.elevation"),
        ({"camera": 5}, "camera.focal_length"),
        ({"camera": {"roll": 5}, "camera.roll": 6}, "given twice"),
        ({"sky": 5}, "expected one of object, material, light"),
    ],
)
def test_errors(written, message):
    with pytest.raises(GendataError, match=message):
        flatten(written, "my.yaml")


def test_a_key_that_stands_twice_is_refused():
    with pytest.raises(GendataError, match="'roll' stands twice in the table at line 2"):
        read_yaml("camera:\n  roll: 1\n  roll: 2\n", "my.yaml")


@pytest.mark.parametrize("key", ["on", "1", "null", "2012-01-01"])
def test_keys_that_yaml_takes_for_other_than_words_are_refused(key):
    with pytest.raises(GendataError, match="the key .* at line 2 is no word: quote it"):
        read_yaml(f"task2sim:\n  {key}: 1\n", "my.yaml")
    assert read_yaml(f"'{key}': 1", "my.yaml") == {key: 1}


@pytest.mark.parametrize("text", ["a: [1", "a: !!python/object:os.system 1", "{{a: 1}: 2}"])
def test_what_is_no_plain_yaml_is_refused(text):
    with pytest.raises(GendataError, match=r"my.yaml is no valid YAML"):
        read_yaml(text, "my.yaml")


def test_anchors_and_merges_are_plain_yaml():
    text = "a: &a {roll: 1, focus: 2}\nb:\n  <<: *a\n  roll: 3\n"
    assert read_yaml(text, "my.yaml")["b"] == {"roll": 3, "focus": 2}
