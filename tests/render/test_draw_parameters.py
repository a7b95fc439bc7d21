"""Parameters of images: by their seed alone, one stream a factor, and as the factors say."""

import dataclasses

import numpy as np
import pytest
from scipy import stats

from gendata.errors import GendataError
from gendata.render import draw_parameters as module
from gendata.render.draw_parameters import draw_parameters
from gendata.render.factors import load_factors
from gendata.render.parameters import Material, Parameters
from gendata.render.presets import fixings
from gendata.render.shell import shell_coordinates

CARS = ("car/a", "car/b", "car/c")
OTHERS = ("bus/a", "bus/b", "plant/a", "plant/b")
SENSOR = 36.0
EVERYTHING = {
    "object.rotation.x": "-180..180",
    "object.rotation.y": "uniform_area(-90, 90)",
    "object.rotation.z": "-180..180",
    "material.kind": "own,metal,plastic:2",
    "light.count": "1..3",
    "light.kind": "point,area",
    "light.colour": "hsv(0..360, 0..0.5, 1)",
    "light.power": "log_uniform(100, 1000)",
    "light.size": "0.1..1",
    "camera.look_at.x": "-0.2..0.2",
    "camera.look_at.y": "-0.2..0.2",
    "camera.look_at.z": "-0.2..0.2",
    "camera.focal_length": "normal(50, 10, 35, 85)",
    "camera.aperture": "none,0.2",
    "background.kind": "none,colour,photo,environment",
    "background.colour": "rgb(0..1)",
    "distractor.count": "0..3",
    "distractor.material": "drawn",
}


def draw(factors, seed, photos=100):
    return draw_parameters(factors, CARS, OTHERS, seed, photos)


@pytest.fixture(scope="module")
def everything():
    return load_factors("s2rda", overrides=EVERYTHING)


@pytest.fixture(scope="module")
def many(everything):
    return [draw(everything, seed) for seed in range(1200)]


def values_of(parameters):
    """Every value of an image, by where it stands."""

    def walk(name, value):
        if isinstance(value, dict):
            for key, each in value.items():
                yield from walk(f"{name}.{key}", each)
        elif isinstance(value, list | tuple):
            for place, each in enumerate(value):
                yield from walk(f"{name}.{place}", each)
        else:
            yield name, value

    return dict(walk("", dataclasses.asdict(parameters)))


def changed(before, after):
    one, other = values_of(before), values_of(after)
    return {name for name in one | other if one.get(name) != other.get(name)}


def test_a_seed_always_gives_the_same(everything):
    forwards = [draw(everything, seed) for seed in range(20)]
    backwards = [draw(everything, seed) for seed in reversed(range(20))]
    assert forwards == backwards[::-1]
    assert len({each.to_json() for each in forwards}) == 20
    assert all(Parameters.from_json(each.to_json()) == each for each in forwards)


def test_values_are_these_on_every_machine():
    """Written down once: another process, numpy or machine must draw the same."""
    ranges = {"object.scale": "1..2", "camera": {"elevation": "5..89", "azimuth": "0..360"}}
    colour = {"light.colour": "hsv(0..360, 0.5, 1)", "camera.focal_length": "normal(50, 9, 1, 99)"}
    factors = load_factors("fixed", overrides={**ranges, **colour})
    parameters = draw_parameters(factors, CARS, (), 2**62 + 3)
    assert parameters.object.object == "car/b"
    assert parameters.object.scale == 1.74323484
    assert parameters.camera.position == (-0.5722986759, -1.308178393, 2.350243289)
    assert parameters.camera.focal_length == 47.20260418
    assert parameters.lights[0].colour == (0.5, 1.0, 0.6472861546)
    assert parameters.seed == 1920861250


