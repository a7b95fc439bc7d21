"""Points on a shell around the origin, where cameras, lamps and distractors are.

A point is given by elevation, azimuth and radius. Drawn uniformly each, as is usual, directions
gather at the poles and points gather near the inner sphere. Elevations drawn by `uniform_area`
make all directions equally likely; together with radii drawn by `uniform_volume`, all places in
the shell.
"""

from __future__ import annotations

import math

from gendata.render.parameters import Vector

__all__ = ["on_shell", "shell_coordinates"]


def on_shell(elevation: float, azimuth: float, radius: float) -> Vector:
    """The point in a direction at a distance.

    Args:
        elevation: degrees above the plane of x and y, -90 to 90.
        azimuth: degrees from x towards y.
        radius: distance from the origin.
    """
    up, around = math.radians(elevation), math.radians(azimuth)
    flat = radius * math.cos(up)
    return (flat * math.cos(around), flat * math.sin(around), radius * math.sin(up))


def shell_coordinates(point: Vector) -> tuple[float, float, float]:
    """Elevation and azimuth (-180 to 180) in degrees, and radius, of a point."""
    x, y, z = point
    flat = math.hypot(x, y)
    azimuth = math.degrees(math.atan2(y, x))
    return math.degrees(math.atan2(z, flat)), azimuth, math.hypot(flat, z)
