"""One image from its parameters alone: the same bytes in any process, order and thread count."""

import dataclasses
import itertools

import numpy as np
import pytest

from gendata.render.parameters import (
    Background,
    Camera,
    Environment,
    Light,
    Material,
    Parameters,
    Placed,
)

pytestmark = pytest.mark.blender

FRONT = Camera((0.0, -2.0, 0.4))
LAMPS = (
    Light("point", (1.0, -1.0, 1.0), power=30.0),
    Light("area", (-1.0, -1.0, 0.5), (1.0, 0.7, 0.4), power=15.0, size=0.5),
    Light("point", (0.3, -0.5, 1.2), (0.3, 0.5, 1.0), power=20.0),
)
GREY = Environment(colour=(0.4, 0.45, 0.5), strength=0.5)
SEEN = Background("environment")
FAST = {"resolution": 32, "samples": 2, "denoiser": "fast", "labels": ("depth", "normal")}


def scenes():
    base = Parameters(Placed("cube", 1.0, (20, 30, 40)), FRONT, lights=LAMPS[:1], seed=7)
    metal = dataclasses.replace(base.object, material=Material("metal", roughness=0.3))
    others = tuple(
        Placed(shape, 0.4, (0, 0, 30), (x, -0.3, 0.1), Material(kind))
        for shape, x, kind in (
            ("bar", -0.4, "moss"),
            ("sphere", 0.4, "own"),
            ("bar", 0, "plastic"),
        )
    )
    return {
        "base": base,
        "metal": dataclasses.replace(base, object=metal, lights=LAMPS[:2]),
        "three lamps": dataclasses.replace(base, lights=LAMPS),
        "area first": dataclasses.replace(base, lights=LAMPS[:0:-1], environment=GREY),
        "environment": dataclasses.replace(
            base, lights=LAMPS[1:2], environment=GREY, background=SEEN
        ),
        "blurred": dataclasses.replace(base, camera=Camera(aperture=0.2, roll=10.0)),
        "distractors": dataclasses.replace(base, distractors=others, environment=GREY),
        "other shape": dataclasses.replace(base, object=Placed("halves"), seed=8),
        "one distractor": dataclasses.replace(base, distractors=others[:1]),
    }


def same(one, other):
    return all(
        np.array_equal(getattr(one, label), getattr(other, label))
        for label in ("colour", "mask", "depth", "normal")
    )


def test_the_same_bytes_in_any_order_process_and_thread_count(render):
    once = list(scenes().items())
    again = [(f"{name} again", parameters) for name, parameters in reversed(once)]
    first = render(once + again, **FAST)
    shuffled = once[4:] + once[3::-1]
    other_process = render(shuffled, threads=2, **FAST)
    for name, _ in once:
        assert same(first[name], first[f"{name} again"]), name
        assert same(first[name], other_process[name]), name
    assert not any(same(first[a], first[b]) for a, b in itertools.combinations(scenes(), 2))


@pytest.mark.slow
def test_each_alone_has_the_same_bytes(render):
    together = render(scenes(), **FAST)
    for name in ("three lamps", "environment", "one distractor"):
        assert same(render({name: scenes()[name]}, **FAST)[name], together[name]), name


@pytest.fixture(scope="module")
def images(render):
    base = scenes()["base"]
    ball = Parameters(Placed("sphere"), FRONT, environment=GREY)
    before = Placed("cube", 0.5, location=(0.15, -0.6, 0.0))
    return render(
        {
            "seed 7": base,
            "seed 8": dataclasses.replace(base, seed=8, environment=GREY),
            "seed 7 lit": dataclasses.replace(base, environment=GREY),
            "seed 2^31 + 7": dataclasses.replace(base, seed=2**31 + 7),
            "ball": ball,
            "ball behind a cube": dataclasses.replace(ball, distractors=(before,)),
            "cube before a ball": dataclasses.replace(ball, object=before),
            "far": dataclasses.replace(ball, camera=Camera((0.0, -20.0, 0.0))),
        }
    )


def test_the_seed_decides_the_noise(images):
    one, other = images["seed 7 lit"], images["seed 8"]
    assert not np.array_equal(one.colour, other.colour)
    assert np.abs(one.colour - other.colour).mean() < 0.05 * one.colour.mean()
    np.testing.assert_array_equal(images["seed 2^31 + 7"].colour, images["seed 7"].colour)


