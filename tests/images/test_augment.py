import numpy as np
import pytest
import torch
from torchvision.transforms.v2 import functional

from gendata.errors import GendataError
from gendata.images.augment import AUGMENTATIONS, augment, check_augmentation, padded, uniforms


def draws(count, seed=0):
    return uniforms(seed, np.arange(count), np.zeros(count, dtype=np.int64), 10)


def slow_uniform(key, row, counter, number):
    """SplitMix64 in Python's own integers."""
    mask, step = 2**64 - 1, 0x9E3779B97F4A7C15

    def mix(z):
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 & mask
        z = (z ^ (z >> 27)) * 0x94D049BB133111EB & mask
        return z ^ (z >> 31)

    state = mix(mix(mix(key + row * step & mask) + counter * step & mask) + number * step & mask)
    return (state >> 11) / 2**53


def test_uniforms_against_plain_integers():
    rows, counters = np.array([0, 5, 10**6]), np.array([0, 7, 2**40])
    result = uniforms(2**62 + 11, rows, counters, 4)
    for place, (row, counter) in enumerate(zip(rows.tolist(), counters.tolist(), strict=True)):
        expected = [slow_uniform(2**62 + 11, row, counter, number) for number in range(1, 5)]
        assert result[place].tolist() == expected


def test_uniforms_are_uniform_and_uncorrelated():
    numbers = draws(20000)
    assert abs(numbers.mean() - 0.5) < 0.005 and abs(numbers.std() - 12**-0.5) < 0.005
    off_diagonal = np.corrcoef(numbers.T) - np.eye(10)
    assert np.abs(off_diagonal).max() < 0.03
    assert np.abs(np.corrcoef(numbers[:-1, 0], numbers[1:, 0])[0, 1]) < 0.03


@pytest.mark.parametrize("name", ["none", "crop", "flip", "crop-flip", "weak"])
@pytest.mark.parametrize("shape", [(32, 32), (16, 24)])
def test_crops_and_flips_against_a_loop(name, shape):
    images = torch.randint(0, 256, (40, 3, *shape), dtype=torch.uint8)
    places, numbers = torch.randint(0, 40, (64,)), draws(64)
    result = augment(name, padded(images, name), places, shape, numbers)
    border = min(shape) // 8
    for place, image, (down, right, flip, *_) in zip(places, result, numbers, strict=True):
        expected = images[place]
        if name != "none" and "flip" != name:
            black = torch.zeros(3, shape[0] + 2 * border, shape[1] + 2 * border).to(torch.uint8)
            black[:, border : border + shape[0], border : border + shape[1]] = expected
            top, left = int(down * (2 * border + 1)), int(right * (2 * border + 1))
            expected = black[:, top : top + shape[0], left : left + shape[1]]
        if name not in ("none", "crop") and flip < 0.5:
            expected = torch.flip(expected, [2])
        assert torch.equal(image, expected)


def test_crop_reaches_every_offset():
    image = torch.arange(1, 33, dtype=torch.uint8).expand(1, 3, 32, 32)
    result = augment(
        "crop", padded(image, "crop"), torch.zeros(500, dtype=torch.int64), (32, 32), draws(500)
    )
    assert result[:, 0, 16, 16].unique().tolist() == list(range(13, 22))


def test_zoom_of_the_whole_image_is_the_image():
    numbers = draws(3)
    numbers[:, 3], numbers[:, 4] = 1, 0.5  # all of the area, square
    numbers[:, 2], numbers[:, 7:10] = 0.9, 0.5  # no flip, colours as they are
    images = torch.randint(0, 256, (3, 3, 16, 16), dtype=torch.uint8)
    assert torch.equal(augment("strong", images, torch.arange(3), (16, 16), numbers), images)


def test_zoom_against_torchvision():
    """Resampling a box agrees with bilinear resizing of that box inside, up to rounding."""
    numbers = draws(1)
    area = 0.25
    numbers[:, 3], numbers[:, 4] = (area - 0.2) / 0.8, 0.5
    numbers[:, 5], numbers[:, 6] = 0.5, 0.25  # top 8 of 16 free, left 4 of 16 free
    numbers[:, 2], numbers[:, 7:10] = 0.9, 0.5
    images = torch.randint(0, 256, (1, 3, 32, 32), dtype=torch.uint8)
    result = augment("strong", images, torch.zeros(1, dtype=torch.int64), (32, 32), numbers)[0]
    expected = functional.resize(images[0, :, 8:24, 4:20], [32, 32], antialias=False)
    inner = (slice(None), slice(2, -2), slice(2, -2))  # outside, torchvision clamps to the box
    difference = (result.int() - expected.int())[inner].abs()
    assert difference.max() <= 2


@pytest.mark.parametrize(
    ("column", "adjust"),
    [
        (7, functional.adjust_brightness),
        (8, functional.adjust_contrast),
        (9, functional.adjust_saturation),
    ],
)
def test_colours_against_torchvision(column, adjust):
    numbers = draws(1)
    numbers[:, 3:5] = 1, 0.5
    numbers[:, 2], numbers[:, 7:10] = 0.9, 0.5
    numbers[:, column] = 0.9  # a factor of 1 + 0.4 * 0.8
    images = torch.randint(0, 256, (1, 3, 16, 16), dtype=torch.uint8)
    result = augment("strong", images, torch.zeros(1, dtype=torch.int64), (16, 16), numbers)[0]
    expected = adjust(images[0], 1.32)
    assert (result.int() - expected.int()).abs().max() <= 3
    assert (result.int() - images[0].int()).abs().float().mean() > 5


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_an_image_does_not_depend_on_its_batch(name):
    images = torch.randint(0, 256, (20, 3, 32, 32), dtype=torch.uint8)
    numbers, store = draws(20), padded(images, name)
    whole = augment(name, store, torch.arange(20), (32, 32), numbers)
    alone = [
        augment(name, store, torch.tensor([i]), (32, 32), numbers[i : i + 1]) for i in range(20)
    ]
    assert torch.equal(whole, torch.cat(alone))
    assert whole.dtype == torch.uint8 and whole.shape == images.shape


def test_the_store_is_left_as_it_was():
    images = torch.randint(0, 256, (20, 3, 32, 32), dtype=torch.uint8)
    before = images.clone()
    for name in AUGMENTATIONS:
        augment(name, padded(images, name), torch.arange(20), (32, 32), draws(20))
    assert torch.equal(images, before)


def test_unknown_augmentation():
    with pytest.raises(GendataError, match="unknown augmentation 'mild'; expected one of none"):
        check_augmentation("mild")
