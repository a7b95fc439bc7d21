"""Rows of images of which each varies one factor."""

from dataclasses import asdict

import numpy as np
import pytest
import torch

from gendata.errors import GendataError
from gendata.render.draw_parameters import draw_parameters
from gendata.render.factor_table import FACTORS
from gendata.render.factors import load_factors
from gendata.render.sheet import ALL, factor_rows, vary
from gendata.types import Described

CHANGES = {
    "object.rotation.z": "0..360",
    "camera.focal_length": "40..60",
    "distractor.count": "1..3",
    "background.kind": "none,environment",
}
SEEDS = [11, 12, 13, 14]
ROWS = {  # factor: what it may change in the parameters
    "object": "object.object",
    "object.scale": ("object.scale", "distractors"),  # they keep off the object
    "object.rotation": "object.rotation",
    "material.kind": "object.material",
    "material.{}.colour": "object.material.colour",
    "material.{}.roughness": "object.material.roughness",
    "material.{}.scale": "object.material.scale",
    "material.offset": "object.material.offset",
    **{f"light.{each}": "lights" for each in ("elevation", "azimuth", "radius")},
    "environment.files": "environment.file",
    "environment.strength": "environment.strength",
    "environment.turn": "environment.turn",
    **{f"camera.{each}": "camera.position" for each in ("elevation", "azimuth", "radius")},
    "camera.roll": "camera.roll",
    "camera.focal_length": "camera.focal_length",
    "background.kind": "background",
    "distractor.object": "distractors",
    **{
        f"distractor.{each}": "distractors"
        for each in ("count", "scale", "elevation", "azimuth", "radius", "rotation")
    },
}


def drawing(preset="s2rda", **more):
    factors = load_factors(preset, overrides={**(CHANGES if preset == "s2rda" else {}), **more})
    objects, others = ["car/a", "car/b", "car/c"], ["bus/x", "bus/y"]

    def draw(seed, seeds):
        return draw_parameters(factors, objects, others, seed, 10, seeds)

    return draw


def render(reasons=None, asked=None):
    """Paints every image in a colour of its parameters; some it cannot."""

    def paint(wanted):
        if asked is not None:
            asked.append(list(wanted))
        values = [hash(each.to_json()) % 2**24 for each in wanted]
        colours = torch.tensor([[v >> 16, v >> 8 & 255, v & 255] for v in values])
        images = colours.to(torch.uint8)[:, :, None, None].expand(-1, -1, 8, 8)
        unusable = {row: "mesh" for row, each in enumerate(wanted) if reasons and reasons(each)}
        return Described(images, None, unusable)

    return paint


def leaves(value, path=""):
    """Every number and word of nested values, by its place."""
    if isinstance(value, dict):
        return {k: v for name in value for k, v in leaves(value[name], f"{path}.{name}").items()}
    return {path[1:]: value}


def test_a_row_differs_in_its_factor_alone():
    rows = vary(drawing(), range(11, 31))
    surface = rows[ALL][0].object.material.kind
    assert list(rows) == [ALL, *(name.format(surface) for name in ROWS)]
    first = leaves(asdict(rows[ALL][0]))
    for name, allowed in ROWS.items():
        row = rows[name.format(surface)]
        assert row[0] == rows[ALL][0] and len(set(row)) > 1
        for other, free in zip(row, rows[ALL], strict=True):
            found = leaves(asdict(other))
            differing = {
                key for key in first if first[key] != found.get(key)
            } | found.keys() - first
            assert all(key.startswith(allowed) for key in differing), (name, differing)
            if allowed == "object.material":  # the kinds share all but their factors
                assert other.object.material.kind == free.object.material.kind
            elif name in ("object.rotation", "camera.roll", "environment.file"):
                assert all(found[key] == leaves(asdict(free))[key] for key in differing)


def law_of(values):
    """Some distribution of more than one value."""
    if values.kind == "word":
        return ",".join(word for word in values.words if word != "none")
    if values.kind == "number":
        return "1..2" if (values.low or 0) >= 1 else "0.5..0.9"
    return {"colour": "rgb(0..1)", "whole": "0..1"}[values.kind]


@pytest.mark.parametrize("name", FACTORS)
def test_every_factor_that_varies_has_a_row(name, tmp_path):
    for number in range(3):
        (tmp_path / f"{number}.png").touch()
    group, _, rest = name.partition(".")
    surface, dot, _ = rest.partition(".")
    needed = {
        "material.kind": surface
        if group == "material" and dot and surface != "offset"
        else "metal",
        "material.texture.files": str(tmp_path),
        "environment.kind": "map",
        "background.kind": "colour" if rest == "colour" else "photo",
        "distractor.count": 2,
    }
    law = needed[name] if name == "material.texture.files" else "blender"
    if FACTORS[name].values.kind != "files":
        law = law_of(FACTORS[name].values)
    found = vary(drawing("fixed", **{**needed, name: law}), range(20))
    assert (name[:-2] if name[-2:] in (".x", ".y", ".z") else name) in found


def test_distractors_keep_off_the_object():
    rows = vary(drawing(), range(40))
    for name in ("distractor.radius", "distractor.scale", "object.scale"):
        for each in rows[name]:
            for other in each.distractors:
                distance = np.linalg.norm(other.location)
                assert distance >= (each.object.scale + other.scale) / 2 - 1e-6


def test_what_does_not_vary_has_no_row():
    found = factor_rows(drawing("fixed"), render(), SEEDS)
    assert [row.name for row in found] == [ALL, "object"]


def test_each_image_is_rendered_once_and_stands_in_its_place():
    asked = []
    draw = drawing()
    found = factor_rows(draw, render(asked=asked), SEEDS)
    rendered = [each for batch in asked for each in batch]
    assert len(rendered) == len(set(rendered))
    varied = vary(draw, SEEDS)
    for row in found:
        for picture, parameters in zip(row.pictures, varied[row.name], strict=True):
            expected = render()([parameters]).images[0].permute(1, 2, 0).numpy()
            assert (picture == expected).all()


def test_unusable_images_say_why_and_never_come_first():
    draw = drawing()
    bad = draw(SEEDS[0], {}).object.object
    rows = factor_rows(draw, render(lambda each: each.object.object == bad), SEEDS)
    words = [each for row in rows for each in row.pictures if isinstance(each, str)]
    assert set(words) == {"mesh"} and not any(isinstance(row.pictures[0], str) for row in rows)
    with pytest.raises(GendataError, match="none of 4 images"):
        factor_rows(draw, render(lambda each: True), SEEDS)
