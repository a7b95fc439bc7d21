import base64
import io

import numpy as np
import torch
from PIL import Image

from gendata.page.sprites import sprite_of


def decoded(sprite):
    content = base64.b64decode(sprite.address.removeprefix("data:image/png;base64,"))
    return np.asarray(Image.open(io.BytesIO(content)).convert("RGBA"))


def test_small_images_are_kept_to_the_pixel_side_by_side():
    images = torch.randint(0, 256, (3, 3, 28, 28), dtype=torch.uint8)
    sprite = sprite_of(list(images), slots=4)
    pixels = decoded(sprite)
    assert pixels.shape == (28, 4 * 28 + 3 * 2, 4)
    for slot, image in enumerate(images):
        tile = pixels[:, slot * 30 : slot * 30 + 28]
        assert (tile[..., :3] == image.permute(1, 2, 0).numpy()).all()
        assert (tile[..., 3] == 255).all()
    assert (pixels[:, 28:30, 3] == 0).all() and (pixels[:, 90:, 3] == 0).all()
    assert (sprite.width, sprite.height) == (2 * 118, 56)


def test_grey_images_take_a_smaller_file():
    grey = np.repeat(np.random.default_rng(0).integers(0, 256, (1, 28, 28), np.uint8), 3, 0)
    colour = np.random.default_rng(0).integers(0, 256, (3, 28, 28), np.uint8)
    small, large = sprite_of([grey], 1), sprite_of([colour], 1)
    assert len(small.address) < 0.5 * len(large.address)
    assert (decoded(small)[..., 0] == grey[0]).all()


def test_large_and_uneven_images_become_thumbnails_in_their_proportions():
    wide = np.full((3, 100, 200), 255, np.uint8)
    small = np.full((3, 8, 8), 255, np.uint8)
    opaque = decoded(sprite_of([wide, small], 2))[..., 3] == 255
    assert opaque.shape[0] == 64
    assert opaque[:, :64].sum() == 64 * 32 and opaque[:, 68:].sum() == 64


def test_no_image_leaves_an_empty_row():
    assert not decoded(sprite_of([], 3))[..., 3].any()