# Fixing one factor may change these values and no others.
TOUCHES = {
    "object.scale": (".object.scale", ".distractors."),  # they keep their distance from it
    "object.rotation.y": (".object.rotation.1",),
    "material.kind": (".object.material", ".distractors."),
    "light.count": (".lights",),
    "light.elevation": (".lights",),
    "light.colour": (".lights",),
    "environment.strength": (".environment.strength",),
    "environment.turn": (".environment.turn",),
    "environment.kind": (".environment.file",),
    "camera.elevation": (".camera.position",),
    "camera.radius": (".camera.position",),
    "camera.roll": (".camera.roll",),
    "camera.aperture": (".camera.aperture",),
    "background.kind": (".background",),
    "background.crop": (".background.crop.2",),
    "background.mirrored": (".background.mirrored",),
    "distractor.count": (".distractors",),
    "distractor.scale": (".distractors",),
}
FIXED = {
    "material.kind": "moss",
    "environment.kind": "colour",
    "background.kind": "colour",
    "camera.aperture": 0.3,
    "light.count": 2,
    "light.colour": "red",
    "background.mirrored": 1,
    "distractor.count": 2,
}


@pytest.mark.parametrize("factor", TOUCHES)
def test_fixing_a_factor_leaves_the_others_as_they_were(factor, everything):
    fixed = everything.replace({factor: FIXED.get(factor, 1)})
    seeds = range(30)
    touched = set().union(*(changed(draw(everything, s), draw(fixed, s)) for s in seeds))
    assert touched
    assert all(name.startswith(TOUCHES[factor]) for name in touched), touched


def test_the_first_lamps_stay_when_more_are_added(everything):
    two, three = everything.replace({"light.count": 2}), everything.replace({"light.count": 3})
    for seed in range(10):
        assert draw(three, seed).lights[:2] == draw(two, seed).lights


def test_kinds_of_material_share_their_streams(everything):
    """So that exchanging the kind alone leaves pattern and place of the pattern."""
    metal = draw(everything.replace({"material.kind": "metal"}), 5).object.material
    moss = draw(everything.replace({"material.kind": "moss"}), 5).object.material
    assert metal.offset == moss.offset
    assert metal.scale == moss.scale
    assert (metal.roughness - 0.1) / 0.4 == pytest.approx((moss.roughness - 0.7) / 0.3)


@pytest.mark.parametrize("fixing", fixings(), ids=lambda fixing: fixing.name)
def test_published_fixings_are_paired_with_full_randomisation(fixing):
    free, fixed = load_factors("s2rda"), load_factors(f"s2rda/{fixing.name}")
    parts = {
        "object_scale": (".object.scale",),
        "material": (".object.material",),
        "illumination": (".lights",),
        "camera": (".camera.position",),
        "background": (".background",),
        "full": (),
    }[fixing.factor]
    for seed in range(5):
        assert all(each.startswith(parts) for each in changed(draw(free, seed), draw(fixed, seed)))


def test_streams_are_independent(many):
    columns = np.array(
        [
            [
                each.object.scale,
                each.object.rotation[0],
                each.object.rotation[2],
                each.camera.roll,
                each.camera.focal_length,
                *shell_coordinates(each.camera.position),
                *shell_coordinates(each.lights[0].position),
                each.lights[0].size,
                each.environment.strength,
                each.environment.turn,
            ]
            for each in many
        ]
    )
    correlation = np.corrcoef(columns.T) - np.eye(columns.shape[1])
    assert np.abs(correlation).max() < 4 / np.sqrt(len(many))


def fits(values, law):
    return stats.kstest(values, law.cdf).pvalue > 1e-3


def test_each_factor_is_drawn_as_it_was_asked(many):
    uniform = stats.uniform
    cameras = np.array([shell_coordinates(each.camera.position) for each in many])
    lamps = np.array(
        [shell_coordinates(lamp.position) for each in many for lamp in each.lights[:1]]
    )
    for points, low, high in ((cameras, 0.61 / 0.35, 1.24 / 0.35), (lamps, 1 / 0.35, 1.5 / 0.35)):
        assert fits(points[:, 0], uniform(5, 84))
        assert fits(points[:, 1] % 360, uniform(0, 360))
        assert fits(points[:, 2], uniform(low, high - low))
    assert fits([each.object.scale for each in many], uniform(1, 1))
    assert fits([each.camera.roll for each in many], uniform(-45, 90))
    assert fits([each.camera.focal_length for each in many], stats.truncnorm(-1.5, 3.5, 50, 10))
    assert fits([each.camera.look_at[1] for each in many], uniform(-0.2, 0.4))
    assert fits([each.environment.turn for each in many], uniform(0, 360))
    assert fits([each.environment.strength for each in many], stats.loguniform(0.35, 1.4))
    assert fits([each.lights[0].power for each in many], stats.loguniform(100, 1000))
    kinds = [each.object.material.kind for each in many]
    counts = [kinds.count(kind) for kind in ("own", "metal", "plastic")]
    assert stats.chisquare(counts, np.array([1, 1, 2]) / 4 * len(many)).pvalue > 1e-3
    assert set(kinds) == {"own", "metal", "plastic"}
    for count in (1, 2, 3):
        assert sum(len(each.lights) == count for each in many) > len(many) / 4


