"""Image sets are told apart by what they hold, wherever it lies."""

import shutil

import numpy as np
import pytest
from PIL import Image

from gendata.images import fingerprint, open_images
from gendata.images.fingerprint import image_set_digest


@pytest.fixture
def folder(tmp_path):
    random = np.random.default_rng(0)
    for number in range(12):
        path = tmp_path / "set" / ("ant", "bee")[number % 2] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(random.integers(0, 256, (8, 8, 3), np.uint8)).save(path)
    return tmp_path / "set"


def digest(folder):
    return image_set_digest(open_images(folder))


def test_the_place_does_not_matter(folder, tmp_path):
    before = digest(folder)
    shutil.move(folder, tmp_path / "moved")
    assert digest(tmp_path / "moved") == before


def test_any_file_of_another_size_is_seen(folder, monkeypatch):
    monkeypatch.setattr(fingerprint, "READ", 2)  # the first and the last
    before = digest(folder)
    Image.new("RGB", (8, 8)).save(folder / "ant" / "4.png")
    assert digest(folder) != before


def test_pixels_labels_and_readers_decide(folder):
    found = {digest(folder)}
    images = open_images(folder)
    found.add(image_set_digest(images, lambda row: images[row][0] ^ 1))
    (folder / "ant" / "2.png").rename(folder / "bee" / "2.png")
    found.add(digest(folder))
    assert len(found) == 3
