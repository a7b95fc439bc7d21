"""Presets hold the values that their papers and programs state."""

import csv
import math
from pathlib import Path

import pytest

from gendata.errors import GendataError
from gendata.render.distributions import Channels, Choice, Fixed, Mixture, Range
from gendata.render.factor_table import FACTORS
from gendata.render.factors import load_factors
from gendata.render.presets import fixings, load_preset, preset_titles

SHARED = Path(__file__).parents[3] / "shared" / "data"
KINDS = ("metal", "plastic", "fingerprints", "moss")
METRES = 0.35  # of a diagonal, in the preset cg-transfer
DARKER = 4  # two stops

# In the order in which the authors number their 256 sets.
BITS = (
    "pose_rot",
    "pose_scale",
    "lighting_intensity",
    "lighting_color",
    "lighting_dir",
    "blur",
    "backgr",
    "materials",
)


def uniform(low, high):
    return Range("uniform", low, high)


def varied(factors):
    return {name for name, law in factors.laws.items() if len(set(law.extremes())) > 1}


def test_every_preset_and_variant_loads():
    assert set(preset_titles()) == {"fixed", "s2rda", "cg-transfer", "task2sim"}
    for name in preset_titles():
        load_factors(name)
        for variant in load_preset(name).variants:
            load_factors(f"{name}/{variant}")


def test_s2rda():
    laws = load_factors("s2rda").laws
    assert laws["object.scale"] == uniform(1, 2)
    assert laws["material.kind"] == Choice(KINDS, (1.0,) * 4)
    for group in ("light", "camera"):
        assert laws[f"{group}.elevation"] == uniform(5, 89)
        assert laws[f"{group}.azimuth"] == uniform(0, 360)
    assert laws["camera.roll"] == uniform(-45, 45)
    # A fixed camera must mean a fixed view, as in the study.
    assert all(laws[f"object.rotation.{axis}"] == Fixed(0.0) for axis in "xyz")
    # Kinds and hues of light and distractors are what the authors look forward to.
    assert laws["light.kind"] == Fixed("point")
    assert laws["light.colour"] == Fixed((1.0, 1.0, 1.0))
    assert laws["distractor.count"] == Fixed(0)


def test_fixings_are_the_rows_of_the_published_table():
    rows = [(fixing.factor, fixing.value) for fixing in fixings()]
    table = SHARED / "tang_factor_study.csv"
    if not table.exists():
        pytest.skip("needs the published table")
    with table.open() as file:
        assert rows == [(row["factor"], row["value"]) for row in csv.DictReader(file)]


@pytest.mark.parametrize("fixing", fixings(), ids=lambda fixing: fixing.name)
def test_a_fixing_holds_its_factor_and_nothing_else(fixing):
    free = load_factors("s2rda")
    fixed = load_factors(f"s2rda/{fixing.name}")
    assert fixed.laws == free.replace(fixing.changes).laws
    changed = {name for name in FACTORS if fixed.laws[name] != free.laws[name]}
    assert changed == set(fixing.changes)
    group = {"object_scale": "object", "illumination": "light", "full": ""}
    assert {name.split(".")[0] for name in changed} <= {group.get(fixing.factor, fixing.factor)}
    if fixing.value not in ("mix", "random"):
        assert all(isinstance(fixed.laws[name], Fixed) for name in changed)


def test_fixings_of_published_value():
    changes = {fixing.name: fixing.changes for fixing in fixings()}
    assert [changes[f"object_scale-{value}"]["object.scale"] for value in ("1", "1.5", "2")] == [
        1,
        1.5,
        2,
    ]
    mix = load_factors("s2rda/object_scale-mix").laws["object.scale"]
    assert mix == Choice((1, 1.5, 2), (1.0,) * 3)
    assert changes["background-none"] == {"background.kind": "none"}
    locations = [changes[f"camera-location{number}"] for number in range(1, 5)]
    assert len({tuple(each.values()) for each in locations}) == 4


def test_fixed_locations_lie_within_the_random_ranges():
    free = load_factors("s2rda").laws
    for fixing in fixings():
        for name, value in fixing.changes.items():
            if isinstance(free[name], Range) and not isinstance(value, list):
                assert free[name].low <= value <= free[name].high, fixing.name


def test_cg_transfer_is_the_published_program_in_other_units():
    laws = load_factors("cg-transfer").laws
    for name, low, high in (("camera", 0.61, 1.24), ("light", 1.0, 1.5)):
        radius = laws[f"{name}.radius"]
        assert radius.extremes() == pytest.approx((low / METRES, high / METRES))
        assert laws[f"{name}.elevation"] == uniform(5, 89)
    assert laws["light.power"].value == pytest.approx(200 / METRES**2 / DARKER)
    assert laws["light.colour"] == Channels("rgb", (uniform(0.5, 1),) * 3)
    assert laws["environment.colour"] == Channels("rgb", (uniform(0.5, 1),) * 3)
    assert laws["camera.roll"] == uniform(-45, 45)
    assert laws["distractor.count"] == Fixed(9)
    strength = laws["environment.strength"].extremes()
    share = lit_by_the_ceiling(side=6.0, height=10.0)
    assert strength == pytest.approx((3 * share / DARKER, 6 * share / DARKER), rel=0.01)


