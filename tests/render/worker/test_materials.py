"""Surfaces: that kinds differ, what each value does, and that a mesh's own materials stay."""

import dataclasses
import itertools

import numpy as np
import pytest
from PIL import Image

from gendata.render.parameters import Camera, Environment, Light, Material, Parameters, Placed

pytestmark = pytest.mark.blender

WHITE = 0.8  # of shapes.py
FRONT = Camera((0.0, -2.0, 0.0))
LAMP = Light("point", (-0.6, -1.2, 0.8), power=30.0)
KINDS = ("metal", "plastic", "fingerprints", "moss")
QUARTERS = np.array([[(255, 0, 0), (0, 255, 0)], [(0, 0, 255), (255, 255, 255)]], dtype=np.uint8)
EVEN = Environment()


def shown(shape, material, scale=1.0, **others):
    given = {"lights": (LAMP,), "environment": Environment(strength=0.3), **others}
    return Parameters(Placed(shape, scale, material=material), FRONT, **given)


def even(shape, material, scale=1.0):
    return shown(shape, material, scale, lights=(), environment=EVEN)


@pytest.fixture(scope="module")
def texture(tmp_path_factory):
    path = tmp_path_factory.mktemp("texture") / "quarters.png"
    Image.fromarray(QUARTERS.repeat(16, axis=0).repeat(16, axis=1)).save(path)
    return str(path)


@pytest.fixture(scope="module")
def images(render, texture):
    red = Material("plastic", (0.8, 0.1, 0.1), 0.5)
    picture = Material("texture", (1.0, 1.0, 1.0), 1.0, texture=texture)
    scenes = {kind: shown("sphere", Material(kind, (0.3, 0.3, 0.6), 0.4)) for kind in KINDS}
    scenes |= {
        f"{kind} {name}": shown("sphere", Material(kind, (0.3, 0.3, 0.6), 0.4, **values))
        for kind in KINDS
        for name, values in (("scaled", {"scale": 2.0}), ("shifted", {"offset": (0.3, 1.1, 0.7)}))
    }
    scenes |= {
        "own": shown("halves", Material()),
        "covered": shown("halves", red),
        "own again": shown("halves", Material()),
        "red": shown("sphere", red),
        "blue": shown("sphere", dataclasses.replace(red, colour=(0.1, 0.1, 0.8))),
        "smooth": shown("sphere", Material("metal", roughness=0.15), environment=None),
        "rough": shown("sphere", Material("metal", roughness=0.85), environment=None),
        "picture": even("picture", picture),
        "tinted": even("picture", dataclasses.replace(picture, colour=(1.0, 0.5, 0.0))),
        "repeated": even("picture", dataclasses.replace(picture, scale=0.5)),
        "palette": even("palette", picture),
        "palette larger": even("palette", dataclasses.replace(picture, scale=2.0)),
        "no coordinates": even("cube", picture),
        "grown": shown("sphere", Material("moss"), 0.5),
    }
    return render(scenes, samples=32)


def pixels(image):
    return image.colour[image.mask][:, :3]


def test_kinds_differ(images):
    for one, other in itertools.combinations(KINDS, 2):
        first, second = pixels(images[one]), pixels(images[other])
        assert np.abs(first - second).mean() > 0.08 * first.mean(), (one, other)


@pytest.mark.parametrize("kind", KINDS)
def test_scale_and_offset_change_the_pattern_and_not_the_shape(images, kind):
    for change in ("scaled", "shifted"):
        image = images[f"{kind} {change}"]
        np.testing.assert_array_equal(image.mask, images[kind].mask)
        assert np.abs(pixels(image) - pixels(images[kind])).mean() > 0.002


def test_patterns_grow_with_the_object(images):
    assert images["grown"].mask.sum() == pytest.approx(images["moss"].mask.sum() / 4, rel=0.06)


def test_a_mesh_keeps_its_own_materials(images):
    for name in ("own", "own again"):
        colour = images[name].colour[..., :3]
        left, right = (
            colour[25:39, 24:31].mean(axis=(0, 1)),
            colour[25:39, 33:40].mean(axis=(0, 1)),
        )
        assert left[0] > 0.05 and left[0] > 20 * left[1]
        assert right[1] > 0.05 and right[1] > 20 * right[0]
    np.testing.assert_array_equal(images["own"].colour, images["own again"].colour)


def test_another_material_covers_all_of_a_mesh(images):
    colour = images["covered"].colour[..., :3]
    for half in (colour[25:39, 24:31], colour[25:39, 33:40]):
        red, green, blue = half.mean(axis=(0, 1))
        assert red > 1.5 * green and green == pytest.approx(blue, rel=0.05)


def test_the_colour_is_the_surface_s(images):
    red, blue = pixels(images["red"]).mean(axis=0), pixels(images["blue"]).mean(axis=0)
    assert red[0] > 2 * red[2] and blue[2] > 2 * blue[0]


def test_rough_metal_has_no_bright_reflections(images):
    assert pixels(images["smooth"]).max() > 5 * pixels(images["rough"]).max()


def quarters(image):
    """Mean colours of the mask's upper left, upper right, lower left and lower right."""
    y, x = np.nonzero(image.mask)
    box = image.colour[y.min() : y.max() + 1, x.min() : x.max() + 1, :3]
    height, width = box.shape[0] // 2, box.shape[1] // 2
    parts = (box[:height, :width], box[:height, -width:], box[-height:, :width])
    return [part[3:-3, 3:-3].mean(axis=(0, 1)) for part in (*parts, box[-height:, -width:])]


def test_a_picture_lies_on_a_mesh_by_its_coordinates(images):
    upper_left, upper_right, lower_left, lower_right = quarters(images["picture"])
    assert upper_left.argmax() == 0 and upper_left[0] > 5 * upper_left[1]
    assert upper_right.argmax() == 1 and upper_right[1] > 5 * upper_right[2]
    assert lower_left.argmax() == 2 and lower_left[2] > 5 * lower_left[0]
    assert lower_right.min() > 0.6


def test_the_colour_tints_a_picture(images):
    white = quarters(images["picture"])[3]
    red, green, blue = quarters(images["tinted"])[3]
    assert red == pytest.approx(white[0], rel=0.05)
    assert 0.4 * red < green < 0.65 * red
    assert blue < 0.15 * red  # what the surface itself reflects


def test_a_smaller_picture_is_repeated(images):
    assert all(part.std() < 0.15 * part.mean() for part in quarters(images["repeated"]))


@pytest.mark.parametrize("name", ["palette", "no coordinates"])
def test_meshes_without_useful_coordinates_are_wrapped(images, name):
    colours = pixels(images[name])
    for channel in range(3):
        others = np.delete(colours, channel, axis=1).max(axis=1)
        assert (colours[:, channel] > 2 * others).mean() > 0.05  # each of the quarters is seen


def test_a_texture_without_a_picture_is_a_mistake(in_blender):
    code = """
import bpy
from gendata.errors import GendataError
from gendata.render.parameters import Material
from gendata.render.worker.materials import Materials
from gendata.render.worker.pictures import Pictures
mesh = bpy.data.meshes.new("triangle")
mesh.from_pydata([(0, 0, 0), (1, 0, 0), (0, 1, 0)], [], [(0, 1, 2)])
placed = bpy.data.objects.new("triangle", mesh)
for kind in ("texture", "gold"):
    try:
        Materials().set(placed, Material(kind), Pictures(1))
    except GendataError as error:
        found[kind] = str(error)
"""
    found = in_blender(code)
    assert "names no picture" in found["texture"]
    assert "found gold; expected own, metal, plastic" in found["gold"]
