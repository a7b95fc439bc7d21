"""Factors do to pixels what they say: the same seeds, with one factor at another value."""

import numpy as np
import pytest

from gendata.render.draw_parameters import draw_parameters
from gendata.render.factors import load_factors

pytestmark = pytest.mark.blender

SEEDS = range(4)
FREE = load_factors(
    "s2rda",
    # Levels are compared, so the light from around is the same on all sides.
    overrides={
        "environment": {"kind": "colour", "strength": 0.05},
        "material.kind": "plastic",
        "light.power": 400,
    },
)
FRONT = {"camera": {"azimuth": 270, "elevation": 0, "roll": 0}, "light.elevation": 20}
BAR = "bar: "  # a long box instead of the ball
VARIANTS = {
    "free": {},
    "small": {"object.scale": 1},
    "large": {"object.scale": 2},
    "near": {"camera.radius": 1.8},
    "far": {"camera.radius": 3.6},
    "wide": {"camera.focal_length": 25},
    f"{BAR}level": {"camera.roll": 0},
    f"{BAR}turned": {"camera.roll": 90},
    f"{BAR}along x": {**FRONT, "object.rotation.z": 0},
    f"{BAR}along y": {**FRONT, "object.rotation.z": 90},
    f"{BAR}upright": {**FRONT, "object.rotation.y": 90},
    "from the right": {**FRONT, "light.azimuth": 0},
    "from the left": {**FRONT, "light.azimuth": 180},
    "double": {"light.power": 800, "environment.strength": 0.1},
    "two lamps": {"light.count": 2},
    "red": {"light.colour": "red"},
    "no background": {"background.kind": "none"},
    "beside": {**FRONT, "camera.look_at": {"x": 0.2, "z": 0.3}},
    "crowded": {"distractor.count": 6, "distractor.scale": 0.4},
}


@pytest.fixture(scope="module")
def images(render):
    scenes = {}
    for name, changes in VARIANTS.items():
        factors = FREE.replace(changes)
        for seed in SEEDS:
            shape = "bar" if name.startswith(BAR) else "sphere"
            scenes[f"{name} {seed}"] = draw_parameters(factors, [shape], ["cube"], seed)
    found = render(scenes, resolution=48)
    return {name: [found[f"{name} {seed}"] for seed in SEEDS] for name in VARIANTS}


def areas(images):
    return np.array([image.mask.mean() for image in images])


def brightness(image):
    return image.colour[..., :3][image.mask].mean()


def test_every_object_is_seen_and_few_pixels_are_clipped(images):
    assert areas(images["free"]).min() > 0.03
    levels = [brightness(image) for image in images["free"]]
    assert 0.02 < min(levels) and max(levels) < 1
    clipped = [(image.colour[..., :3] > 1).any(axis=-1).mean() for image in images["free"]]
    assert np.mean(clipped) < 0.05


def test_twice_the_scale_is_four_times_the_area_or_more(images):
    ratio = areas(images["large"]) / areas(images["small"])
    assert (ratio > 3.5).all() and (ratio < 6.5).all()


def test_twice_the_distance_is_a_quarter_of_the_area_or_less(images):
    ratio = areas(images["near"]) / areas(images["far"])
    assert (ratio > 3.5).all() and (ratio < 6.5).all()


def test_half_the_focal_length_is_a_quarter_of_the_area(images):
    ratio = areas(images["free"]) / areas(images["wide"])
    assert ratio == pytest.approx(np.full(len(SEEDS), 4), rel=0.15)


def test_light_comes_from_where_it_is(images):
    for side, half in (("from the left", slice(None, 24)), ("from the right", slice(24, None))):
        for image in images[side]:
            grey = image.colour[..., :3].mean(axis=-1) * image.mask
            assert grey[:, half].sum() > 1.3 * grey.sum() / 2


def test_twice_the_power_is_twice_the_light(images):
    for one, two in zip(images["free"], images["double"], strict=True):
        assert brightness(two) == pytest.approx(2 * brightness(one), rel=0.05)


def test_a_second_lamp_only_adds(images):
    for one, two in zip(images["free"], images["two lamps"], strict=True):
        assert brightness(two) > brightness(one)
        assert (one.mask == two.mask).all()


def test_a_red_lamp_leaves_less_green_and_blue(images):
    for white, red in zip(images["free"], images["red"], strict=True):
        before, after = (each.colour[..., :3][each.mask].mean(axis=0) for each in (white, red))
        assert (after[1:] < 0.8 * before[1:]).all()
        assert after[0] == pytest.approx(before[0], rel=0.05)


def test_without_a_background_the_object_is_the_same_and_the_rest_is_empty(images):
    for image in images["free"]:
        assert (image.colour[..., 3] == 1).all()
    for before, image in zip(images["free"], images["no background"], strict=True):
        assert (image.mask == before.mask).all()
        edge = image.colour[0, :, 3]
        assert edge.mean() < 0.5
        assert image.colour[..., 3][image.mask].mean() > 0.95
        inside = image.mask & (image.colour[..., 3] == 1)
        one, other = (each.colour[..., :3][inside].mean() for each in (before, image))
        assert one == pytest.approx(other, rel=0.1)


def test_rolling_turns_the_image(images):
    for level, turned in zip(images[f"{BAR}level"], images[f"{BAR}turned"], strict=True):
        assert (np.rot90(level.mask) != turned.mask).mean() < 0.02
        assert (np.rot90(level.mask, -1) != level.mask).mean() > 0.02  # the bar is no square


def spread(image):
    """Width and height of a mask."""
    rows, columns = np.nonzero(image.mask)
    return np.ptp(columns) + 1, np.ptp(rows) + 1


def test_rotations_turn_the_object(images):
    for place in range(len(SEEDS)):
        along, across, upright = (
            spread(images[f"{BAR}{name}"][place]) for name in ("along x", "along y", "upright")
        )
        assert along[0] > 3 * along[1]
        assert upright[1] > 3 * upright[0]
        assert 0.7 < across[0] / across[1] < 1.4


def test_looking_above_and_right_of_the_object_moves_it_down_and_left(images):
    for straight, beside in zip(images["from the left"], images["beside"], strict=True):
        assert straight.centre == pytest.approx((24, 24), abs=1e-3)
        assert beside.centre[0] < 23 and beside.centre[1] > 25


def test_distractors_hide_some_of_the_object_and_never_add_to_it(images):
    free, crowded = areas(images["free"]), areas(images["crowded"])
    assert (crowded <= free).all()
    assert crowded.sum() > 0.3 * free.sum()
