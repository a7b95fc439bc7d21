"""From factors and a seed to the parameters of one image.

Every factor has a random stream of its own, made from the image's seed and the factor's name; each
lamp and each distractor has one of its own again. So holding one factor fixed, or adding a lamp,
leaves all other values of the image as they were: studies of one factor compare the same images.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from gendata.errors import GendataError
from gendata.render.distributions import Fixed
from gendata.render.factor_table import FACTORS
from gendata.render.factors import Factors
from gendata.render.parameters import (
    Background,
    Camera,
    Environment,
    Light,
    Material,
    Parameters,
    Placed,
    Vector,
)
from gendata.render.shell import on_shell
from gendata.seeds import hash_seed

__all__ = ["STREAMS", "draw_parameters"]

SURFACE = ("kind", "colour", "roughness", "scale", "offset.x", "offset.y", "offset.z")
STREAMS = (
    *("object", "distractor.object", "material.texture.files"),
    *(name for name in FACTORS if name.partition(".")[0] != "material"),
    *(f"{group}.{each}" for group in ("material", "distractor.material") for each in SURFACE),
    "distractor.material.texture.files",
)
"""Names of the random streams: of each factor, of the choice of objects, and of surfaces, whose
kinds share theirs."""


def draw_parameters(
    factors: Factors,
    objects: Sequence[str],
    others: Sequence[str],
    seed: int,
    photos: int = 0,
    seeds: Mapping[str, int] | None = None,
) -> Parameters:
    """Draws what one image shows.

    Args:
        factors: the distributions.
        objects: keys of the labelled class's objects, at least one.
        others: keys of the other classes' objects, from which distractors are taken.
        seed: of the image.
        photos: how many photos there are for backgrounds.
        seeds: by name of a stream, the seed that it is drawn from in place of the image's.

    Raises:
        GendataError: there are no objects, or no photos or other classes where some are needed.
    """
    if not objects:
        raise GendataError("a class has no objects")
    draw = _Draws(factors, seed, seeds or {})
    placed = Placed(
        object=draw.one_of("object", objects),
        scale=draw("object.scale"),
        rotation=draw.axes("object.rotation"),
        material=draw.material("material"),
    )
    return Parameters(
        object=placed,
        camera=_camera(draw),
        lights=tuple(_light(draw, place) for place in range(draw("light.count"))),
        environment=_environment(draw),
        background=_background(draw, photos),
        distractors=_distractors(draw, placed, others),
        seed=hash_seed(seed, _number("renderer"), 0) & 0x7FFFFFFF,  # Blender's are 31 bits
    )


class _Draws:
    """Values of one image."""

    def __init__(self, factors: Factors, seed: int, seeds: Mapping[str, int]) -> None:
        self._laws, self._seed, self._seeds = factors.laws, seed, seeds

    def generator(self, name: str, place: int) -> np.random.Generator:
        seed = hash_seed(self._seeds.get(name, self._seed), _number(name), place)
        return np.random.Generator(np.random.PCG64(seed))

    def __call__(self, name: str, place: int = 0, stream: str | None = None) -> Any:
        """A value of a factor.

        Args:
            name: of the factor.
            place: number of the lamp or distractor.
            stream: if not the factor's own.
        """
        law = self._laws[name]
        if isinstance(law, Fixed):
            return law.value
        return _rounded(law.sample(self.generator(stream or name, place)))

    def share(self, name: str, place: int = 0) -> float:
        """A number from 0 to below 1."""
        return float(self.generator(name, place).random())

    def one_of(self, name: str, values: Sequence[str], place: int = 0) -> str:
        return values[int(self.share(name, place) * len(values))]

    def axes(self, name: str, place: int = 0) -> Vector:
        return (self(f"{name}.x", place), self(f"{name}.y", place), self(f"{name}.z", place))

    def on_shell(self, group: str, place: int = 0, unit: float = 1.0) -> Vector:
        names = (f"{group}.elevation", f"{group}.azimuth", f"{group}.radius")
        elevation, azimuth, radius = (self(name, place) for name in names)
        x, y, z = on_shell(elevation, azimuth, radius * unit)
        return (_significant(x), _significant(y), _significant(z))

    def material(self, stream: str, place: int = 0) -> Material:
        """A surface; the kinds share their streams, so that a kind alone can be exchanged."""
        kind = self("material.kind", place, f"{stream}.kind")
        if kind == "own":
            return Material()
        values = {
            name: self(f"material.{kind}.{name}", place, f"{stream}.{name}")
            for name in ("colour", "roughness", "scale")
        }
        x, y, z = (self("material.offset", place, f"{stream}.offset.{axis}") for axis in "xyz")
        texture = None
        if kind == "texture":
            texture = self("material.texture.files", place, f"{stream}.texture.files")
        return Material(kind, **values, offset=(x, y, z), texture=texture)


def _camera(draw: _Draws) -> Camera:
    return Camera(
        position=draw.on_shell("camera"),
        look_at=draw.axes("camera.look_at"),
        roll=draw("camera.roll"),
        focal_length=draw("camera.focal_length"),
        aperture=draw("camera.aperture"),
        focus=draw("camera.focus"),
    )


def _light(draw: _Draws, place: int) -> Light:
    return Light(
        kind=draw("light.kind", place),
        position=draw.on_shell("light", place),
        colour=draw("light.colour", place),
        power=draw("light.power", place),
        size=draw("light.size", place),
    )


def _environment(draw: _Draws) -> Environment | None:
    kind = draw("environment.kind")
    if kind == "none":
        return None
    return Environment(
        file=draw("environment.files") if kind == "map" else None,
        colour=draw("environment.colour"),
        strength=draw("environment.strength"),
        turn=draw("environment.turn"),
    )


def _background(draw: _Draws, photos: int) -> Background:
    kind = draw("background.kind")
    if kind == "colour":
        return Background(kind, draw("background.colour"))
    if kind != "photo":
        return Background(kind)
    row = draw("background.photo")
    if row is None:
        row = int(draw.share("background.photo") * photos)
    if row >= photos:
        raise GendataError(
            "there is no photo for a background",
            found=f"{photos} photos" if photos else None,
            expected=f"more than {row}",
            do="give a larger set of photos, or another background.kind",
        )
    crop = (draw("background.left"), draw("background.top"), draw("background.crop"))
    mirrored = bool(draw("background.mirrored"))
    return Background(kind, photo=row, crop=crop, mirrored=mirrored)


def _distractors(draw: _Draws, placed: Placed, others: Sequence[str]) -> tuple[Placed, ...]:
    count = draw("distractor.count")
    if count and not others:
        raise GendataError(
            "there are no objects of other classes for distractors",
            do="add a class, or choose distractor.count=0",
        )
    return tuple(_distractor(draw, placed, others, place) for place in range(count))


def _distractor(draw: _Draws, placed: Placed, others: Sequence[str], place: int) -> Placed:
    scale = draw("distractor.scale", place)
    touching = (placed.scale + scale) / 2  # a box lies in a ball as wide as its diagonal
    own = draw("distractor.material", place) == "own"
    return Placed(
        object=draw.one_of("distractor.object", others, place),
        scale=scale,
        rotation=draw.axes("distractor.rotation", place),
        location=draw.on_shell("distractor", place, touching),
        material=Material() if own else draw.material("distractor.material", place),
    )


@functools.cache
def _number(name: str) -> int:
    """A name as one of the numbers that seeds are hashed from."""
    digest = hashlib.blake2b(name.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1


def _rounded(value: Any) -> Any:
    if isinstance(value, tuple):
        return tuple(_significant(each) for each in value)
    return _significant(value) if isinstance(value, float) else value


def _significant(value: float) -> float:
    """Ten digits: machines differ in the last digits of sines and powers."""
    return float(f"{value:.10g}")
