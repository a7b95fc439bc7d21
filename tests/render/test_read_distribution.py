"""Distributions as people write them."""

import math

import pytest
import yaml

from gendata.errors import GendataError
from gendata.render.distributions import (
    Channels,
    Choice,
    Fixed,
    Mixture,
    Normal,
    Range,
    WholeRange,
)
from gendata.render.read_distribution import Values, read_distribution

NUMBER = Values(low=-90, high=90)
RADIUS = Values(low=0, high=1000, above=True)
WHOLE = Values("whole", low=0, high=5)
WORD = Values("word", words=("own", "metal", "plastic"))
NONE = Values("word", words=("none", "photo"))
APERTURE = Values(low=0, above=True, optional=True)
COLOUR = Values("colour")


def uniform(low, high):
    return Range("uniform", low, high)


def ones(count):
    return (1.0,) * count


# What is written in YAML, the same in one line (None: there is no such form), and what is meant.
FORMS = [
    (NUMBER, "1.5", "1.5", Fixed(1.5)),
    (NUMBER, "1e-3", "1e-3", Fixed(0.001)),
    (NUMBER, "[1, 1.5, 2]", "1,1.5,2", Choice((1, 1.5, 2), ones(3))),
    (NUMBER, "[1]", None, Choice((1,), ones(1))),
    (NUMBER, "{choice: [1, 2], weights: [3, 1]}", "1:3,2:1", Choice((1, 2), (3, 1))),
    (NUMBER, "{choice: [1, 2]}", "1, 2", Choice((1, 2), ones(2))),
    (NUMBER, "{uniform: [-5, 89]}", "-5..89", uniform(-5, 89)),
    (NUMBER, "{uniform: [-.5, 8.]}", "-.5 .. 8.", uniform(-0.5, 8)),
    (NUMBER, "{uniform: [2, 2]}", "uniform(2, 2)", uniform(2, 2)),
    (NUMBER, "{uniform: 5..7}", "5..7", uniform(5, 7)),
    (RADIUS, "{log_uniform: [0.1, 10]}", "log_uniform(0.1, 10)", Range("log_uniform", 0.1, 10)),
    (NUMBER, "{uniform_area: [5, 89]}", "uniform_area(5, 89)", Range("uniform_area", 5, 89)),
    (RADIUS, "{uniform_volume: [1, 2]}", "uniform_volume(1,2)", Range("uniform_volume", 1, 2)),
    (
        NUMBER,
        "{normal: [50, 10], within: [35, 85]}",
        "normal(50, 10, 35, 85)",
        Normal(50, 10, 35, 85),
    ),
    (Values(), "{normal: [0, 1]}", "normal(0, 1)", Normal(0, 1, -math.inf, math.inf)),
    (
        APERTURE,
        "{mixture: [{weight: 3, uniform: [0.5, 1.2]}, {value: none}]}",
        None,
        Mixture((uniform(0.5, 1.2), Fixed(None)), (3, 1)),
    ),
    (
        NUMBER,
        "{mixture: [{value: 1..2}, {weight: 0.5, choice: [5, 6]}]}",
        None,
        Mixture((uniform(1, 2), Choice((5, 6), ones(2))), (1, 0.5)),
    ),
    (APERTURE, "none", "none", Fixed(None)),
    (APERTURE, "null", "none", Fixed(None)),
    (APERTURE, "[none, 2.8]", "none,2.8", Choice((None, 2.8), ones(2))),
    (WHOLE, "3", "3", Fixed(3)),
    (WHOLE, "{uniform: [0, 3]}", "0..3", WholeRange(0, 3)),
    (WHOLE, "[0, true]", "0,1", Choice((0, 1), ones(2))),
    (WORD, "metal", "metal", Fixed("metal")),
    (WORD, "[metal, own]", "metal, own", Choice(("metal", "own"), ones(2))),
    (WORD, "{metal: 2, own: 1}", "metal:2,own", Choice(("metal", "own"), (2, 1))),
    (NONE, "none", "none", Fixed("none")),
    (NONE, "null", "none", Fixed("none")),
    (NONE, "[none, photo]", "none,photo", Choice(("none", "photo"), ones(2))),
    (COLOUR, "[1, 0.5, 0]", None, Fixed((1, 0.5, 0))),
    (COLOUR, "'#ff0000'", "#ff0000", Fixed((1, 0, 0))),
    (COLOUR, "white", "white", Fixed((1, 1, 1))),
    (COLOUR, "[red, lime]", "red,lime", Choice(((1, 0, 0), (0, 1, 0)), ones(2))),
    (COLOUR, "[[1, 0, 0], lime]", None, Choice(((1, 0, 0), (0, 1, 0)), ones(2))),
    (COLOUR, "{rgb: {uniform: [0.5, 1]}}", "rgb(0.5..1)", Channels("rgb", (uniform(0.5, 1),) * 3)),
    (
        COLOUR,
        "{rgb: [1, 0..1, {normal: [0.5, 0.1], within: [0, 1]}]}",
        "rgb(1, 0..1, normal(0.5, 0.1, 0, 1))",
        Channels("rgb", (Fixed(1), uniform(0, 1), Normal(0.5, 0.1, 0, 1))),
    ),
    (
        COLOUR,
        "{hsv: [0..360, 0.5, 1]}",
        "hsv(0..360, 0.5, 1)",
        Channels("hsv", (uniform(0, 360), Fixed(0.5), Fixed(1))),
    ),
    (COLOUR, "{grey: 0.25..1}", "grey(0.25..1)", Channels("grey", (uniform(0.25, 1),))),
]
IDENTIFIERS = [form[1] for form in FORMS]


