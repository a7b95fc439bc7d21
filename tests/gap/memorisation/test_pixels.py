import numpy as np
from toy_pictures import ellipses

from gendata.gap.memorisation.pixels import pixels_of, read_pixels
from gendata.images import ArrayImages


def test_a_set_is_read_like_its_images_in_memory():
    images = ellipses(70, 0)
    expected = pixels_of(images)
    found = read_pixels(ArrayImages("toy", ["one"], images, np.zeros(70)))
    for name in ("digests", "mirrored"):
        assert getattr(found, name).tolist() == getattr(expected, name).tolist()
    np.testing.assert_allclose(found.thumbnails, expected.thumbnails, atol=1e-6)
    assert found.mirrored.tolist() == pixels_of(images.flip(3)).digests.tolist()


def test_rows_are_read_in_their_order():
    images = ellipses(9, 0)
    rows = np.array([4, 1, 8])
    found = read_pixels(ArrayImages("toy", ["one"], images, np.zeros(9)), rows)
    assert found.digests.tolist() == pixels_of(images).digests[rows].tolist()
    assert len(found) == 3
