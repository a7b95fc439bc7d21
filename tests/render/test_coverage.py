"""The share of each pixel that objects cover: smooth where they are blurred, sharp elsewhere."""

import numpy as np
import pytest

from gendata.render.backgrounds import composite
from gendata.render.coverage import smooth_coverage
from gendata.render.parameters import Background, Camera, Environment, Parameters, Placed

SIDE, SAMPLES = 64, 4


def disc(softness):
    """Coverage of a disc whose edge is so many pixels wide."""
    y, x = np.mgrid[:SIDE, :SIDE] - SIDE / 2 + 0.5
    return np.clip((20 - np.hypot(x, y)) / softness + 0.5, 0, 1)


def rendered(coverage, light):
    """Denoised colours, and a coverage of few samples."""
    noisy = np.random.default_rng(0).binomial(SAMPLES, coverage) / SAMPLES
    return np.dstack([coverage[..., None] * light, noisy]).astype(np.float32)


def error(found, coverage):
    return float(np.sqrt(np.mean((found[..., 3] - coverage) ** 2)))


@pytest.mark.parametrize("light", [(1.0, 0.8, 0.6), (0.2, 0.1, 0.1), (8.0, 8.0, 8.0)])
def test_a_blurred_edge_gets_the_coverage_that_fits_its_colours(light):
    coverage = disc(12)
    before = rendered(coverage, np.array(light))
    after = smooth_coverage(before)
    assert after.dtype == np.float32 and np.array_equal(after[..., :3], before[..., :3])
    assert error(after, coverage) < error(before, coverage) / 2


def test_a_sharp_edge_stays_sharp():
    coverage = disc(0.01)
    after = smooth_coverage(rendered(coverage, np.array([0.8, 0.8, 0.8])))
    assert error(after, coverage) < 0.01


@pytest.mark.blender
def test_what_is_out_of_focus_gets_no_specks_before_a_bright_background(render):
    scenes = {
        shape: Parameters(
            Placed(shape, 1.2, (20, 30, 40)),
            Camera((0.0, -2.5, 0.5), aperture=0.15, focus=1.0),
            environment=Environment(strength=0.3),
        )
        for shape in ("cube", "sphere", "bar")
    }
    yellow = Background("colour", (0.8, 0.8, 0.2))
    few = render(scenes, samples=4, denoiser="fast")
    many = render(scenes, samples=512, denoiser="none")

    def error(shape, change):
        found, expected = (composite(each, yellow, None) for each in (change, many[shape].colour))
        return float(np.mean((found.astype(float) - expected) ** 2))

    for shape in scenes:
        smooth = error(shape, smooth_coverage(few[shape].colour))
        assert smooth < error(shape, few[shape].colour) / 2, shape
