"""Where things land in the image, against the pinhole formula; what is sharp, and how far."""

import dataclasses

import numpy as np
import pytest

from gendata.render.parameters import Camera, Environment, Parameters, Placed

pytestmark = pytest.mark.blender

SIZE = 64
RADIUS = 0.3  # of the sphere of shapes.py
SIDE = 3**-0.5
GREY = Environment(colour=(0.5, 0.5, 0.5))
TILTED = Camera((1.4, -1.9, 1.1), (0.15, -0.1, 0.05), roll=25.0, focal_length=40.0)
MOVED = Placed("sphere", 0.8, location=(-0.1, 0.2, 0.15))


def seen(placed, camera, **others):
    return Parameters(placed, camera, environment=GREY, **others)


def front(distance, **others):
    return Camera((0.0, -distance, 0.0), **others)


# A sphere in the middle left and another far behind on the right, in either's focus.
NEAR, FAR = Placed("sphere", location=(-0.35, 0, 0)), Placed("sphere", 3.0, location=(2.0, 5.0, 0))
SCENES = {
    "1 50": seen(Placed("cube"), front(2.5)),
    "1.5 50": seen(Placed("cube", 1.5), front(2.5)),
    "1 80": seen(Placed("cube"), front(2.5, focal_length=80.0)),
    "0.5 35": seen(Placed("cube", 0.5), front(1.2, focal_length=35.0)),
    "level": seen(Placed("bar"), front(2.2)),
    "rolled": seen(Placed("bar"), front(2.2, roll=30.0)),
    "turned": seen(Placed("bar", rotation=(0.0, -50.0, 0.0)), front(2.2)),
    "euler": seen(Placed("bar", rotation=(0.0, 90.0, 90.0)), front(2.2)),
    "down": seen(Placed("bar"), Camera((0.0, 0.0, 2.2))),
    "tilted": seen(MOVED, TILTED),
    "side": seen(Placed("sphere", location=(0.0, 0.3, 0.2)), Camera((3.0, 0.0, 0.0))),
    "wall": seen(Placed("wall"), front(1.75)),
    "sharp": seen(NEAR, front(2.0), distractors=(FAR,)),
    "near": seen(NEAR, front(2.0, aperture=0.2), distractors=(FAR,)),
    "far": seen(NEAR, front(2.0, aperture=0.2, focus=5.0), distractors=(FAR,)),
}


@pytest.fixture(scope="module")
def images(render):
    return render(SCENES, labels=("depth", "normal"))


def axes(camera):
    """Right, up and forward, by turning a level camera about its axis with Rodrigues' formula."""
    forward = np.subtract(camera.look_at, camera.position)
    forward = forward / np.linalg.norm(forward)
    right = np.array((forward[1], -forward[0], 0.0)) / np.hypot(*forward[:2])
    up = np.cross(right, forward)

    def turned(vector):
        angle = np.radians(camera.roll)  # clockwise, seen from behind the camera
        return vector * np.cos(angle) + np.cross(forward, vector) * np.sin(angle)

    return turned(right), turned(up), forward


def pinhole(camera, point):
    right, up, forward = axes(camera)
    offset = np.subtract(point, camera.position)
    scale = camera.focal_length / 36.0 * SIZE / (offset @ forward)
    return SIZE / 2 + scale * (offset @ right), SIZE / 2 - scale * (offset @ up)


@pytest.mark.parametrize(
    ("name", "scale", "focal", "distance"),
    [
        ("1 50", 1, 50, 2.5),
        ("1.5 50", 1.5, 50, 2.5),
        ("1 80", 1, 80, 2.5),
        ("0.5 35", 0.5, 35, 1.2),
    ],
)
def test_size_in_the_image(images, name, scale, focal, distance):
    nearest = distance - scale * SIDE / 2  # the front face hides the rest
    width = focal / 36 * SIZE * scale * SIDE / nearest
    covered = images[name].colour[..., 3].sum()
    assert np.sqrt(covered) == pytest.approx(width, abs=0.15)
    assert np.sqrt(images[name].mask.sum()) == pytest.approx(width, abs=1)


def principal_angle(mask):
    """Degrees of a mask's long axis, counter-clockwise from the right, between -90 and 90."""
    y, x = np.nonzero(mask)
    values, vectors = np.linalg.eigh(np.cov(x, -y))
    right, up = vectors[:, np.argmax(values)]
    return np.degrees(np.arctan(up / right)) if abs(right) > 1e-9 else 90.0


def test_the_roll_turns_the_image_counter_clockwise(images):
    assert principal_angle(images["level"].mask) == pytest.approx(0, abs=1)
    assert principal_angle(images["rolled"].mask) == pytest.approx(30, abs=1.5)


def test_rotations_are_applied_about_x_then_y_then_z(images):
    # About -y by 50 degrees, x turns towards z: seen from -y, counter-clockwise.
    assert principal_angle(images["turned"].mask) == pytest.approx(50, abs=1.5)
    # About y, x becomes -z, which the turn about z leaves alone; the other order would end on y.
    assert abs(principal_angle(images["euler"].mask)) == pytest.approx(90, abs=1)


def test_a_camera_straight_above_has_y_upwards(images):
    assert principal_angle(images["down"].mask) == pytest.approx(0, abs=1)


