import numpy as np
import pytest
import torch
from torchvision.transforms.v2 import functional

from gendata.errors import GendataError
from gendata.images.augment import (
    AUGMENTATIONS,
    DRAWS,
    augment,
    check_augmentation,
    padded,
    uniforms,
)


def draws(count, seed=0):
    return uniforms(seed, np.arange(count), np.zeros(count, dtype=np.int64), DRAWS)


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
    off_diagonal = np.corrcoef(numbers.T) - np.eye(DRAWS)
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


def plain(count):
    """Draws under which "strong-blur" changes nothing."""
    numbers = draws(count)
    numbers[:, 3], numbers[:, 4] = 1, 0.5  # all of the area, square
    numbers[:, 2], numbers[:, [10, 12, 13]] = 0.9, 0.95  # no flip, jitter, grey, blur
    return numbers


def pictures(count=4, side=32):
    generator = torch.Generator().manual_seed(5)
    return torch.randint(0, 256, (count, 3, side, side), generator=generator).to(torch.uint8)


def strongly(images, numbers):
    places = torch.arange(len(images))
    return augment("strong-blur", images, places, tuple(images.shape[2:]), numbers)


def test_strong_blur_may_leave_an_image_as_it_is():
    assert torch.equal(strongly(pictures(), plain(4)), pictures())


@pytest.mark.parametrize("turn", [-0.1, -0.03, 0.05, 0.1])
def test_hue_against_torchvision(turn):
    numbers = plain(4)
    numbers[:, 10], numbers[:, 7:10], numbers[:, 11] = 0.0, 0.5, (turn / 0.1 + 1) / 2
    result = strongly(pictures(), numbers)
    expected = functional.adjust_hue(pictures(), turn)
    assert (result.int() - expected.int()).abs().max() <= 3
    assert (result.int() - pictures().int()).abs().float().mean() > 5


def test_jitter_is_half_as_strong_in_saturation():
    numbers = plain(4)
    numbers[:, 10], numbers[:, 7:9], numbers[:, 9], numbers[:, 11] = 0.0, 0.5, 1.0, 0.5
    expected = functional.adjust_saturation(pictures(), 1.2)
    assert (strongly(pictures(), numbers).int() - expected.int()).abs().max() <= 3


def test_grey_against_torchvision():
    numbers = plain(4)
    numbers[:, 12] = 0.1
    result = strongly(pictures(), numbers)
    assert torch.equal(result[:, 0], result[:, 2])
    expected = functional.rgb_to_grayscale(pictures(), 3)
    assert (result.int() - expected.int()).abs().max() <= 1


@pytest.mark.parametrize("sigma", [0.5, 1.0, 2.0])
def test_blur_against_torchvision(sigma):
    numbers = plain(1)
    numbers[:, 13], numbers[:, 14] = 0.0, (sigma - 0.1) / 1.9
    image = pictures(1, 224)
    expected = functional.gaussian_blur(image, [13, 13], [sigma, sigma])
    inner = (..., slice(6, -6), slice(6, -6))  # torchvision reflects at the border
    difference = (strongly(image, numbers).int() - expected.int())[inner].abs()
    assert difference.max() <= 1
    flat = torch.full_like(image, 200)
    assert torch.equal(strongly(flat, numbers), flat)


def test_blur_is_in_proportion_to_the_image():
    numbers = plain(1)
    numbers[:, 13], numbers[:, 14] = 0.0, 1.0
    dot = torch.zeros(1, 3, 112, 112, dtype=torch.uint8)
    dot[..., 56, 56] = 255
    spread = strongly(dot, numbers)[0, 0].double()
    middle = torch.arange(112) - 56.0
    variance = (spread.sum(0) * middle**2).sum() / spread.sum()
    assert variance.item() == pytest.approx(1.0, abs=0.1)  # sigma 2 at 224 pixels, 1 at 112


def test_shares_of_the_changed_images():
    count = 4000
    numbers = draws(count)
    numbers[:, 3], numbers[:, 4], numbers[:, 2] = 1, 0.5, 0.9
    colours = torch.tensor([200, 90, 30], dtype=torch.uint8).view(1, 3, 1, 1)
    images = colours.expand(count, 3, 8, 8).contiguous()
    grey = (strongly(images, numbers).float().std(dim=1) == 0).all(dim=(1, 2))
    assert grey.float().mean().item() == pytest.approx(0.2, abs=0.02)
    unjittered = (strongly(images, numbers) == images).flatten(1).all(dim=1)
    assert unjittered.float().mean().item() == pytest.approx(0.2 * 0.8, abs=0.02)


def test_far_zoom_reaches_small_boxes():
    """The area of the box is uniform between 8 % and all of the image."""
    numbers = plain(2000)
    numbers[:, 3] = draws(2000)[:, 3]
    ramp = torch.arange(0, 256, 8, dtype=torch.uint8).expand(2000, 3, 32, 32).contiguous()
    span = strongly(ramp, numbers).float()[:, 0, 16].diff(dim=1).clamp(min=0).sum(dim=1)
    shares = (span / 248 * 32 / 31).clamp(max=1) ** 2
    assert shares.min() < 0.12 and abs(shares.mean().item() - 0.54) < 0.05
