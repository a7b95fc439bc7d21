"""Lamps on matt white objects, against the formulas of radiometry."""

import dataclasses

import numpy as np
import pytest

from gendata.render.parameters import Camera, Light, Parameters, Placed

pytestmark = pytest.mark.blender

WHITE = 0.8  # of shapes.py
FRONT = Camera((0.0, -2.0, 0.0))
LAMP = Light("point", (-0.5, -1.0, 0.6), power=30.0, size=0.01)
WALL = Parameters(Placed("wall"), FRONT)
BALL = Parameters(Placed("sphere"), FRONT)


def lit(scene, *lights):
    return dataclasses.replace(scene, lights=lights)


def changed(**values):
    return dataclasses.replace(LAMP, **values)


AHEAD = Light("point", (0.0, -1.5, 0.0), power=50.0, size=0.01)
AREA = Light("area", (0.0, -1.5, 0.0), power=50.0, size=0.01)
SCENES = {
    "left": lit(BALL, changed(position=(-1.0, -0.5, 0.0))),
    "right": lit(BALL, changed(position=(1.0, -0.5, 0.0))),
    "above": lit(BALL, changed(position=(0.0, -0.5, 1.0))),
    "one": lit(BALL, LAMP),
    "double": lit(BALL, changed(power=60.0)),
    "tinted": lit(BALL, changed(colour=(1.0, 0.5, 0.25))),
    "point on wall": lit(WALL, AHEAD),
    "area on wall": lit(WALL, AREA),
    "behind": lit(WALL, dataclasses.replace(AREA, position=(0.0, 1.5, 0.0))),
    "second": lit(BALL, changed(position=(1.0, -0.5, 0.2))),
    "both": lit(BALL, LAMP, changed(position=(1.0, -0.5, 0.2))),
    "dark": BALL,
    "hard": lit(
        dataclasses.replace(WALL, distractors=(Placed("cube", 0.5, location=(0, -0.5, 0)),)),
        changed(size=0.001, position=(-1.0, -2.0, 0.5)),
    ),
    "soft": lit(
        dataclasses.replace(WALL, distractors=(Placed("cube", 0.5, location=(0, -0.5, 0)),)),
        changed(size=0.6, position=(-1.0, -2.0, 0.5)),
    ),
}


@pytest.fixture(scope="module")
def images(render):
    # Without bounces only the lamps' own light is there.
    return render(SCENES, bounces=0, samples=32)


def light(image):
    return image.colour[..., :3].mean(axis=-1)


def test_a_lamp_brightens_its_side(images):
    left, right, above = (light(images[name]) for name in ("left", "right", "above"))
    assert left[:, :32].sum() > 4 * left[:, 32:].sum()
    assert right[:, 32:].sum() > 4 * right[:, :32].sum()
    assert above[:32].sum() > 4 * above[32:].sum()
    np.testing.assert_allclose(left.sum(), right.sum(), rtol=0.03)


def test_power_scales_the_light(images):
    np.testing.assert_allclose(
        images["double"].colour[..., :3], 2 * images["one"].colour[..., :3], rtol=1e-4, atol=1e-6
    )


def test_the_colour_of_a_lamp_tints(images):
    white, tinted = images["one"].colour, images["tinted"].colour
    np.testing.assert_allclose(
        tinted[..., :3], white[..., :3] * (1, 0.5, 0.25), rtol=1e-4, atol=1e-6
    )


@pytest.mark.parametrize(("name", "share"), [("point on wall", 1 / 4), ("area on wall", 1.0)])
def test_light_falls_off_by_the_formula(images, name, share):
    # A point shines evenly (P / 4 pi a steradian), a small area with the cosine (P / pi ahead).
    y, x = np.mgrid[:64, :64] + 0.5
    across = np.hypot(x - 32, y - 32) / 64 * 36 / 50 * 2.0
    distance = np.hypot(1.5, across)
    cosine = 1.5 / distance
    intensity = share * 50.0 / np.pi * (cosine if name.startswith("area") else 1.0)
    expected = WHITE / np.pi * intensity * cosine / distance**2
    np.testing.assert_allclose(light(images[name]), expected, rtol=0.03)


def test_an_area_lamp_shines_at_the_centre_only(images):
    assert light(images["behind"]).max() < 1e-3  # it lights the wall's back


def test_lamps_add_up_and_leave_nothing_behind(images):
    total = light(images["one"]) + light(images["second"])
    assert light(images["both"]).sum() == pytest.approx(total.sum(), rel=0.02)
    assert light(images["dark"]).max() == 0


def test_a_larger_lamp_casts_softer_shadows(images):
    def between(name):
        image = light(images[name])
        return ((image > 0.15 * image.max()) & (image < 0.35 * image.max())).sum()

    assert between("soft") > 1.5 * between("hard")


def test_mistakes_are_named(in_blender):
    code = """
import bpy
from gendata.errors import GendataError
from gendata.render.parameters import Light
from gendata.render.worker.lights import Lights
lights = Lights(bpy.context.scene)
for name, wanted in (("many", [Light()] * 9), ("kind", [Light("spot")])):
    try:
        lights.set(wanted)
    except GendataError as error:
        found[name] = str(error)
"""
    found = in_blender(code)
    assert "found 9; expected at most 8" in found["many"]
    assert "found spot; expected point or area" in found["kind"]
