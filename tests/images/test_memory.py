import numpy as np
import pytest
import torch
from torchvision.transforms import functional

from gendata.errors import GendataError
from gendata.images import ArrayImages, Subset, decode_all
from gendata.images.resize import resized
from gendata.types import Images


def test_is_an_image_set(small):
    assert isinstance(small, Images)
    image, label = small[4]
    assert image.shape == (3, 8, 6) and label == 1 and isinstance(label, int)
    assert small.labels.dtype == np.int64


@pytest.mark.parametrize(
    ("images", "labels", "message"),
    [
        (torch.zeros(2, 3, 4, 4), [0, 0], "not RGB bytes"),
        (torch.zeros(2, 1, 4, 4, dtype=torch.uint8), [0, 0], "not RGB bytes"),
        (torch.zeros(2, 3, 4, 4, dtype=torch.uint8), [0], "do not belong"),
        (torch.zeros(2, 3, 4, 4, dtype=torch.uint8), [0, 1], "outside its classes"),
        (torch.zeros(2, 3, 4, 4, dtype=torch.uint8), [0, -1], "outside its classes"),
    ],
)
def test_refuses_what_is_not_a_labelled_set(images, labels, message):
    with pytest.raises(GendataError, match=message):
        ArrayImages("x", ["one"], images, labels)


def test_decode_all_keeps_order(small):
    rows = [5, 2, 29, 2]
    decoded = decode_all(Subset(small, rows))
    assert torch.equal(decoded.images, small.images[rows])
    assert decoded.labels.tolist() == small.labels[rows].tolist()
    assert decode_all(small) is small


def test_resize_is_antialiased_and_keeps_the_aspect(square):
    tall = torch.cat([square.images[0], square.images[1]], dim=1)  # 32 x 16
    expected = functional.resize(tall, [16, 8], antialias=True)[:, 4:12]
    assert (resized(tall, 8).int() - expected.int()).abs().max() <= 1  # rounded twice or once
    assert decode_all(square, 8).images.shape == (50, 3, 8, 8)
    checkers = ((torch.arange(16)[:, None] + torch.arange(16)) % 2 * 255).to(torch.uint8)
    shrunk = resized(checkers.expand(3, 16, 16), 4).float()
    assert (shrunk - 127.5).abs().max() < 10  # a resize without a filter would alias