def test_the_mask_leaves_out_what_a_distractor_hides(images):
    alone, hidden = images["ball"].mask, images["ball behind a cube"].mask
    before = images["cube before a ball"].mask
    assert (alone & before).sum() > 50
    differing = hidden ^ (alone & ~before)
    assert differing.sum() < 0.04 * alone.sum()  # along edges, where pixels show both


def test_a_small_object_has_a_small_mask(images):
    assert 0 < images["far"].mask.sum() < 10


def test_labels_only_when_asked_for(images):
    assert images["ball"].depth is None and images["ball"].normal is None


def test_seconds_add_up(images):
    for image in images.values():
        parts = sum(value for name, value in image.seconds.items() if name != "total")
        assert parts == pytest.approx(image.seconds["total"], rel=1e-3)
        assert image.seconds["engine"] > 0


def test_exposure_counts_in_stops(render, images):
    brighter = render({"ball": scenes()["base"]}, exposure=1.5)["ball"]
    np.testing.assert_allclose(
        brighter.colour[..., :3], 2**1.5 * images["seed 7"].colour[..., :3], rtol=1e-4, atol=1e-6
    )


def test_denoisers_take_noise_away(render):
    scene = {"metal": scenes()["three lamps"]}
    clean = render(scene, samples=512)["metal"].colour
    error = {
        name: np.abs(render(scene, samples=2, denoiser=name)["metal"].colour - clean).mean()
        for name in ("none", "fast", "accurate")
    }
    assert error["fast"] < 0.8 * error["none"]
    assert error["accurate"] < 0.8 * error["none"]
    assert error["accurate"] != error["fast"]


def test_bounces_bring_light_into_the_shade(render):
    ball = Placed("sphere", location=(0.0, -0.29, 0.0))
    scene = {"": Parameters(Placed("wall"), FRONT, lights=LAMPS[:1], distractors=(ball,))}
    direct, bounced = (render(scene, bounces=count)[""].colour for count in (0, 4))
    assert bounced[..., :3].sum() > 1.02 * direct[..., :3].sum()


def test_settings_that_cannot_be_are_named(in_blender):
    code = """
from gendata.errors import GendataError
from gendata.render.settings import RenderSettings
from gendata.render.worker.renderer import Renderer
for name, values in inputs["wrong"].items():
    try:
        Renderer(RenderSettings(**values))
        found[name] = "no error"
    except GendataError as error:
        found[name] = str(error)
"""
    wrong = {
        "device": {"device": "metal"},
        "denoiser": {"denoiser": "best"},
        "view": {"view": "x"},
    }
    found = in_blender(code, wrong=wrong)
    assert "Blender finds no metal device" in found["device"]
    assert "found best; expected none, fast, balanced, accurate" in found["denoiser"]
    assert "found x; expected standard or filmic" in found["view"]


MEMORY = """
import resource
from gendata.render.parameters import Parameters
from gendata.render.settings import RenderSettings
from gendata.render.worker.renderer import Renderer
import shapes
import bpy
renderer = Renderer(RenderSettings(resolution=16, samples=1))
page = resource.getpagesize()
used = []
for number in range(inputs["count"]):
    meshes = shapes.make_shapes()
    renderer.render(Parameters.from_json(inputs["scenes"][number % len(inputs["scenes"])]), meshes)
    for mesh in meshes.values():
        bpy.data.meshes.remove(mesh)
    for material in [each for each in bpy.data.materials if each.users == 0]:
        bpy.data.materials.remove(material)
    used.append(int(open("/proc/self/statm").read().split()[1]) * page)
found["used"] = used
found["objects"] = len(bpy.data.objects)
"""


def test_meshes_can_be_removed_between_images(in_blender):
    names = [parameters.to_json() for parameters in scenes().values()]
    found = in_blender(MEMORY, count=12, scenes=names)
    assert found["objects"] == 1 + 2 * 8 + 4  # the camera, lamps, objects


@pytest.mark.slow
def test_memory_stays_flat(in_blender):
    names = [parameters.to_json() for parameters in scenes().values()]
    used = in_blender(MEMORY, count=200, scenes=names)["used"]
    assert max(used[150:]) < max(used[30:80]) + 15e6
