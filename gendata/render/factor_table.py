"""Every factor of an image: its name, what it means, what it can be, and what it is by default.

The defaults vary nothing but the object; presets and users randomise. Lengths are in diagonals of
the object's box before it is scaled, angles in degrees, colours linear.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gendata.render.parameters import MOST_LIGHTS
from gendata.render.read_distribution import Values

__all__ = ["FACTORS", "MATERIALS", "Factor"]

MATERIALS = ("metal", "plastic", "fingerprints", "moss", "texture")
"""Surfaces that we make; a mesh's own is the sixth kind."""

SHARE = Values(low=0, high=1)
CROP = Values(low=0, high=1, above=True)
ANGLE = Values(low=-360, high=360)
ELEVATION = Values(low=-90, high=90)
LENGTH = Values(low=0, high=1000, above=True)
LEAST_ZERO = Values(low=0)
NUMBER = Values(low=-1000, high=1000)
COLOUR = Values("colour")
FILES = Values("files")


@dataclass(frozen=True)
class Factor:
    """One factor.

    Attributes:
        name: group and name, with dots.
        meaning: half a sentence for the documentation.
        values: what it can be.
        default: as it would be written in a file.
        unit: of a number.
    """

    name: str
    meaning: str
    values: Values
    default: Any
    unit: str = ""


def _words(*words: str) -> Values:
    return Values("word", words=words)


def _whole(high: int, optional: bool = False) -> Values:
    return Values("whole", low=0, high=high, optional=optional)


def _rotation(group: str, of: str) -> list[Factor]:
    return [
        Factor(f"{group}.rotation.{axis}", f"{of} turns about {axis}", ANGLE, 0.0, "degrees")
        for axis in "xyz"
    ]


def _shell(group: str, elevation: float, azimuth: float, radius: float) -> list[Factor]:
    length = "diagonals"
    return [
        Factor(f"{group}.elevation", "height above the horizon", ELEVATION, elevation, "degrees"),
        Factor(f"{group}.azimuth", "direction, from x towards y", ANGLE, azimuth, "degrees"),
        Factor(f"{group}.radius", "distance from the object's centre", LENGTH, radius, length),
    ]


# Base colour, roughness, and size of the pattern relative to the object.
SURFACES: Mapping[str, tuple[Any, float, float]] = {
    "metal": ([0.8, 0.8, 0.8], 0.3, 1.0),
    "plastic": ([0.6, 0.1, 0.1], 0.4, 1.0),
    "fingerprints": ([0.5, 0.5, 0.5], 0.2, 1.0),
    "moss": ([0.1, 0.25, 0.05], 0.9, 1.0),
    "texture": ([1.0, 1.0, 1.0], 0.5, 1.0),
}


def _surface(kind: str) -> list[Factor]:
    colour, roughness, scale = SURFACES[kind]
    group = f"material.{kind}"
    tint = "colour that tints the picture" if kind == "texture" else "base colour"
    return [
        Factor(f"{group}.colour", tint, COLOUR, colour),
        Factor(f"{group}.roughness", "0 is a mirror, 1 is chalk", SHARE, roughness),
        Factor(f"{group}.scale", "size of the pattern", LENGTH, scale, "objects"),
    ]