def test_rotations_by_area_are_uniform_over_all_rotations(many):
    """The image of any axis is then uniform on the sphere: each of its coordinates is uniform."""

    def rotated(axis, angles):
        x, y, z = np.radians(angles)
        turns = (
            [[1, 0, 0], [0, np.cos(x), -np.sin(x)], [0, np.sin(x), np.cos(x)]],
            [[np.cos(y), 0, np.sin(y)], [0, 1, 0], [-np.sin(y), 0, np.cos(y)]],
            [[np.cos(z), -np.sin(z), 0], [np.sin(z), np.cos(z), 0], [0, 0, 1]],
        )
        for turn in turns:
            axis = np.array(turn) @ axis
        return axis

    for axis in np.eye(3):
        images = np.array([rotated(axis, each.object.rotation) for each in many])
        for coordinate in images.T:
            assert fits(coordinate, stats.uniform(-1, 2))


def test_objects_photos_and_environments_are_all_used(many):
    shown = [each.object.object for each in many]
    assert stats.chisquare([shown.count(name) for name in CARS]).pvalue > 1e-3
    photos = [each.background.photo for each in many if each.background.kind == "photo"]
    assert fits(np.array(photos) + 0.5, stats.uniform(0, 100))
    assert len({each.environment.file for each in many}) == 8
    assert len({each.seed for each in many}) == len(many)
    assert all(0 <= each.seed < 2**31 for each in many)
    crops = np.array([each.background.crop for each in many if each.background.kind == "photo"])
    assert fits(crops[:, 2], stats.uniform(0.5, 0.5))
    assert fits(crops[:, 0], stats.uniform(0, 1)) and fits(crops[:, 1], stats.uniform(0, 1))


def test_what_a_kind_does_not_have_stays_at_its_default(many):
    for each in many[:200]:
        if each.object.material.kind == "own":
            assert each.object.material == Material()
        if each.background.kind != "photo":
            assert each.background.photo is None
        if each.background.kind in ("none", "environment"):
            assert each.background.colour == (0, 0, 0)


def test_distractors_do_not_touch_the_object(many):
    seen = [(each.object, other) for each in many for other in each.distractors]
    assert len(seen) > 1000
    for placed, other in seen:
        distance = np.linalg.norm(other.location)
        assert distance >= (placed.scale + other.scale) / 2 - 1e-9
        assert other.object in OTHERS
        assert placed.location == (0, 0, 0)


def test_textures(tmp_path):
    for name in ("oak.png", "pine.png"):
        (tmp_path / name).write_bytes(b"")
    overrides = {"material.kind": "texture", "material.texture.files": str(tmp_path)}
    factors = load_factors(overrides=overrides)
    found = {draw(factors, seed).object.material.texture for seed in range(20)}
    assert found == {"oak.png", "pine.png"}


def test_parameters_name_files_wherever_they_lie(tmp_path):
    drawn = []
    for folder in (tmp_path / "here", tmp_path / "there"):
        folder.mkdir()
        for name in ("oak.png", "sky.exr"):
            (folder / name).write_bytes(b"\x76\x2f\x31\x01")
        factors = load_factors(
            overrides={
                "material.kind": "texture",
                "material.texture.files": str(folder / "oak.png"),
                "environment.files": str(folder),
                "distractor.count": 1,
                "distractor.material": "drawn",
            }
        )
        drawn.append(draw(factors, 5))
        located = factors.locate(drawn[-1])
        materials = [each.material for each in (located.object, *located.distractors)]
        assert [each.texture for each in materials] == [str(folder / "oak.png")] * 2
        assert located.environment.file == str(folder / "sky.exr")
    here, there = drawn
    assert here == there


