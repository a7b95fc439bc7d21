import numpy as np
import pytest

from gendata.benchmarks.altered_images import (
    blurred,
    compressed,
    faded,
    noisy,
    shuffled,
    tinted,
)

IMAGES = np.random.default_rng(0).integers(0, 256, (6, 3, 16, 16), dtype=np.uint8)


@pytest.mark.parametrize(
    ("change", "doses"),
    [
        (blurred, (0.5, 0.8, 1.2)),
        (faded, (0.3, 0.6, 1.0)),
        (tinted, (0.1, 0.2, 0.4)),
        (noisy, (5, 10, 20)),
        (compressed, (90, 50, 10)),
    ],
)
def test_a_larger_dose_changes_more(change, doses):
    before = IMAGES.copy()
    away = [np.abs(change(IMAGES, dose).astype(int) - IMAGES).mean() for dose in doses]
    assert 0 < away[0] < away[1] < away[2]
    assert change(IMAGES, doses[0]).dtype == np.uint8
    assert change(IMAGES, doses[0]).shape == IMAGES.shape
    assert (before == IMAGES).all()


def test_what_each_change_leaves():
    grey = faded(IMAGES, 1.0)
    assert (grey == grey[:, :1]).all()
    assert (tinted(IMAGES, 0.3)[:, 1] == IMAGES[:, 1]).all()
    flat = np.full((1, 3, 16, 16), 90, dtype=np.uint8)
    assert (blurred(flat, 1.2) == flat).all()


def test_blur_is_a_convolution():
    point = np.zeros((1, 3, 15, 15), dtype=np.uint8)
    point[..., 7, 7] = 255
    distance = np.arange(-2, 3)
    kernel = np.exp(-(distance**2) / (2 * 0.5**2))
    wanted = 255 * np.outer(kernel, kernel) / kernel.sum() ** 2
    assert np.abs(blurred(point, 0.5)[0, 0, 5:10, 5:10] - wanted).max() <= 0.5


def test_tiles_are_moved_whole():
    moved = shuffled(IMAGES, 4)
    assert (moved != IMAGES).any()

    def tiles(image):
        return sorted(
            image[:, y : y + 4, x : x + 4].tobytes()
            for y in range(0, 16, 4)
            for x in range(0, 16, 4)
        )

    for image, found in zip(IMAGES, moved, strict=True):
        assert tiles(image) == tiles(found)


def test_a_share_of_the_images_is_cut():
    changed = (shuffled(IMAGES, 4, 0.5) != IMAGES).any(axis=(1, 2, 3))
    assert changed.sum() == 3
    assert (shuffled(IMAGES, 4, 0.5) == shuffled(IMAGES, 4, 0.5)).all()


def test_what_does_not_divide_stays_at_the_border():
    images = IMAGES[:, :, :14, :15]
    moved = shuffled(images, 4)
    assert (moved[:, :, 12:] == images[:, :, 12:]).all()
    assert (moved[:, :, :, 12:] == images[:, :, :, 12:]).all()