def test_the_centre_is_the_pinhole_projection(images):
    assert images["tilted"].centre == pytest.approx(pinhole(TILTED, MOVED.location), abs=1e-4)
    # Looking along -x, y is to the right.
    expected = (32 + 64 * 50 / 36 * 0.3 / 3, 32 - 64 * 50 / 36 * 0.2 / 3)
    assert images["side"].centre == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("name", ["tilted", "side"])
def test_the_mask_lies_around_the_centre(images, name):
    y, x = np.nonzero(images[name].mask)
    assert (x.mean() + 0.5, y.mean() + 0.5) == pytest.approx(images[name].centre, abs=0.4)


def sphere_hits(camera, middle, radius):
    """Depth and normal (right, up, towards the camera) where each pixel meets a sphere."""
    right, up, forward = axes(camera)
    steps = (np.arange(SIZE) + 0.5 - SIZE / 2) / SIZE * 36.0 / camera.focal_length
    rays = forward + steps[None, :, None] * right - steps[:, None, None] * up
    to = np.subtract(middle, camera.position)
    squared, along = (rays**2).sum(-1), rays @ to
    root = along**2 - squared * (to @ to - radius**2)
    depth = (along - np.sqrt(np.maximum(root, 0))) / squared
    normal = (depth[..., None] * rays - to) / radius
    inner = root > 0.3 * squared * radius**2  # not the edge, where half a pixel matters
    return depth, normal @ np.stack((right, up, -forward), axis=1), inner


def test_depth_of_a_wall_is_its_distance(images):
    np.testing.assert_allclose(images["wall"].depth, 1.75, atol=1e-4)


def test_depth_and_normals_of_a_sphere(images):
    depth, normal, inner = sphere_hits(TILTED, MOVED.location, 0.8 * RADIUS)
    assert inner.sum() > 50
    image = images["tilted"]
    np.testing.assert_allclose(image.depth[inner], depth[inner], atol=0.02)
    assert np.abs(image.depth - depth)[inner].mean() < 0.004
    np.testing.assert_allclose(image.normal[inner], normal[inner], atol=0.08)
    assert np.abs(image.normal - normal)[inner].mean() < 0.02


def away_from_edges(area):
    """Pixels that two pixels around are as they are: light paths of one pixel end in others."""
    padded = np.pad(area, 2, mode="edge")
    around = np.lib.stride_tricks.sliding_window_view(padded, (5, 5)).reshape(*area.shape, 25)
    return (around == area[..., None]).all(-1)


@pytest.mark.parametrize("name", ["sharp", "tilted", "1.5 50", "rolled"])
def test_mask_depth_and_normals_are_of_the_same_things(images, name):
    image, scene = images[name], SCENES[name]
    seen = np.isfinite(image.depth)
    sure = away_from_edges(image.mask) & away_from_edges(seen)
    assert (image.mask & sure).sum() > 40 and (~seen & sure).sum() > 1000
    assert seen[image.mask & sure].all()
    middle = np.linalg.norm(np.subtract(scene.object.location, scene.camera.position))
    distance = np.abs(image.depth[image.mask & sure] - middle)
    assert distance.max() <= scene.object.scale / 2, "no further off than its ball"
    others = seen & ~image.mask & sure
    assert others.any() == bool(scene.distractors)
    assert (image.depth[others] > middle + scene.object.scale / 2).all(), "the ball behind it"
    length = np.linalg.norm(image.normal, axis=-1)
    np.testing.assert_allclose(length[sure], seen[sure], atol=1e-5)


def test_nothing_is_infinitely_far(images):
    image = images["tilted"]
    assert np.isinf(image.depth[~image.mask]).mean() > 0.95  # but an edge's pixel shows both
    assert np.isfinite(image.depth[image.mask]).mean() > 0.95
    assert (image.normal[0, 0] == 0).all()
    length = np.linalg.norm(image.normal[image.mask], axis=-1)
    np.testing.assert_allclose(length, 1, atol=1e-5)


def test_depth_of_field_blurs_what_is_out_of_focus(images):
    def half_covered(name, half):
        alpha = images[name].colour[:, half, 3]
        return ((alpha > 0.05) & (alpha < 0.95)).sum()

    left, right = slice(0, SIZE // 2), slice(SIZE // 2, SIZE)
    assert half_covered("near", right) > 2.5 * half_covered("sharp", right)
    assert half_covered("near", left) < 1.6 * half_covered("sharp", left)
    assert half_covered("far", left) > 2.5 * half_covered("sharp", left)
    assert half_covered("far", right) < 1.6 * half_covered("sharp", right)


def test_a_point_behind_the_camera_lands_nowhere(in_blender):
    camera = dataclasses.asdict(front(2.0))
    code = """
from gendata.render.parameters import Camera
from gendata.render.worker.camera import orientation, project
from gendata.errors import GendataError
camera = Camera(**inputs["camera"])
found["behind"] = bool(np.isnan(project(camera, (0, -3, 0), 64)).all())
try:
    orientation(Camera((1, 1, 1), (1, 1, 1)))
except GendataError as error:
    found["error"] = str(error)
"""
    found = in_blender(code, camera=camera)
    assert found["behind"]
    assert "stands where it looks" in found["error"]