OBJECT = [
    Factor("object.scale", "diagonal of its box", LENGTH, 1.5, "diagonals"),
    *_rotation("object", "the object"),
]
MATERIAL = [
    Factor("material.kind", "the surface", _words("own", *MATERIALS), "own"),
    *(factor for kind in MATERIALS for factor in _surface(kind)),
    Factor("material.texture.files", "pictures, of which one is taken", FILES, None),
    Factor("material.offset", "shifts the pattern along each axis", NUMBER, 0.0, "patterns"),
]
LIGHT = [
    Factor("light.count", "how many lamps", _whole(MOST_LIGHTS), 1),
    Factor(
        "light.kind",
        "a small sphere, or a square that faces the object",
        _words("point", "area"),
        "point",
    ),
    *_shell("light", 45.0, -20.0, 4.0),
    Factor("light.colour", "its colour", COLOUR, [1.0, 1.0, 1.0]),
    Factor("light.power", "radiant power", LEAST_ZERO, 600.0, "watts"),
    Factor("light.size", "diameter or side; larger is softer", LEAST_ZERO, 0.3, "diagonals"),
]
ENVIRONMENT = [
    Factor(
        "environment.kind",
        "no light from around, one colour, or a map",
        _words("none", "colour", "map"),
        "colour",
    ),
    Factor("environment.files", "maps, of which one is taken", FILES, "blender"),
    Factor("environment.colour", "the colour; tints a map", COLOUR, [1.0, 1.0, 1.0]),
    Factor("environment.strength", "multiplies it", LEAST_ZERO, 0.3),
    Factor("environment.turn", "how far it is turned about z", ANGLE, 0.0, "degrees"),
]
CAMERA = [
    *_shell("camera", 20.0, -60.0, 2.75),
    *(
        Factor(f"camera.look_at.{axis}", f"{axis} of the point it looks at", NUMBER, 0.0, unit)
        for axis, unit in zip("xyz", ["diagonals"] * 3, strict=True)
    ),
    Factor("camera.roll", "turn in the image, counter-clockwise", ANGLE, 0.0, "degrees"),
    Factor("camera.focal_length", "a longer one shows less", Values(low=1, high=5000), 50.0, "mm"),
    Factor(
        "camera.aperture",
        "f-number of the blur; none: all is sharp",
        Values(low=0, high=1000, above=True, optional=True),
        None,
    ),
    Factor("camera.focus", "how far behind the centre it is sharp", NUMBER, 0.0, "diagonals"),
]
BACKGROUND = [
    Factor(
        "background.kind",
        "black, a colour, a photo, or the environment itself",
        _words("none", "colour", "photo", "environment"),
        "none",
    ),
    Factor("background.colour", "of a colour", COLOUR, [0.5, 0.5, 0.5]),
    Factor("background.photo", "row of the photo; none: any", _whole(10**12, True), None),
    Factor("background.crop", "side of the square cut out", CROP, 1.0, "shorter sides"),
    Factor("background.left", "where it lies, 0 left to 1 right", SHARE, 0.5),
    Factor("background.top", "where it lies, 0 top to 1 bottom", SHARE, 0.5),
    Factor("background.mirrored", "1: left and right are swapped", _whole(1), 0),
]
DISTRACTOR = [
    Factor("distractor.count", "how many objects of other classes", _whole(100), 0),
    Factor(
        "distractor.scale", "diagonal of its box", LENGTH, {"uniform": [0.3, 0.8]}, "diagonals"
    ),
    Factor(
        "distractor.elevation",
        "height above the horizon",
        ELEVATION,
        {"uniform_area": [-90, 90]},
        "degrees",
    ),
    Factor("distractor.azimuth", "direction", ANGLE, {"uniform": [0, 360]}, "degrees"),
    Factor(
        "distractor.radius",
        "distance of the centres; at 1 the two balls around the boxes touch",
        LENGTH,
        {"uniform": [1, 1.6]},
        "touching distances",
    ),
    *(
        Factor(f"distractor.rotation.{axis}", f"it turns about {axis}", ANGLE, law, "degrees")
        for axis, law in {
            "x": {"uniform": [-180, 180]},
            "y": {"uniform_area": [-90, 90]},
            "z": {"uniform": [-180, 180]},
        }.items()
    ),
    Factor(
        "distractor.material",
        "their own, or drawn as the object's is",
        _words("own", "drawn"),
        "own",
    ),
]

FACTORS: Mapping[str, Factor] = {
    factor.name: factor
    for group in (OBJECT, MATERIAL, LIGHT, ENVIRONMENT, CAMERA, BACKGROUND, DISTRACTOR)
    for factor in group
}
