import numpy as np
import pytest

from gendata.errors import GendataError
from gendata.images import open_images

RANDOM = np.random.default_rng(0)
COLOUR = RANDOM.integers(0, 256, (6, 5, 7, 3), dtype=np.uint8)


def save(path, images, labels=(0, 1, 2, 0, 1, 2), **others):
    np.savez(path, images=images, labels=np.asarray(labels), **others)
    return path


@pytest.mark.parametrize(
    ("images", "expected"),
    [
        (COLOUR, COLOUR),
        (COLOUR.transpose(0, 3, 1, 2), COLOUR),
        (COLOUR[..., 0], np.repeat(COLOUR[..., :1], 3, -1)),
        (COLOUR[..., :1], np.repeat(COLOUR[..., :1], 3, -1)),
        (COLOUR[:, None, :, :, 0], np.repeat(COLOUR[..., :1], 3, -1)),
        (COLOUR.astype(np.uint16) * 257, COLOUR),
        (np.concatenate([COLOUR, np.full((6, 5, 7, 1), 255, np.uint8)], -1), COLOUR),
    ],
)
def test_layouts(tmp_path, images, expected):
    opened = open_images(save(tmp_path / "x.npz", images))
    assert np.array_equal(opened.images.permute(0, 2, 3, 1).numpy(), expected)
    assert opened.classes == ["0", "1", "2"] and opened.labels.tolist() == [0, 1, 2, 0, 1, 2]


def test_class_names(tmp_path):
    path = save(tmp_path / "x.npz", COLOUR, np.zeros((6, 1), int), classes=np.array(["a", "ß<b>"]))
    assert open_images(f"npz:{path}").classes == ["a", "ß<b>"]


@pytest.mark.parametrize(
    ("images", "labels", "message"),
    [
        (COLOUR / 255, [0] * 6, "not pictures; found float64 .*numpy.rint"),
        (COLOUR[0, 0], [0] * 6, "not pictures"),
        (COLOUR, [0.5] * 6, "not numbers; found float64"),
        (COLOUR, [0] * 5, "do not belong"),
        (COLOUR, [-1] * 6, "outside its classes"),
        (COLOUR, np.array([None] * 6), "cannot be read"),
    ],
)
def test_arrays_that_are_not_sets(tmp_path, images, labels, message):
    with pytest.raises(GendataError, match=message):
        open_images(save(tmp_path / "x.npz", images, labels))


def test_files_that_are_not_archives(tmp_path):
    path = tmp_path / "x.npz"
    np.savez(path, x=COLOUR)
    with pytest.raises(GendataError, match="lacks arrays; found x; expected images and labels"):
        open_images(path)
    save(path, COLOUR)
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(GendataError, match="cannot be read"):
        open_images(path)
    np.save(tmp_path / "y.npy", COLOUR)
    with pytest.raises(GendataError, match="holds one array"):
        open_images(f"npz:{tmp_path / 'y.npy'}")


def test_embedded_set():
    train, test = open_images("fashion-mnist:train"), open_images("fashion-mnist:test")
    assert np.bincount(train.labels).tolist() == [1000] * 10
    assert np.bincount(test.labels).tolist() == [1000] * 10
    assert train.classes[9] == "Ankle boot" and train.images.shape == (10000, 3, 28, 28)
    with pytest.raises(GendataError, match="no split 'val'; expected fashion-mnist:train or"):
        open_images("fashion-mnist:val")
