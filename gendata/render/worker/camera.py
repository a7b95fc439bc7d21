"""The camera: where it stands, how it is turned, and where a point lands in the image."""

from __future__ import annotations

import math

import bpy
import numpy as np
from mathutils import Matrix

from gendata.errors import GendataError
from gendata.render.parameters import Camera, Vector

__all__ = ["SENSOR", "CameraRig", "depth_of", "orientation", "project"]

SENSOR = 36.0  # mm, both sides
_STRAIGHT_DOWN = 1e-6


def orientation(camera: Camera) -> np.ndarray:
    """The camera's axes as columns (3, 3): right, up and backwards, with its roll.

    Without a roll, the world's z points up in the image; where the camera looks along z, the
    world's y does. A camera that turns clockwise about its axis turns its image
    counter-clockwise, which is what the roll counts.

    Raises:
        GendataError: the camera stands where it looks.
    """
    forward = np.subtract(camera.look_at, camera.position)
    distance = np.linalg.norm(forward)
    if distance == 0:
        raise GendataError("a camera stands where it looks", found=camera.position)
    forward = forward / distance
    right = np.cross(forward, (0.0, 0.0, 1.0))
    if np.linalg.norm(right) < _STRAIGHT_DOWN:
        right = np.array((1.0, 0.0, 0.0))
    right = right / np.linalg.norm(right)
    up = np.cross(right, forward)
    cosine, sine = math.cos(math.radians(camera.roll)), math.sin(math.radians(camera.roll))
    return np.stack((cosine * right - sine * up, sine * right + cosine * up, -forward), axis=1)


def depth_of(camera: Camera, point: Vector) -> float:
    """Distance of a point from the camera along the camera's axis; negative behind it."""
    return float(-orientation(camera)[:, 2] @ np.subtract(point, camera.position))


def project(camera: Camera, point: Vector, resolution: int) -> tuple[float, float]:
    """Where a point lands: (x, y) in pixels from the image's upper left corner, y downwards.

    The centre of the first pixel is (0.5, 0.5). A point may land outside the image; one that is
    not in front of the camera lands nowhere: (nan, nan).
    """
    x, y, _ = orientation(camera).T @ np.subtract(point, camera.position)
    depth = depth_of(camera, point)
    if depth <= 0:
        return math.nan, math.nan
    pixels = camera.focal_length / SENSOR * resolution / depth
    return float(resolution / 2 + pixels * x), float(resolution / 2 - pixels * y)


class CameraRig:
    """The scene's one camera.

    Args:
        scene: gets the camera.
    """

    def __init__(self, scene: bpy.types.Scene) -> None:
        self._data = bpy.data.cameras.new("camera")
        self._data.sensor_fit = "HORIZONTAL"
        self._data.sensor_width = SENSOR
        self._data.clip_start, self._data.clip_end = 1e-3, 1e4
        self._object = bpy.data.objects.new("camera", self._data)
        # A matrix or Euler angles would be brought near the last rotation, and the image would
        # depend on the one before.
        self._object.rotation_mode = "QUATERNION"
        scene.collection.objects.link(self._object)
        scene.camera = self._object

    def set(self, camera: Camera, centre: Vector) -> None:
        """Moves the camera.

        Args:
            camera: where to, and with which lens.
            centre: of the labelled object; the camera's focus counts from here.
        """
        self._object.location = camera.position
        self._object.rotation_quaternion = Matrix(orientation(camera).tolist()).to_quaternion()
        self._data.lens = camera.focal_length
        field = self._data.dof
        field.use_dof = camera.aperture is not None
        field.aperture_fstop = 1.0 if camera.aperture is None else camera.aperture
        field.focus_distance = max(depth_of(camera, centre) + camera.focus, 1e-3)
