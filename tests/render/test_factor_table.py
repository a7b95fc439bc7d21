"""The table of factors: every default is allowed, and the documentation says the same."""

import math
import re
from pathlib import Path

import pytest

from gendata.render.distributions import Channels, Choice, Fixed, Range
from gendata.render.factor_files import FileSet
from gendata.render.factor_table import FACTORS, MATERIALS
from gendata.render.factors import load_factors
from gendata.render.parameters import Camera, Light, Material

PAGE = Path(__file__).parents[2] / "docs" / "rendering.md"
ROW = re.compile(r"^\| `([\w.]+)` \| (.*?) \| (.*?) \| (.*?) \| (.*?) \|$", re.MULTILINE)


def one_line(law):
    """A distribution as it may be written on the command line."""
    if isinstance(law, Fixed):
        return "none" if law.value is None else plain(law.value)
    if isinstance(law, Range):
        bounds = law.low, law.high
        return (
            "{:.4g}..{:.4g}".format(*bounds) if law.kind == "uniform" else call(law.kind, bounds)
        )
    if isinstance(law, Choice):
        return ", ".join(map(plain, law.values))
    if isinstance(law, Channels):
        return f"{law.model}({', '.join(map(one_line, law.parts))})"
    assert isinstance(law, FileSet), law
    return ", ".join(law.written) or "none"


def call(name, numbers):
    return f"{name}({', '.join(map(plain, numbers))})"


def plain(value):
    if isinstance(value, tuple):
        return f"[{', '.join(map(plain, value))}]"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def allowed(values):
    if values.kind in ("word", "colour", "files"):
        return {"colour": "a colour", "files": "files"}.get(
            values.kind, ", ".join(f"`{word}`" for word in values.words)
        )
    bounds = f"{values.low:g} to {values.high:g}"
    if values.above:
        bounds = f"above {values.low:g}" + ("" if values.high >= 1000 else f", to {values.high:g}")
    elif math.isinf(values.high) or values.high > 10**9:
        bounds = f"from {values.low:g}"
    elif values.low == -1000:
        bounds = "any"
    return ("whole, " * (values.kind == "whole")) + bounds + (", or none" * values.optional)


def test_the_documentation_has_the_factors_as_they_are():
    fixed, random = load_factors("fixed"), load_factors("s2rda")
    expected = []
    for name, factor in FACTORS.items():
        unit = f" ({factor.unit})" if factor.unit else ""
        default, drawn = one_line(fixed.laws[name]), one_line(random.laws[name])
        other = "" if drawn == default else f"`{drawn}`"
        row = (name, factor.meaning + unit, allowed(factor.values), f"`{default}`", other)
        expected.append("| `{}` | {} | {} | {} | {} |".format(*row))
    found = [match[0] for match in ROW.finditer(PAGE.read_text(encoding="utf-8"))]
    assert found == expected


@pytest.mark.parametrize("kind", MATERIALS)
def test_every_surface_has_its_values(kind):
    names = {name for name in FACTORS if name.startswith(f"material.{kind}.")}
    assert {f"material.{kind}.{each}" for each in ("colour", "roughness", "scale")} <= names


def test_no_factor_is_a_group_of_others():
    for name in FACTORS:
        assert not any(other.startswith(f"{name}.") for other in FACTORS)


def test_words_and_parameters_know_the_same_kinds():
    assert Material().kind in FACTORS["material.kind"].values.words
    assert Light().kind in FACTORS["light.kind"].values.words
    assert Camera().aperture is FACTORS["camera.aperture"].default
