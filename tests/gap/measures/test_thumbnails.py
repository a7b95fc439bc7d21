import io

import numpy as np
import pytest
import torch
from PIL import Image

from gendata.errors import GendataError
from gendata.gap.measures.thumbnails import (
    mirror_images,
    nearest_either_way,
    pixel_digests,
    thumbnails_of,
)


def pictures(count: int, side: int = 32) -> torch.Tensor:
    """Smooth asymmetric pictures that differ from each other."""
    generator = torch.Generator().manual_seed(0)
    coarse = 255 * torch.rand(count, 3, 5, 5, generator=generator)
    return (
        torch.nn.functional.interpolate(coarse, (side, side), mode="bicubic").clamp(0, 255).byte()
    )


def distances(one: torch.Tensor, other: torch.Tensor) -> np.ndarray:
    return np.linalg.norm(thumbnails_of(one) - thumbnails_of(other), axis=1)


def test_the_distance_is_that_of_a_correlation():
    images = pictures(2)
    small = images.double().reshape(2, 3, 16, 2, 16, 2).mean(dim=(3, 5)).numpy().reshape(2, -1)
    correlation = np.corrcoef(small)[0, 1]
    assert distances(images[:1], images[1:])[0] == pytest.approx((2 - 2 * correlation) ** 0.5)


def test_what_is_done_to_a_copy_hardly_moves_it():
    images = pictures(20).float()
    noise = 12 * torch.randn(images.shape, generator=torch.Generator().manual_seed(1))
    different = np.median(distances(images[:10].byte(), images[10:].byte()))
    limit = 0.15 * different
    for changed in ((images + noise).clamp(0, 255), 0.6 * images, 0.5 * images + 100):
        assert distances(images.byte(), changed.byte()).max() < limit
    for image in images.byte():
        file = io.BytesIO()
        Image.fromarray(image.permute(1, 2, 0).numpy()).save(file, "JPEG", quality=40)
        again = torch.from_numpy(np.array(Image.open(file))).permute(2, 0, 1)
        assert distances(image[None], again[None])[0] < limit


def test_images_of_any_size_are_compared():
    large, small = pictures(3, 96), pictures(3, 24)
    assert distances(large, small).max() < 0.25 < distances(large[:1], small[1:2])[0]


def test_the_noise_of_a_flat_picture_is_not_blown_up():
    flat = torch.full((2, 3, 32, 32), 128, dtype=torch.uint8)
    flat[1, :, 0, 0] = 129
    assert np.linalg.norm(thumbnails_of(flat), axis=1).max() < 0.05
    assert np.isfinite(thumbnails_of(flat)).all()


def test_mirror_images_are_those_of_the_mirrored_pictures():
    images = pictures(4)
    mirrored = mirror_images(thumbnails_of(images))
    np.testing.assert_allclose(mirrored, thumbnails_of(images.flip(3)), atol=1e-6)
    assert np.linalg.norm(mirrored - thumbnails_of(images.flip(2)), axis=1).min() > 0.3


def test_digests_differ_where_one_value_or_the_size_does():
    images = pictures(3)
    images[1] = images[0]
    images[2] = images[0]
    images[2, 0, 0, 0] ^= 1
    first, same, other = pixel_digests(images)
    assert first == same != other
    zeros = torch.zeros(1, 3, 4, 8, dtype=torch.uint8)
    assert pixel_digests(zeros)[0] != pixel_digests(zeros.reshape(1, 3, 8, 4))[0]


@pytest.mark.parametrize("exclude_self", [False, True])
def test_neighbours_equal_a_slow_search(exclude_self):
    images = pictures(40)
    images[7], images[9] = images[3].flip(2), (images[30] + images[30].flip(2)) // 2
    keys = thumbnails_of(images)
    queries = keys if exclude_self else thumbnails_of(pictures(60)[30:])
    found, mirrored = nearest_either_way(queries, keys, 6, exclude_self=exclude_self)
    assert mirrored.any() and not mirrored.all()
    flipped = mirror_images(queries)
    for row in range(len(queries)):
        straight = np.linalg.norm(keys - queries[row], axis=1)
        around = np.linalg.norm(keys - flipped[row], axis=1)
        either = np.minimum(straight, around)
        if exclude_self:
            either[row] = np.inf
        expected = np.argsort(either, kind="stable")[:6]
        np.testing.assert_allclose(found.distances[row], either[expected], atol=1e-5)
        assert set(found.rows[row]) == set(expected)
        nearest = found.rows[row, 0]
        assert mirrored[row] == (around[nearest] < straight[nearest] - 1e-6)


def test_too_few_images_are_refused():
    keys = thumbnails_of(pictures(3))
    with pytest.raises(GendataError, match="too few images"):
        nearest_either_way(keys, keys, 3, exclude_self=True)
