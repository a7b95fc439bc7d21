"""What one rendered image was made from: every sampled value, and nothing else.

An image is a function of these values and of the render settings alone. Lengths are in units of
the object's diagonal before its scale, z points up, angles are in degrees, colours are linear red,
green and blue between 0 and 1. This module needs nothing but Python, because Blender's own
interpreter imports it too.
"""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from typing import Any

__all__ = [
    "Background",
    "Camera",
    "Environment",
    "Light",
    "MOST_LIGHTS",
    "Material",
    "Parameters",
    "Placed",
    "Vector",
]

Vector = tuple[float, float, float]

MOST_LIGHTS = 8
"""As many lamps as one image can have; each takes some time even when it is dark."""


@dataclass(frozen=True)
class Material:
    """A surface.

    Attributes:
        kind: "own" (the mesh's own materials, and none of the values below), "metal", "plastic",
            "fingerprints", "moss" or "texture".
        colour: base colour; for "texture" it tints the picture.
        roughness: 0 (mirror) to 1.
        scale: size of its pattern, relative to the object.
        offset: shifts its pattern, so that two images of one kind differ.
        texture: the picture of "texture": name of a file among the factor's, or a path.
    """

    kind: str = "own"
    colour: Vector = (0.8, 0.8, 0.8)
    roughness: float = 0.5
    scale: float = 1.0
    offset: Vector = (0.0, 0.0, 0.0)
    texture: str | None = None


@dataclass(frozen=True)
class Placed:
    """An object in the scene: the labelled one, or a distractor.

    Attributes:
        object: its key in the library, such as "car/q_Taxi".
        scale: diagonal of its box, 1 before.
        rotation: Euler angles about x, y and z, applied in that order.
        location: where its centre is.
        material: its surface.
    """

    object: str
    scale: float = 1.0
    rotation: Vector = (0.0, 0.0, 0.0)
    location: Vector = (0.0, 0.0, 0.0)
    material: Material = Material()


@dataclass(frozen=True)
class Light:
    """A lamp that shines at the origin.

    Attributes:
        kind: "point" or "area".
        position: where it is.
        colour: its colour.
        power: watts, Blender's unit of radiant power. White matt surfaces at distance r get a
            linear radiance of P / (4 pi^2 r^2) from a point, four times that from an area.
        size: diameter of a point light's sphere, or side of an area light; softens shadows.
    """

    kind: str = "point"
    position: Vector = (0.0, 0.0, 1.5)
    colour: Vector = (1.0, 1.0, 1.0)
    power: float = 50.0
    size: float = 0.1


@dataclass(frozen=True)
class Environment:
    """Light from all around.

    Attributes:
        file: an equirectangular picture, .hdr or .exr, whose middle lies towards +x before its
            turn: name of a file among the factor's, or a path; None: one colour everywhere.
        colour: that colour; it tints the picture where there is one.
        strength: multiplies it.
        turn: rotation about z, counter-clockwise seen from above.
    """

    file: str | None = None
    colour: Vector = (1.0, 1.0, 1.0)
    strength: float = 1.0
    turn: float = 0.0


@dataclass(frozen=True)
class Camera:
    """A perspective camera with a square sensor 36 mm wide.

    Attributes:
        position: where it is.
        look_at: where it looks.
        roll: in-plane rotation, counter-clockwise in the image.
        focal_length: mm.
        aperture: f-number of the depth-of-field blur; None: all is sharp.
        focus: how far behind the object's centre the blur has its sharpest plane.
    """

    position: Vector = (0.0, -2.5, 0.5)
    look_at: Vector = (0.0, 0.0, 0.0)
    roll: float = 0.0
    focal_length: float = 50.0
    aperture: float | None = None
    focus: float = 0.0


@dataclass(frozen=True)
class Background:
    """What is seen behind the objects.

    Attributes:
        kind: "none" (black), "colour", "photo" (composited) or "environment" (the environment
            itself is seen).
        colour: of "colour".
        photo: row of the background image set, of "photo".
        crop: of "photo": left, top and side of a square, as shares of the photo's shorter side
            (side) and of what is left beside it (left, top), each between 0 and 1.
        mirrored: of "photo": left and right are swapped.
    """

    kind: str = "none"
    colour: Vector = (0.0, 0.0, 0.0)
    photo: int | None = None
    crop: Vector = (0.0, 0.0, 1.0)
    mirrored: bool = False


@dataclass(frozen=True)
class Parameters:
    """One image.

    Attributes:
        object: the labelled object.
        camera: where it is seen from.
        lights: lamps.
        environment: light from all around; None: none.
        background: what is behind.
        distractors: objects of other classes, unlabelled.
        seed: of the renderer's noise.
    """

    object: Placed
    camera: Camera = Camera()
    lights: tuple[Light, ...] = ()
    environment: Environment | None = None
    background: Background = Background()
    distractors: tuple[Placed, ...] = ()
    seed: int = 0

    def to_json(self) -> str:
        """One line of JSON, as the clone's column `parameters` holds it."""
        return json.dumps(dataclasses.asdict(self), separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> Parameters:
        """Reads what `to_json` wrote."""
        return _parameters(json.loads(text))


def _parameters(values: dict[str, Any]) -> Parameters:
    environment = values["environment"]
    return Parameters(
        object=_placed(values["object"]),
        camera=_of(Camera, values["camera"]),
        lights=tuple(_of(Light, each) for each in values["lights"]),
        environment=None if environment is None else _of(Environment, environment),
        background=_of(Background, values["background"]),
        distractors=tuple(map(_placed, values["distractors"])),
        seed=values["seed"],
    )


def _placed(values: dict[str, Any]) -> Placed:
    material: Material = _of(Material, values["material"])
    return _of(Placed, {**values, "material": material})


def _of(kind: type, values: dict[str, Any]) -> Any:
    """Builds a record; JSON has lists where it has tuples."""
    return kind(
        **{key: tuple(each) if isinstance(each, list) else each for key, each in values.items()}
    )
