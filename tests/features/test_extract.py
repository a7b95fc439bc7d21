import threading

import numpy as np
import pytest
import torch
from tiny_encoders import channel_statistics, encoder_of
from torch.nn import functional

from gendata.errors import GendataError
from gendata.features.blocks import AHEAD
from gendata.features.encoders import load_encoder
from gendata.features.extract import EncoderCard, Features, extract_features
from gendata.images import ArrayImages, Subset, export_images, open_images
from gendata.images.damage import Damage, DamagedImage

CLASSES = ["cat", "dog", "owl"]


def random_images(count=23, side=12, seed=0) -> ArrayImages:
    generator = torch.Generator().manual_seed(seed)
    pixels = torch.randint(256, (count, 3, side, side), generator=generator, dtype=torch.uint8)
    return ArrayImages("random", CLASSES, pixels, np.arange(count) % 3)


def one_by_one(images, encode) -> np.ndarray:
    """The slow way."""
    rows = [encode(images[row][0][None])[0].float().numpy() for row in range(len(images))]
    return np.stack(rows)


@pytest.mark.parametrize("batch_size", [1, 5, 23, 100])
def test_every_image_has_its_row(batch_size):
    images = random_images()
    encoder = encoder_of(channel_statistics, 6)
    features = extract_features(images, encoder, batch_size=batch_size)
    np.testing.assert_allclose(features.values, one_by_one(images, channel_statistics), rtol=1e-6)
    np.testing.assert_array_equal(features.labels, images.labels)
    np.testing.assert_array_equal(features.rows, np.arange(23))
    assert features.values.dtype == np.float32 and features.labels.dtype == np.int64
    assert features.classes == CLASSES and features.encoder is encoder.card
    assert features.name == "random" and len(features) == 23


def test_a_set_on_the_disk_gives_what_the_same_set_in_memory_gives(tmp_path):
    images = random_images()
    export_images(images, tmp_path / "images")
    encoder = encoder_of(channel_statistics, 6)
    lazy = open_images(tmp_path / "images")
    assert not isinstance(lazy, ArrayImages)
    found = extract_features(lazy, encoder, batch_size=4)
    np.testing.assert_allclose(found.values, one_by_one(lazy, channel_statistics), rtol=1e-6)
    np.testing.assert_array_equal(found.labels, lazy.labels)


def test_a_subset_keeps_its_order():
    images = random_images()
    rows = [7, 2, 2, 19]
    encoder = encoder_of(channel_statistics, 6)
    whole = extract_features(images, encoder)
    part = extract_features(Subset(images, rows), encoder, batch_size=3)
    np.testing.assert_array_equal(part.values, whole.values[rows])
    np.testing.assert_array_equal(part.labels, images.labels[rows])


class Counting:
    """Images that are decoded when asked for, some of which cannot be; counts what is alive."""

    def __init__(self, count, damaged=(), sides=(12,)) -> None:
        self.name, self.classes = "counting", CLASSES
        self.labels = np.arange(count, dtype=np.int64) % 3
        self.error = {row: DamagedImage(Damage(f"{row}.png", "cut")) for row in damaged}
        self.sides, self.decoded, self.most, self.encoded = sides, 0, 0, 0
        self.lock = threading.Lock()

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, row):
        with self.lock:
            self.decoded += 1
            self.most = max(self.most, self.decoded - self.encoded)
        if row in self.error:
            raise self.error[row]
        side = self.sides[row % len(self.sides)]
        return torch.full((3, side, side), row, dtype=torch.uint8), int(self.labels[row])

    def encode(self, images):
        with self.lock:
            self.encoded += len(images)
        return channel_statistics(images)


class Textured:
    """Random pictures of several sizes."""

    def __init__(self, count, sides) -> None:
        self.name, self.classes = "textured", CLASSES
        self.labels = np.arange(count, dtype=np.int64) % 3
        self.pictures = [random_images(1, sides[n % len(sides)], n)[0][0] for n in range(count)]

    def __len__(self) -> int:
        return len(self.pictures)

    def __getitem__(self, row):
        return self.pictures[row], int(self.labels[row])


def test_a_large_set_is_never_in_memory_as_a_whole():
    images = Counting(240)
    features = extract_features(images, encoder_of(images.encode, 6), batch_size=8)
    np.testing.assert_array_equal(features.values[:, 0], np.arange(240))
    assert images.most <= (AHEAD + 2) * 8 + 1  # those waiting, those asked for, the first look