@pytest.mark.parametrize(("values", "written", "line", "law"), FORMS, ids=IDENTIFIERS)
def test_forms(values, written, line, law):
    assert read_distribution(yaml.safe_load(written), values, "x") == law
    if line is not None:
        assert read_distribution(line, values, "x") == law


@pytest.mark.parametrize(("values", "written", "line", "law"), FORMS, ids=IDENTIFIERS)
def test_settings_are_read_back(values, written, line, law):
    text = yaml.safe_dump(law.settings())
    assert read_distribution(yaml.safe_load(text), values, "x") == law


def test_names_of_colours_are_turned_linear():
    (value,) = set(read_distribution("#808080", COLOUR, "x").value)
    assert value == pytest.approx(0.2158605)  # 128 of 255 by the sRGB curve


WRONG = [
    (NUMBER, {"uniform": [9, 5]}, "9 to 5", "swap them"),
    (NUMBER, "9..5", "9 to 5", "swap them"),
    (NUMBER, 91, "91", "at most 90"),
    (NUMBER, "5..99", "99", "at most 90"),
    (NUMBER, {"mixture": [{"value": 5}, {"value": 99}]}, "99", "at most 90"),
    (RADIUS, -1, "-1", "above 0"),
    (RADIUS, "0..1", "0", "above 0"),
    (RADIUS, {"log_uniform": [0, 1]}, "log_uniform from 0", "above 0"),
    (Values(), {"uniform_volume": [-1, 1]}, "uniform_volume from -1", "at least 0"),
    (Values(), {"uniform_area": [0, 91]}, "0 to 91", "between -90 and 90"),
    (NUMBER, float("nan"), "nan", "finite"),
    (NUMBER, "nan", "nan", "finite"),
    (NUMBER, {"uniform": [0, float("inf")]}, "inf", "finite"),
    (NUMBER, True, "True", "a number"),
    (NUMBER, "five", "'five'", "a number"),
    (NUMBER, None, "None", "a number"),
    (NUMBER, [], "[]", "at least one value"),
    (NUMBER, {}, "empty table", "uniform"),
    (NUMBER, {"unifrom": [1, 2]}, "unifrom", "did you mean uniform?"),
    (NUMBER, {"uniform": [1, 2], "weights": [1]}, "weights", "uniform"),
    (NUMBER, {"uniform": [1, 2], "choice": [1]}, "uniform, choice", "one of"),
    (NUMBER, {"uniform": [1, 2, 3]}, "[1, 2, 3]", "two numbers"),
    (NUMBER, {"uniform": 3}, "3", "two numbers"),
    (NUMBER, {"normal": [1, 2]}, "without bounds", "within"),
    (NUMBER, {"normal": [1, 0], "within": [0, 2]}, "0", "standard deviation above 0"),
    (NUMBER, {"normal": [0, 0.1], "within": [50, 60]}, "nothing lies within 50 and 60", "mean"),
    (NUMBER, {"choice": [1, 2], "weights": [1]}, "[1]", "2 weights"),
    (NUMBER, {"choice": [1, 2], "weights": [0, 0]}, "[0, 0]", "not all 0"),
    (NUMBER, {"choice": [1, 2], "weights": [2, -1]}, "[2, -1]", "at least 0"),
    (NUMBER, {"mixture": []}, "[]", "list of tables"),
    (NUMBER, {"mixture": [3]}, "3", "list of tables"),
    (NUMBER, "1:x", "'x'", "a number"),
    (NUMBER, [[1, 2]], "[1, 2]", "a number"),
    (WHOLE, 1.5, "1.5", "a whole number"),
    (WHOLE, "0..9", "9", "at most 5"),
    (WHOLE, {"log_uniform": [1, 2]}, "log_uniform", "uniform"),
    (WHOLE, {"normal": [1, 2]}, "normal", "uniform"),
    (WORD, "metl", "'metl'", "did you mean metal?"),
    (WORD, "none", "'none'", "own, metal, plastic"),
    (WORD, 3, "3", "own, metal, plastic"),
    (WORD, {"uniform": [1, 2]}, "uniform", "own, metal, plastic"),
    (WORD, {"metal": -1}, "-1", "at least 0"),
    (COLOUR, "bluu", "'bluu'", "a colour"),
    (COLOUR, [1, 2, 0], "2", "at most 1"),
    (COLOUR, 0.5, "0.5", "a colour"),
    (COLOUR, "rgb(0..2)", "2", "at most 1"),
    (COLOUR, {"rgb": [0, 1]}, "[0, 1]", "3 channels"),
    (COLOUR, "hsv(0..360)", "0..360", "SATURATION"),
]


@pytest.mark.parametrize(
    ("values", "written", "found", "remedy"), WRONG, ids=[str(each[1]) for each in WRONG]
)
def test_errors_name_the_place_the_fault_and_the_remedy(values, written, found, remedy):
    with pytest.raises(GendataError) as caught:
        read_distribution(written, values, "camera.elevation in my.yaml")
    message = str(caught.value)
    assert "camera.elevation in my.yaml" in message
    assert found in message
    assert remedy in message
