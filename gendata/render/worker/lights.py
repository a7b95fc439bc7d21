"""Lamps: always the same ones, moved for every image, and dark where they are not needed.

The renderer picks lamps by their place in a list, so the list must not depend on which lamps
earlier images needed: lamps that are hidden and shown again would come back in another order, and
the same image with other noise.
"""

from __future__ import annotations

from collections.abc import Sequence

import bpy
from mathutils import Vector

from gendata.errors import GendataError
from gendata.render.parameters import MOST_LIGHTS, Light

__all__ = ["Lights"]

_KINDS = {"point": "POINT", "area": "AREA"}


class Lights:
    """The scene's lamps: one of each kind a place, one of which may shine.

    Args:
        scene: gets the lamps.
    """

    def __init__(self, scene: bpy.types.Scene) -> None:
        self._places = [
            {kind: _new_lamp(scene, kind, place) for kind in _KINDS}
            for place in range(MOST_LIGHTS)
        ]

    def set(self, lights: Sequence[Light]) -> None:
        """Lights the scene with these lamps and no others.

        Raises:
            GendataError: there are too many lamps, or the kind of one is unknown.
        """
        if len(lights) > MOST_LIGHTS:
            raise GendataError(
                "an image has too many lights",
                found=len(lights),
                expected=f"at most {MOST_LIGHTS}",
            )
        for light in lights:
            if light.kind not in _KINDS:
                expected = " or ".join(_KINDS)
                raise GendataError("unknown kind of light", found=light.kind, expected=expected)
        for number, place in enumerate(self._places):
            wanted = lights[number] if number < len(lights) else None
            for kind, lamp in place.items():
                if wanted is not None and wanted.kind == kind:
                    _shine(lamp, wanted)
                elif lamp.data.energy != 0:
                    lamp.data.energy = 0.0


def _new_lamp(scene: bpy.types.Scene, kind: str, place: int) -> bpy.types.Object:
    data = bpy.data.lights.new(f"{kind} {place}", _KINDS[kind])
    data.energy = 0.0
    lamp = bpy.data.objects.new(data.name, data)
    lamp.visible_camera = False
    lamp.rotation_mode = "QUATERNION"
    scene.collection.objects.link(lamp)
    return lamp


def _shine(lamp: bpy.types.Object, light: Light) -> None:
    lamp.location = light.position
    lamp.rotation_quaternion = (-Vector(light.position)).to_track_quat("-Z", "Y")
    lamp.data.color = light.colour
    lamp.data.energy = light.power
    if light.kind == "area":
        lamp.data.size = light.size
    else:
        lamp.data.shadow_soft_size = light.size / 2