def test_damaged_images_are_left_out_and_reported(caplog):
    images = Counting(20, damaged=(0, 7, 8, 19))
    features = extract_features(images, encoder_of(images.encode, 6), batch_size=4)
    kept = np.setdiff1d(np.arange(20), [0, 7, 8, 19])
    np.testing.assert_array_equal(features.rows, kept)
    np.testing.assert_array_equal(features.values[:, 0], kept)
    np.testing.assert_array_equal(features.labels, kept % 3)
    assert "left out 4 damaged images" in caplog.text and "7.png" in caplog.text


def test_a_set_of_nothing_but_damage_is_an_error():
    images = Counting(5, damaged=range(5))
    with pytest.raises(GendataError, match="holds no image that can be read"):
        extract_features(images, encoder_of(images.encode, 6))


def test_damage_in_a_strict_set_stops(tmp_path):
    export_images(random_images(), tmp_path / "images")
    images = open_images(tmp_path / "images", strict=True)
    path = next((tmp_path / "images").rglob("*.png"))
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(GendataError, match="is damaged"):
        extract_features(images, encoder_of(channel_statistics, 6))


def test_an_empty_set_is_an_error():
    with pytest.raises(GendataError, match="holds no image"):
        extract_features(Subset(random_images(), []), encoder_of(channel_statistics, 6))


def test_images_that_differ_in_size_need_an_encoder_that_resizes(tmp_path):
    images = Counting(9, sides=(12, 16))
    with pytest.raises(GendataError, match=r"12x12 and, in row \d, 16x16.*input_size"):
        extract_features(images, encoder_of(images.encode, 6))


@pytest.mark.parametrize("sides", [(12, 16), (16, 24), (24, 16)])
def test_images_of_many_sizes_are_resized_as_each_alone_would_be(sides):
    encoder = load_encoder(input_size=24, device="cpu")
    textured = Textured(9, sides)
    found = extract_features(textured, encoder, batch_size=4)
    expected = one_by_one(textured, encoder.features)
    np.testing.assert_allclose(found.values, expected, rtol=1e-3, atol=1e-4)
    assert np.ptp(expected, axis=0).max() > 0.1


def test_what_an_encoder_prepares_is_what_it_sees():
    images = random_images()

    def halved(image):
        return functional.avg_pool2d(image.float(), 2)

    encoder = encoder_of(channel_statistics, 6, prepare=halved)
    found = extract_features(images, encoder, batch_size=6)
    expected = one_by_one(images, lambda image: channel_statistics(halved(image)))
    np.testing.assert_allclose(found.values, expected, rtol=1e-6)
    torch.testing.assert_close(encoder.features(images.images), torch.from_numpy(found.values))


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_features_that_are_not_finite_are_an_error_that_names_the_row(bad):
    images = random_images()
    spoilt = images.images[13]

    def encode(batch):
        features = channel_statistics(batch)
        features[(batch == spoilt).flatten(1).all(dim=1), 2] = bad
        return features

    with pytest.raises(GendataError, match=rf"not finite; found {bad} for row 13 \(class 'dog'\)"):
        extract_features(images, encoder_of(encode, 6), batch_size=5)


def test_features_of_another_width_than_promised_are_an_error():
    with pytest.raises(GendataError, match=r"changed the shape.*found \(5, 6\).*\(5, 7\)"):
        extract_features(random_images(), encoder_of(channel_statistics, 7), batch_size=5)


def test_a_batch_of_nothing_is_an_error():
    with pytest.raises(GendataError, match="the batch is empty"):
        extract_features(random_images(), encoder_of(channel_statistics, 6), batch_size=0)


def test_features_check_what_they_are_made_of():
    card = EncoderCard("tiny", "none", None, 2, "test")
    values, labels = np.zeros((3, 2), np.float32), np.zeros(3, np.int64)
    assert len(Features(values, labels, CLASSES, card)) == 3
    with pytest.raises(GendataError, match="no float32 matrix"):
        Features(values.astype(np.float64), labels, CLASSES, card)
    with pytest.raises(GendataError, match="no float32 matrix"):
        Features(values[0], labels, CLASSES, card)
    with pytest.raises(GendataError, match="do not belong"):
        Features(values, labels[:2], CLASSES, card)


def test_an_encoder_card_is_plain_data():
    assert EncoderCard("tiny", "none", None, 2, "test").to_json() == {
        "name": "tiny",
        "resize": "none",
        "input_size": None,
        "feature_dim": 2,
        "version": "test",
        "digest": "",
        "pixels": "",
    }
