"""Points on a shell."""

import itertools

import numpy as np
import pytest
from scipy import stats

from gendata.render.distributions import Range
from gendata.render.shell import on_shell, shell_coordinates


@pytest.mark.parametrize(
    ("coordinates", "point"),
    [
        ((0, 0, 2), (2, 0, 0)),
        ((0, 90, 2), (0, 2, 0)),
        ((0, -90, 2), (0, -2, 0)),
        ((90, 17, 3), (0, 0, 3)),
        ((-90, 0, 1), (0, 0, -1)),
        ((45, 180, 1), (-(0.5**0.5), 0, 0.5**0.5)),
    ],
)
def test_known_points(coordinates, point):
    assert on_shell(*coordinates) == pytest.approx(point, abs=1e-12)


def test_coordinates_are_read_back():
    for elevation, azimuth, radius in itertools.product((-80, 0, 5, 89), (-170, 0, 99), (0.1, 4)):
        found = shell_coordinates(on_shell(elevation, azimuth, radius))
        assert found == pytest.approx((elevation, azimuth, radius))


def points(elevation, radius, count=4000):
    generator = np.random.Generator(np.random.PCG64(3))
    around = Range("uniform", 0.0, 360.0)
    return np.array(
        [
            on_shell(*(law.sample(generator) for law in (elevation, around, radius)))
            for _ in range(count)
        ]
    )


def test_even_directions_and_even_radii_fill_a_ball_evenly():
    found = points(Range("uniform_area", -90.0, 90.0), Range("uniform_volume", 0.0, 1.0))
    # The cap of a unit ball below height z has the volume pi (2/3 + z - z^3 / 3).
    for axis in found.T:
        law = stats.kstest(axis, lambda z: (2 / 3 + z - z**3 / 3) / (4 / 3))
        assert law.pvalue > 1e-3


def test_uniform_elevations_gather_at_the_pole():
    uniform = points(Range("uniform", 5.0, 89.0), Range("uniform", 1.0, 1.0))
    even = points(Range("uniform_area", 5.0, 89.0), Range("uniform", 1.0, 1.0))
    near = np.sin(np.radians(75))
    assert (uniform[:, 2] > near).mean() == pytest.approx(14 / 84, abs=0.02)
    sines = np.sin(np.radians([5, 75, 89]))
    share = (sines[2] - sines[1]) / (sines[2] - sines[0])
    assert (even[:, 2] > near).mean() == pytest.approx(share, abs=0.01)
    assert share < 0.05
