"""Light from all around: its strength, where a picture's parts are, and how it turns."""

import dataclasses

import numpy as np
import pytest
from PIL import Image

from gendata.render.parameters import Background, Camera, Environment, Parameters, Placed

pytestmark = pytest.mark.blender

WHITE = 0.8  # of shapes.py
FRONT = Camera((0.0, -2.0, 0.0))
SEEN = Background("environment")
COLOUR = (0.9, 0.5, 0.2)
QUARTERS = ((255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255))


@pytest.fixture(scope="module")
def picture(tmp_path_factory):
    """Four quarters from left to right, darker below the horizon."""
    pixels = np.repeat(np.array(QUARTERS, dtype=np.uint8)[None], 32, axis=0).repeat(16, axis=1)
    pixels[16:] //= 2
    path = tmp_path_factory.mktemp("environment") / "quarters.png"
    Image.fromarray(pixels).save(path)
    return str(path)


@pytest.fixture(scope="module")
def images(render, picture):
    plain = Environment(colour=COLOUR, strength=0.5)
    quarters = Environment(picture)
    ball = Parameters(Placed("sphere"), FRONT)
    bar = Placed("bar", rotation=(0.0, 20.0, 10.0))

    def looking(x, y, environment=quarters):
        camera = Camera((0.0, 0.0, 0.0), (x, y, 0.02), focal_length=100.0)
        away = Placed("sphere", 0.1, location=(-5.0 * x, -5.0 * y, 0.0))
        return Parameters(away, camera, environment=environment, background=SEEN)

    def around(camera, turn, rotation):
        turned = dataclasses.replace(bar, rotation=(0.0, 20.0, rotation))
        environment = dataclasses.replace(quarters, turn=turn)
        return Parameters(turned, camera, environment=environment, background=SEEN)

    scenes = {
        "plain": dataclasses.replace(ball, environment=plain),
        "plain seen": dataclasses.replace(ball, environment=plain, background=SEEN),
        "picture unseen": dataclasses.replace(ball, environment=quarters),
        "none": ball,
        "none seen": dataclasses.replace(ball, background=SEEN),
        "+x": looking(1, 0),
        "+y": looking(0, 1),
        "tinted": looking(1, -1, dataclasses.replace(quarters, colour=(0.5, 0.25, 1.0))),
        "strong": looking(1, -1, dataclasses.replace(quarters, strength=3.0)),
        "once": looking(1, -1),
        "turned": looking(1, -1, dataclasses.replace(quarters, turn=90.0)),
        "still": around(FRONT, 0.0, 10.0),
        "environment turned": around(FRONT, 35.0, 10.0),
        "scene turned": around(
            Camera((2.0 * np.sin(np.radians(-35.0)), -2.0 * np.cos(np.radians(-35.0)), 0.0)),
            0.0,
            -25.0,
        ),
    }
    return render(scenes, samples=64)


def test_a_matt_ball_in_even_light_shows_its_albedo(images):
    image = images["plain"]
    inner = image.colour[28:36, 28:36, :3].mean(axis=(0, 1))
    np.testing.assert_allclose(inner, 0.5 * WHITE * np.array(COLOUR), rtol=0.02)


def test_the_environment_is_seen_as_a_background_only(images):
    seen, unseen = images["plain seen"].colour, images["plain"].colour
    np.testing.assert_allclose(seen[0, 0], (*(0.5 * np.array(COLOUR)), 1.0), rtol=1e-5)
    assert (unseen[0, 0] == 0).all() and (images["picture unseen"].colour[0, 0] == 0).all()
    assert (seen[..., 3] == 1).all()
    np.testing.assert_array_equal(images["plain seen"].mask, images["plain"].mask)


def test_no_environment_is_dark(images):
    assert images["none"].colour[..., :3].max() == 0
    assert images["none seen"].colour[..., :3].max() == 0  # after others that were not
    assert (images["none seen"].colour[..., 3] == 1).all()


def hue(image):
    mean = image.colour[4:28, :, :3].mean(axis=(0, 1))  # above the horizon
    return mean / mean.max()


def test_the_middle_of_the_picture_lies_towards_x(images):
    # From left to right a picture shows -x, +y, +x, -y, -x: clockwise, seen from above.
    for name, left, right in (("+x", (0, 1, 0), (0, 0, 1)), ("+y", (1, 0, 0), (0, 1, 0))):
        top = images[name].colour[:24, :, :3]
        np.testing.assert_allclose(top[:, :28].mean(axis=(0, 1)), left, atol=0.1)
        np.testing.assert_allclose(top[:, 36:].mean(axis=(0, 1)), right, atol=0.1)
    assert images["+x"].colour[-8:, :, :3].max() < 0.3  # the lower half is darker


def test_tint_and_strength_multiply(images):
    once = images["once"].colour[..., :3]
    np.testing.assert_allclose(images["tinted"].colour[..., :3], once * (0.5, 0.25, 1), atol=1e-5)
    np.testing.assert_allclose(images["strong"].colour[..., :3], 3 * once, rtol=1e-4, atol=1e-5)


def test_turning_the_environment_is_turning_camera_and_object_back(images):
    still, environment, scene = (
        images[name].colour[..., :3] for name in ("still", "environment turned", "scene turned")
    )
    assert np.abs(still - environment).mean() > 0.1
    difference = np.abs(environment - scene)
    assert difference.mean() < 0.01
    np.testing.assert_array_equal(
        images["environment turned"].mask.sum(), images["still"].mask.sum()
    )


def test_a_quarter_turn_brings_the_next_quarter(images):
    # Between +x and -y is blue; turned counter-clockwise, seen from above, what was at -x and -y
    # comes to lie there: white.
    np.testing.assert_allclose(hue(images["once"]), (0, 0, 1), atol=0.02)
    np.testing.assert_allclose(hue(images["turned"]), (1, 1, 1), atol=0.02)


def test_pictures_that_cannot_be_read_are_named(in_blender, tmp_path):
    (tmp_path / "broken.hdr").write_bytes(b"no picture")
    code = """
from gendata.errors import GendataError
from gendata.render.worker.pictures import Pictures
pictures = Pictures(2)
for path in inputs["paths"]:
    try:
        pictures.open(path)
    except GendataError as error:
        found[path] = str(error)
"""
    paths = [str(tmp_path / "missing.hdr"), str(tmp_path / "broken.hdr")]
    found = in_blender(code, paths=paths)
    for path in paths:
        assert path in found[path] and "picture" in found[path]


def test_only_the_last_pictures_are_kept(in_blender, tmp_path):
    for number in range(4):
        Image.new("RGB", (4, 2), (number, 0, 0)).save(tmp_path / f"{number}.png")
    code = """
import bpy
from gendata.render.worker.pictures import Pictures
pictures = Pictures(2)
for number in (0, 1, 0, 2, 3, 0):
    pictures.open(f"{inputs['folder']}/{number}.png")
found["names"] = sorted(image.name for image in bpy.data.images if image.name[0] in "0123")
"""
    names = in_blender(code, folder=str(tmp_path))["names"]
    assert [name[0] for name in names] == ["0", "3"]
