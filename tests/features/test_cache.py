import numpy as np
import pytest
import torch
from tiny_encoders import channel_statistics, encoder_of

from gendata.errors import GendataError
from gendata.features.extract import extract_features
from gendata.images import ArrayImages, Subset, export_images, open_images
from gendata.images.damage import Damage, DamagedImage


class Spy:
    """Counts the images that it encodes."""

    def __init__(self) -> None:
        self.seen = 0

    def __call__(self, images):
        self.seen += len(images)
        return channel_statistics(images)


@pytest.fixture
def images():
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(256, (600, 3, 4, 4), generator=generator, dtype=torch.uint8)
    return ArrayImages("random", ["cat", "dog"], pixels, np.arange(600) % 2)


@pytest.fixture
def spy():
    return Spy()


def the_file(folder):
    (file,) = folder.iterdir()
    assert file.name.startswith("features-") and file.suffix == ".npz"
    return file


def test_the_second_time_nothing_is_computed(images, spy, tmp_path):
    first = extract_features(images, encoder_of(spy, 6), cache=tmp_path / "cache")
    assert spy.seen == 600
    again = extract_features(images, encoder_of(spy, 6), cache=tmp_path / "cache")
    assert spy.seen == 600
    np.testing.assert_array_equal(again.values, first.values)
    np.testing.assert_array_equal(again.labels, images.labels)
    np.testing.assert_array_equal(again.rows, first.rows)
    assert again.encoder == first.encoder and again.classes == ["cat", "dog"]
    the_file(tmp_path / "cache")


def test_one_other_pixel_is_another_set(images, spy, tmp_path):
    extract_features(images, encoder_of(spy, 6), cache=tmp_path)
    pixels = images.images.clone()
    pixels[1, 0, 0, 0] ^= 1  # a row that the fingerprint of a long set does not look at
    other = ArrayImages("random", images.classes, pixels, images.labels)
    found = extract_features(other, encoder_of(spy, 6), cache=tmp_path)
    assert spy.seen == 1200
    expected = channel_statistics(pixels).float().numpy()
    np.testing.assert_allclose(found.values, expected, rtol=1e-6)


def test_other_labels_or_another_encoder_are_not_mixed_up(images, spy, tmp_path):
    extract_features(images, encoder_of(spy, 6), cache=tmp_path)
    relabelled = ArrayImages("random", images.classes, images.images, 1 - images.labels)
    found = extract_features(relabelled, encoder_of(spy, 6), cache=tmp_path)
    np.testing.assert_array_equal(found.labels, relabelled.labels)
    extract_features(images, encoder_of(spy, 6, name="other"), cache=tmp_path)
    assert spy.seen == 1800 and len(list(tmp_path.iterdir())) == 3


def test_a_folder_of_files_is_recognised_too(images, spy, tmp_path):
    export_images(Subset(images, range(30)), tmp_path / "images")
    for _ in range(2):
        extract_features(
            open_images(tmp_path / "images"), encoder_of(spy, 6), cache=tmp_path / "cache"
        )
    assert spy.seen == 30


@pytest.mark.parametrize("damage", ["cut", "noise", "empty", "flipped"])
def test_a_damaged_file_is_computed_again_and_replaced(images, spy, tmp_path, damage, caplog):
    first = extract_features(images, encoder_of(spy, 6), cache=tmp_path)
    file = the_file(tmp_path)
    content = file.read_bytes()
    middle = len(content) // 2
    file.write_bytes(
        {
            "cut": content[:middle],
            "noise": b"noise" * 50,
            "empty": b"",
            "flipped": content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :],
        }[damage]
    )
    again = extract_features(images, encoder_of(spy, 6), cache=tmp_path)
    assert spy.seen == 1200 and "are damaged" in caplog.text
    np.testing.assert_array_equal(again.values, first.values)
    extract_features(images, encoder_of(spy, 6), cache=tmp_path)
    assert spy.seen == 1200 and the_file(tmp_path) == file


@pytest.mark.parametrize(
    "change",
    [
        {"values": np.zeros((600, 7), np.float32)},
        {"values": np.zeros((600, 6))},
        {"values": np.full((600, 6), np.nan, np.float32)},
        {"rows": np.arange(600)[::-1].copy()},
        {"rows": np.arange(600) + 1},
        {"rows": np.arange(599)},
        {"rows": np.zeros((600, 1), np.int64)},
        {"rows": np.array([{}] * 600, dtype=object)},
    ],
    ids=["width", "precision", "nan", "reversed", "outside", "short", "shape", "objects"],
)
def test_a_file_that_cannot_be_ours_is_computed_again(images, spy, tmp_path, change):
    first = extract_features(images, encoder_of(spy, 6), cache=tmp_path)
    np.savez(the_file(tmp_path), **({"values": first.values, "rows": first.rows} | change))
    again = extract_features(images, encoder_of(spy, 6), cache=tmp_path)
    assert spy.seen == 1200
    np.testing.assert_array_equal(again.values, first.values)


class OneDamaged(Subset):
    """The third image cannot be read."""

    def __getitem__(self, index):
        if index == 2:
            raise DamagedImage(Damage("2.png", "cut"))
        return super().__getitem__(index)


def test_what_was_left_out_stays_left_out_and_is_said_again(images, spy, tmp_path, caplog):
    damaged = OneDamaged(images, range(5))
    for _ in range(2):
        caplog.clear()
        found = extract_features(damaged, encoder_of(spy, 6), cache=tmp_path)
        assert "left out 1 damaged image" in caplog.text
        np.testing.assert_array_equal(found.rows, [0, 1, 3, 4])
        np.testing.assert_array_equal(found.labels, images.labels[[0, 1, 3, 4]])
    assert spy.seen == 4


def test_a_place_that_cannot_be_written_is_an_error(images, spy, tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(GendataError, match="cannot write"):
        extract_features(images, encoder_of(spy, 6), cache=tmp_path / "file")


def test_a_failed_computation_leaves_nothing(images, tmp_path):
    with pytest.raises(GendataError, match="not finite"):
        extract_features(
            images, encoder_of(lambda batch: channel_statistics(batch) * np.nan, 6), cache=tmp_path
        )
    assert list(tmp_path.iterdir()) == []
