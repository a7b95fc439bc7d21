"""Rows of images of which each varies one group of factors."""

from dataclasses import asdict

import numpy as np
import pytest
import torch

from gendata.errors import GendataError
from gendata.render.draw_parameters import draw_parameters
from gendata.render.factors import load_factors
from gendata.render.sheet import ALL, GROUPS, factor_rows, vary
from gendata.types import Described

CHANGES = {
    "object.rotation.z": "0..360",
    "camera.focal_length": "40..60",
    "distractor.count": "1..3",
    "background.kind": "none,environment",
}
SEEDS = [11, 12, 13, 14]


def draw(factors, seed):
    return draw_parameters(factors, ["car/a", "car/b", "car/c"], ["bus/x", "bus/y"], seed)


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


def test_a_row_differs_in_its_group_alone():
    rows = vary(draw, load_factors("s2rda", overrides=CHANGES), SEEDS)
    first = leaves(asdict(rows[ALL][0]))
    assert list(rows) == [ALL, *GROUPS]
    for name, paths in GROUPS.items():
        assert rows[name][0] == rows[ALL][0]
        allowed = ("object.scale", "distractors") if name == "object.scale" else tuple(paths)
        changed = set()
        for place, other in enumerate(rows[name][1:], start=1):
            found = leaves(asdict(other))
            differing = {
                key for key in first.keys() | found.keys() if first.get(key) != found.get(key)
            }
            assert all(key.startswith(allowed) for key in differing), (name, differing)
            changed |= differing
            if name != "distractor" and name != "object.scale":
                free = leaves(asdict(rows[ALL][place]))
                assert all(found[key] == free[key] for key in found if key.startswith(allowed))
        assert changed


def test_distractors_keep_off_the_object():
    factors = load_factors("s2rda", overrides=CHANGES)
    rows = vary(draw, factors, range(40))
    for name in ("distractor", "object.scale"):
        for each in rows[name]:
            for other in each.distractors:
                distance = np.linalg.norm(other.location)
                assert distance >= (each.object.scale + other.scale) / 2 - 1e-6


def test_what_does_not_vary_has_no_row():
    found = factor_rows(draw, render(), load_factors("fixed"), SEEDS)
    assert [row.name for row in found.rows] == [ALL, "object"]
    assert set(found.fixed) == GROUPS.keys() - {"object"}


def test_each_image_is_rendered_once_and_stands_in_its_place():
    asked = []
    factors = load_factors("s2rda", overrides=CHANGES)
    found = factor_rows(draw, render(asked=asked), factors, SEEDS)
    rendered = [each for batch in asked for each in batch]
    assert len(rendered) == len(set(rendered)) <= len(SEEDS) + len(GROUPS) * (len(SEEDS) - 1)
    varied = vary(draw, factors, SEEDS)
    for row in found.rows:
        for picture, parameters in zip(row.pictures, varied[row.name], strict=True):
            expected = render()([parameters]).images[0].permute(1, 2, 0).numpy()
            assert (picture == expected).all()


def test_unusable_images_say_why_and_never_come_first():
    factors = load_factors("s2rda", overrides=CHANGES)
    bad = draw(factors, SEEDS[0]).object.object
    found = factor_rows(draw, render(lambda each: each.object.object == bad), factors, SEEDS)
    words = [each for row in found.rows for each in row.pictures if isinstance(each, str)]
    assert set(words) == {"mesh"} and not any(isinstance(r.pictures[0], str) for r in found.rows)
    with pytest.raises(GendataError, match="none of 4 images"):
        factor_rows(draw, render(lambda each: True), factors, SEEDS)