def test_a_fixed_photo():
    factors = load_factors("fixed", overrides={"background.kind": "photo", "background.photo": 7})
    assert draw(factors, 0, photos=8).background.photo == 7
    with pytest.raises(GendataError, match="7 photos; expected more than 7"):
        draw(factors, 0, photos=7)


def test_errors(everything):
    with pytest.raises(GendataError, match="no objects"):
        draw_parameters(everything, (), OTHERS, 0, 100)
    with pytest.raises(GendataError, match="distractor.count=0"):
        draw_parameters(everything.replace({"distractor.count": 1}), CARS, (), 0, 100)
    with pytest.raises(GendataError, match="no photo for a background"):
        draw_parameters(everything.replace({"background.kind": "photo"}), CARS, OTHERS, 0, 0)


# -- what a camera sees of the ball around the object, by a pinhole of our own


def ball(count=2000):
    points = np.random.default_rng(0).standard_normal((count, 3))
    return points / np.linalg.norm(points, axis=1, keepdims=True)


def seen(parameters, points):
    """Where points land, (N, 2), the image being -1 to 1; none is behind the camera."""
    camera = parameters.camera
    position = np.array(camera.position)
    forward = np.array(camera.look_at) - position
    forward /= np.linalg.norm(forward)
    right = np.cross(forward, [0, 0, 1])
    right /= np.linalg.norm(right)
    up = np.cross(right, forward)
    rays = points * parameters.object.scale / 2 - position
    depth = rays @ forward
    assert depth.min() > 0
    plane = np.stack((rays @ right, rays @ up), axis=1) / depth[:, None]
    return plane * camera.focal_length / (SENSOR / 2)


@pytest.mark.parametrize(
    ("preset", "whole", "smallest"),
    [
        ("fixed", 1.0, 0.35),
        ("s2rda", 0.65, 0.1),
        ("cg-transfer", 1.0, 0.1),
        ("task2sim/00000000", 1.0, 0.25),
    ],
)
def test_the_object_is_well_visible(preset, whole, smallest):
    """Most balls fit the frame whole, and none is tiny; the object fills a part of its ball."""
    factors, points = load_factors(preset), ball()
    fit, areas = [], []
    for seed in range(200):
        plane = seen(draw(factors, seed), points)
        radius = np.linalg.norm(plane, axis=1).max()
        fit.append(radius <= 1)
        areas.append(min(np.pi * radius**2 / 4, 1))
    assert np.mean(fit) >= whole
    assert min(areas) >= smallest


@pytest.mark.parametrize("kind", ["metal", "texture"])
def test_every_stream_that_is_drawn_from_has_a_name(tmp_path, monkeypatch, kind):
    """So that a seed of its own can be given to each."""
    (tmp_path / "oak.png").touch()
    asked = set()
    generator = module._Draws.generator

    def note(self, name, place):
        asked.add(name)
        return generator(self, name, place)

    monkeypatch.setattr(module._Draws, "generator", note)
    changes = {
        "material.kind": f"{kind}:3,own",
        "material.texture.files": [str(tmp_path), str(tmp_path / "oak.png")],
        "distractor.count": "1..3",
        "distractor.material": "drawn",
        "background.kind": "photo,colour",
        "background.colour": "rgb(0..1)",
    }
    factors = load_factors("s2rda", overrides=changes)
    for seed in range(30):
        draw_parameters(factors, ["car/a", "car/b"], ["bus/x", "bus/y"], seed, photos=4)
    assert {"object", "material.offset.x", "distractor.material.roughness", "camera.roll"} < asked
    assert asked <= set(module.STREAMS)
    changed = dict.fromkeys(module.STREAMS, 1)
    one = draw_parameters(factors, ["car/a", "car/b"], ["bus/x", "bus/y"], 1, photos=4)
    other = draw_parameters(factors, ["car/a", "car/b"], ["bus/x", "bus/y"], 0, 4, changed)
    assert dataclasses.replace(other, seed=one.seed) == one
