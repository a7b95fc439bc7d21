"""Labels come back from their columns as the renderer gave them."""

import io
import math

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from gendata.errors import GendataError
from gendata.render.labels import (
    DEPTH_STEPS,
    NOTHING,
    check_labels_asked,
    label_fields,
    label_values,
)
from gendata.render.settings import LABELS


@pytest.fixture
def arrays():
    generator = np.random.default_rng(1)
    mask = np.zeros((12, 12), bool)
    mask[3:7, 5:11] = True
    depth = np.where(mask, generator.uniform(0.5, 5, (12, 12)), np.inf).astype(np.float32)
    normal = generator.normal(size=(12, 12, 3)) * mask[..., None]
    length = np.linalg.norm(normal, axis=-1, keepdims=True)
    normal = np.divide(normal, length, out=np.zeros_like(normal), where=length > 0)
    return {"mask": mask, "depth": depth, "normal": normal.astype(np.float32)}


def picture(value) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(value["bytes"])))


def test_values_fit_the_columns(arrays):
    values = label_values(LABELS, arrays, (5.25, -3.5))
    table = pa.Table.from_pylist([values], pa.schema(label_fields(LABELS)))
    assert table.column_names == list(LABELS) and table["centre"][0].as_py() == [5.25, -3.5]


def test_mask_and_box(arrays):
    values = label_values(("mask", "box"), arrays, (0, 0))
    assert np.array_equal(picture(values["mask"]), 255 * arrays["mask"])
    assert values["box"] == [5, 3, 11, 7]
    left, top, right, bottom = values["box"]
    assert arrays["mask"][top:bottom, left:right].all()
    assert arrays["mask"].sum() == (right - left) * (bottom - top)


def test_depth_is_exact_to_a_step(arrays):
    steps = picture(label_values(("depth",), arrays, (0, 0))["depth"]).astype(int)
    seen = arrays["mask"]
    assert np.all(steps[~seen] == NOTHING)
    assert np.abs(steps[seen] / DEPTH_STEPS - arrays["depth"][seen]).max() <= 0.5001 / DEPTH_STEPS
    far = {"depth": np.full((2, 2), 1000.0, np.float32)}
    assert np.all(picture(label_values(("depth",), far, (0, 0))["depth"]) == NOTHING - 1)


def test_normals_come_back_within_half_a_degree(arrays):
    pixels = picture(label_values(("normal",), arrays, (0, 0))["normal"]).astype(float)
    seen = arrays["mask"]
    assert np.all(pixels[~seen] == 128)
    back = (pixels[seen] - 128) / 127
    cosines = (back * arrays["normal"][seen]).sum(-1) / np.linalg.norm(back, axis=-1)
    assert np.degrees(np.arccos(cosines.clip(-1, 1))).max() < 0.5


def test_nothing_seen_has_no_box_and_behind_the_camera_no_centre():
    values = label_values(("box", "centre"), {"mask": np.zeros((3, 3), bool)}, (math.nan, 1.0))
    assert values == {"box": None, "centre": None}


@pytest.mark.parametrize("asked", ["box, mask", ["mask", "box"], ("box", "mask", "mask")])
def test_labels_are_asked_for_in_any_way(asked):
    assert check_labels_asked(asked) == ("mask", "box")


def test_no_and_unknown_labels():
    assert check_labels_asked("") == ()
    with pytest.raises(GendataError, match="no label 'masks'; expected some of mask, depth"):
        check_labels_asked("masks")
