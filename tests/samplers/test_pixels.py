import pytest
import torch

from gendata.errors import GendataError, UnusableImages
from gendata.samplers.pixels import to_uint8


def test_every_float_becomes_the_byte_of_the_rule():
    """(x + 1) * 127.5, clamped, half to even: against Python's own rounding."""
    values = [-2.0, -1.0, -0.5, 0.0, 0.25, 0.5, 0.996, 1.0, 7.0]
    image = torch.tensor(values).view(1, 1, 3, 3)
    expected = [round(min(255.0, max(0.0, (value + 1) * 127.5))) for value in values]
    assert to_uint8(image)[0, 1].flatten().tolist() == expected
    assert expected[3] == 128 and expected[0] == 0 and expected[-1] == 255


def test_halves_go_to_even():
    exact = torch.tensor([0.0, 2 / 255, 4 / 255], dtype=torch.float64).view(1, 1, 1, 3)
    assert to_uint8(exact)[0, 0].flatten().tolist() == [128, 128, 130]  # 127.5, 128.5, 129.5


def test_bytes_survive_the_round_trip():
    image = torch.arange(256).view(1, 1, 16, 16)
    assert torch.equal(to_uint8(image / 127.5 - 1)[:, :1], image.to(torch.uint8))


def test_infinite_images_are_refused_and_the_others_kept():
    images = torch.zeros(3, 3, 2, 2)
    images[1, 2, 1, 1] = torch.inf
    with pytest.raises(UnusableImages) as caught:
        to_uint8(images)
    assert caught.value.bad.tolist() == [False, True, False] and caught.value.reason == "nan"
    assert caught.value.images[[0, 2]].eq(128).all() and not caught.value.images[1].any()


def test_two_channels_are_no_image():
    with pytest.raises(GendataError, match="2 channels"):
        to_uint8(torch.zeros(1, 2, 4, 4))