def lit_by_the_ceiling(side, height):
    """Light on a level surface from a glowing square above, relative to light from everywhere."""
    steps = 400
    total = 0.0
    for row in range(steps):
        y = (row + 0.5) / steps * side / 2
        for column in range(0, steps, 8):
            x = (column + 4) / steps * side / 2
            squared = x * x + y * y + height * height
            total += height * height / squared**2
    return 4 * total * (side / 2) ** 2 / (steps * steps / 8) / math.pi


@pytest.mark.parametrize(
    ("level", "count", "light", "walls"),
    [
        ("lv0", 0, False, False),
        ("lv1", 0, False, False),
        ("lv2", 9, False, False),
        ("lv3", 9, True, False),
        ("lv4", 9, False, False),
        ("lv5", 9, True, False),
        ("lv6", 9, True, True),
        ("lv7", 9, True, True),
    ],
)
def test_levels_of_cg_transfer(level, count, light, walls):
    factors = load_factors(f"cg-transfer/{level}")
    assert factors.laws["distractor.count"] == Fixed(count)
    lights = {"light.elevation", "light.azimuth", "light.radius", "environment.strength"}
    assert (varied(factors) & lights == lights) is light
    assert bool(varied(factors) & lights) is light
    assert isinstance(factors.laws["light.colour"], Channels) is light
    assert isinstance(factors.laws["environment.colour"], Channels) is light
    assert isinstance(factors.laws["background.colour"], Channels) is walls
    if not light:
        assert factors.laws["light.elevation"] == Fixed(90)
        assert factors.laws["light.radius"].value == pytest.approx(3 / METRES)
        assert factors.laws["environment.strength"].value == pytest.approx(4 * 0.1024 / DARKER)


def test_task2sim_switches_are_in_the_order_of_the_256_sets():
    assert tuple(load_preset("task2sim").switches) == BITS


def test_task2sim_all_off_varies_nothing():
    factors = load_factors("task2sim/00000000")
    assert {name for name in varied(factors) if not name.startswith("distractor.")} == set()


@pytest.mark.parametrize("place", range(8), ids=BITS)
def test_each_switch_varies_its_own(place):
    off = load_factors("task2sim/00000000")
    on = load_factors("task2sim/" + "".join("01"[place == each] for each in range(8)))
    changed = {name for name in FACTORS if on.laws[name] != off.laws[name]}
    assert changed == set(load_preset("task2sim").switches[BITS[place]])
    others = [set(load_preset("task2sim").switches[bit]) for bit in BITS if bit != BITS[place]]
    assert not changed & set().union(*others)


def test_task2sim_ranges_are_those_of_the_published_generator():
    laws = load_factors("task2sim").laws
    for axis in "xyz":
        assert laws[f"object.rotation.{axis}"] == uniform(-180, 180)
    distance = math.dist((1, 1.5, 1.8), (0, 1, 0))
    low, high = laws["camera.radius"].extremes()
    assert (low, high) == pytest.approx((0.4 * distance, 1.5 * distance), rel=0.005)
    off = load_factors("task2sim/00000000").laws
    assert off["camera.radius"].value == pytest.approx(distance, rel=0.005)
    assert 2 * math.degrees(math.atan(18 / off["camera.focal_length"].value)) == pytest.approx(
        60, abs=0.01
    )
    elevation = math.degrees(math.asin(0.5 / distance))
    assert off["camera.elevation"].value == pytest.approx(elevation, abs=0.1)
    middle = off["light.power"].value
    assert laws["light.power"].extremes() == pytest.approx((0.4 * middle, 1.6 * middle))
    assert laws["light.colour"] == Channels("rgb", (uniform(0.05, 1),) * 3)
    assert laws["light.elevation"] == uniform(-90, 90)
    assert laws["camera.aperture"] == Mixture((uniform(0.5, 1.2), Fixed(None)), (3.0, 1.0))
    assert laws["camera.focus"] == uniform(-1, 1)
    assert off["material.kind"] == Fixed("own")
    assert laws["material.kind"] == Choice(KINDS, (1.0,) * 4)


def test_unknown_names():
    with pytest.raises(GendataError, match="did you mean s2rda"):
        load_factors("s2rd")
    with pytest.raises(GendataError, match="did you mean material-metal"):
        load_factors("s2rda/material-metall")
    with pytest.raises(GendataError, match="unknown variant 'fixed/lv3'"):
        load_factors("fixed/lv3")
    with pytest.raises(GendataError, match="8 digits 0 or 1"):
        load_factors("task2sim/1011")
    with pytest.raises(GendataError, match="write them in quotes"):
        load_factors(overrides={"task2sim": 0o00110010})  # as YAML reads a number with zeros
    with pytest.raises(GendataError, match="did you mean blur"):
        load_factors(overrides={"task2sim.blurr": 1})
    with pytest.raises(GendataError, match="neither on nor off"):
        load_factors(overrides={"task2sim.blur": 2})
