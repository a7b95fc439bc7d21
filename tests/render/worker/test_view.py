"""The filmic view, against the file that Blender itself writes of the same picture."""

import numpy as np
import pytest
from PIL import Image

pytestmark = pytest.mark.blender

CODE = """
import bpy
from gendata.render.worker.view import display, prepare_view
generator = np.random.default_rng(0)
colour = generator.uniform(0, 1, (16, 16, 4)).astype(np.float32) ** 3
colour[..., :3] *= 6
colour[..., 3] = 1
colour[0, :4, :3] = [[0, 0, 0], [1, 1, 1], [20, 0, 0], [0.18, 0.18, 0.18]]
prepare_view("filmic")
found["ours"] = display(colour, "filmic")
half = colour.copy()
half *= 0.5
half[0, 0] = 0
found["half"] = display(half, "filmic")
found["standard"] = display(colour, "standard")
found["colour"] = colour

image = bpy.data.images.new("test", 16, 16, float_buffer=True)
image.colorspace_settings.name = "Linear Rec.709"
image.pixels.foreach_set(colour[::-1].ravel())
scene = bpy.context.scene
scene.view_settings.view_transform = "AgX"
scene.view_settings.look = "None"
scene.render.dither_intensity = 0
scene.render.image_settings.file_format = "PNG"
scene.render.image_settings.color_depth = "16"
scene.render.image_settings.color_mode = "RGB"
scene.render.image_settings.color_depth = "8"
image.save_render(inputs["path"], scene=scene)
"""


@pytest.fixture(scope="module")
def pictures(in_blender, tmp_path_factory):
    path = tmp_path_factory.mktemp("view") / "theirs.png"
    found = in_blender(CODE, path=str(path))
    with Image.open(path) as image:
        return found | {"theirs": np.asarray(image.convert("RGB"))}


def encoded(linear):
    low = linear <= 0.0031308
    return np.where(
        low, 12.92 * linear, 1.055 * np.maximum(linear, 0.0031308) ** (1 / 2.4) - 0.055
    )


def test_filmic_and_srgb_afterwards_is_what_blender_writes(pictures):
    ours = np.round(255 * encoded(pictures["ours"][..., :3]))
    difference = np.abs(ours - pictures["theirs"])
    assert difference.max() <= 2 and (difference <= 1).mean() > 0.99
    assert pictures["theirs"].std() > 30  # there was something to compare


def test_coverage_stays(pictures):
    whole, half = pictures["ours"], pictures["half"]
    np.testing.assert_array_equal(half[1:, :, 3], 0.5)
    np.testing.assert_allclose(half[1:, :, :3], 0.5 * whole[1:, :, :3], atol=1e-5)
    assert (half[0, 0] == 0).all()


def test_the_standard_view_changes_nothing(pictures):
    np.testing.assert_array_equal(pictures["standard"], pictures["colour"])
