"""Backgrounds are added in linear light, and bytes are sRGB's."""

import numpy as np
import pytest
import torch
from PIL import Image

from gendata.errors import GendataError
from gendata.images import ArrayImages
from gendata.render.backgrounds import (
    Photos,
    composite,
    cut_square,
    from_srgb,
    open_photos,
    to_srgb,
)
from gendata.render.parameters import Background

random = np.random.default_rng(4)


def encode(light: float) -> float:
    """The standard's curve (IEC 61966-2-1), 0 to 1 both ways."""
    return 12.92 * light if light <= 0.0031308 else 1.055 * light ** (1 / 2.4) - 0.055


def photos(*pixels) -> Photos:
    stacked = torch.from_numpy(np.stack(pixels)).permute(0, 3, 1, 2)
    return Photos(ArrayImages("photos", ["a"], stacked, np.zeros(len(pixels), np.int64)))


def test_bytes_are_those_of_the_standard():
    light = np.concatenate([random.random(2000), random.random(500) * 0.01, [0, 1]])
    exact = np.array([255 * encode(value) for value in light])
    off = np.abs(to_srgb(light.astype(np.float32)) - exact)
    assert off.max() < 0.5 + 0.03  # the table's steps, where the curve is steepest


def test_published_values():
    # 18 % grey is 118; half of the light is 188; 1 % of it 25.
    assert to_srgb(np.array([0.18, 0.5, 0.01, 0, 1], np.float32)).tolist() == [
        118,
        188,
        25,
        0,
        255,
    ]
    assert from_srgb(np.array([188], np.uint8)) == pytest.approx(0.5, abs=0.004)


def test_every_byte_comes_back():
    values = np.arange(256, dtype=np.uint8)
    assert np.array_equal(to_srgb(from_srgb(values)), values)


def test_too_bright_is_white_and_below_zero_black():
    assert to_srgb(np.array([7.0, -0.2], np.float32)).tolist() == [255, 0]


@pytest.mark.parametrize("kind", ["none", "colour", "photo", "environment"])
def test_composite_is_the_sum_of_lights(kind):
    alpha = random.random((6, 6, 1)).astype(np.float32)
    colour = np.concatenate([random.random((6, 6, 3)).astype(np.float32) * alpha, alpha], 2)
    photo = random.integers(0, 256, (6, 6, 3), dtype=np.uint8)
    background = Background(kind, colour=(0.2, 0.4, 0.6), photo=0)
    result = composite(colour, background, photos(photo))
    for row, column, channel in np.ndindex(result.shape):
        behind = {
            "none": 0.0,
            "environment": 0.0,
            "colour": background.colour[channel],
            "photo": from_srgb(photo[row, column, channel]),
        }[kind]
        light = colour[row, column, channel] + (1 - alpha[row, column, 0]) * behind
        assert abs(result[row, column, channel] - 255 * encode(min(1, light))) < 0.53


def test_blending_bytes_would_be_darker():
    half = np.full((1, 1, 4), 0.5, np.float32)  # white, covering half of the pixel
    black = composite(half, Background(), None)
    white = composite(half, Background("colour", (1.0, 1.0, 1.0)), None)
    assert black[0, 0, 0] == 188 and white[0, 0, 0] == 255  # not 128


def test_crop_takes_the_square_it_says():
    photo = np.zeros((40, 60, 3), np.uint8)
    photo[10:30, 25:45] = 255  # 20 pixels a side, its corner at (25, 10)
    crop = (25 / 40, 0.5, 0.5)  # shares of the 40 columns and 20 rows beside a side of 20
    assert cut_square(photo, crop, False, 20).min() == 1.0
    shifted = cut_square(photo, (24 / 40, 0.5, 0.5), False, 20)
    assert shifted[:, 0].max() == 0 and shifted[:, 1:].min() == 1
    mirrored = cut_square(photo, (24 / 40, 0.5, 0.5), True, 20)
    assert np.array_equal(mirrored, shifted[:, ::-1])


@pytest.mark.parametrize("shape", [(5, 9), (9, 5), (1, 1), (7, 7)])
@pytest.mark.parametrize("crop", [(0, 0, 1), (1, 1, 1), (1, 1, 0.01), (0.3, 0.9, 0.7)])
def test_any_crop_lies_inside_any_photo(shape, crop):
    photo = random.integers(0, 256, (*shape, 3), dtype=np.uint8)
    result = cut_square(photo, crop, False, 8)
    assert result.shape == (8, 8, 3) and result.dtype == np.float32
    light = from_srgb(photo)
    assert light.min() - 1e-6 <= result.min() and result.max() <= light.max() + 1e-6


def test_shrinking_averages_light():
    photo = np.zeros((64, 64, 3), np.uint8)
    photo[:, ::2] = 255
    middle = to_srgb(cut_square(photo, (0, 0, 1), False, 8))[2:6, 2:6]
    assert np.all(np.abs(middle.astype(int) - 188) <= 2)  # half the light, not half the byte


def test_photos_come_from_any_reference(tmp_path):
    for name, value in (("a", 10), ("b", 200)):
        (tmp_path / name).mkdir()
        Image.new("RGB", (9, 6), (value, value, value)).save(tmp_path / name / "x.png")
    opened = open_photos(str(tmp_path))
    assert len(opened) == 2
    colour = np.zeros((4, 4, 4), np.float32)
    assert np.all(composite(colour, Background("photo", photo=1), opened) == 200)
    again = open_photos(str(tmp_path)).settings()
    assert again == opened.settings() and again["photos"] == 2
    Image.new("RGB", (9, 6), (11, 10, 10)).save(tmp_path / "a" / "x.png")
    assert open_photos(str(tmp_path)).settings()["sha256"] != again["sha256"]


def test_a_folder_of_nothing_but_photos(tmp_path):
    for name, value in (("b.jpg", 200), ("a.png", 10)):
        Image.new("RGB", (9, 6), (value, value, value)).save(tmp_path / name)
    (tmp_path / "notes.txt").write_text("who took them")
    opened = open_photos(str(tmp_path))
    assert len(opened) == 2
    colour = np.zeros((4, 4, 4), np.float32)
    assert np.all(composite(colour, Background("photo", photo=0), opened) == 10)


def test_missing_photos_are_mistakes():
    colour = np.zeros((4, 4, 4), np.float32)
    with pytest.raises(GendataError, match="no photos"):
        composite(colour, Background("photo", photo=0), None)
    one = photos(np.zeros((2, 2, 3), np.uint8))
    with pytest.raises(GendataError, match="no photo 3; expected 0…0"):
        composite(colour, Background("photo", photo=3), one)
    with pytest.raises(GendataError, match="kind of background; found sky"):
        composite(colour, Background("sky"), None)
