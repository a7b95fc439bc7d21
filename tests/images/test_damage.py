import io
import logging
import shutil

import numpy as np
import pytest
import torch
from PIL import Image

from gendata.errors import GendataError
from gendata.images import DamagedImage, Subset, decode_all, make_loader, open_images
from gendata.images.damage import looks_whole


@pytest.fixture
def wounded(small, save_tree, tmp_path):
    """A tree of 30 images of which four are damaged, each in its own way."""
    root = save_tree(small, tmp_path / "tree")
    files = sorted(root.glob("*/*.png"))
    files[0].write_bytes(b"")
    files[1].write_bytes(b"this is no image at all")
    files[12].write_bytes(files[12].read_bytes()[:-30])
    content = bytearray(files[13].read_bytes())
    content[60] ^= 255
    files[13].write_bytes(content)
    return root


def test_damaged_images_are_listed_counted_and_left_out(wounded, caplog):
    with caplog.at_level(logging.WARNING, "gendata"):
        images = open_images(wounded)
    assert len(images) == 26 and len(images.damaged) == 4
    assert "left out 4 damaged images" in caplog.text and "000.png" in caplog.text
    assert all(str(wounded) in damage.place and damage.reason for damage in images.damaged)
    assert np.bincount(images.labels).tolist() == [8, 8, 10]
    assert len(decode_all(images)) == 26 and len(decode_all(images).damaged) == 4


def test_every_kept_image_keeps_its_label(wounded, small):
    for image, label in open_images(wounded):
        same = (small.images == image).all(dim=(1, 2, 3)).nonzero().item()
        assert small.labels[same] == label


def test_strict_stops_and_names_them(wounded):
    with pytest.raises(GendataError, match="holds 4 damaged images; found .*000.png"):
        open_images(wounded, strict=True)


def test_truncated_jpeg_is_found(tmp_path, caplog):
    (tmp_path / "a").mkdir()
    pixels = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    for name in ("whole", "cut", "headless", "trailing"):
        Image.fromarray(pixels).save(tmp_path / "a" / f"{name}.jpg")
    cut, headless, trailing = (
        tmp_path / "a" / f"{name}.jpg" for name in ("cut", "headless", "trailing")
    )
    cut.write_bytes(cut.read_bytes()[: cut.stat().st_size // 2])
    headless.write_bytes(b"\xff\xd8\xff" + headless.read_bytes()[200:])
    trailing.write_bytes(trailing.read_bytes() + b"a camera's private data")
    images = open_images(tmp_path)
    assert len(images) == 2
    assert {damage.place.rsplit("/")[-1] for damage in images.damaged} == {
        "cut.jpg",
        "headless.jpg",
    }


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "BMP"])
def test_cheap_look_never_passes_a_truncated_file(kind):
    buffer = io.BytesIO()
    Image.effect_noise((40, 40), 80).convert("RGB").save(buffer, kind)
    content = buffer.getvalue()
    assert looks_whole(io.BytesIO(content)) == (kind != "BMP")
    assert not any(looks_whole(io.BytesIO(content[:end])) for end in range(0, len(content), 7))


def test_nothing_readable_is_an_error(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "x.png").write_bytes(b"no")
    with pytest.raises(GendataError, match="no image that can be read; found 1 damaged"):
        open_images(tmp_path)


@pytest.fixture
def late(small, save_tree, tmp_path):
    """A set of which an image vanishes after it was opened."""
    root = save_tree(small, tmp_path / "late")

    def opened(strict=False):
        images = open_images(root, strict=strict)
        (root / "dog").rename(root / "gone")
        shutil.copytree(root / "gone", root / "dog")
        (root / "dog" / "001.png").write_bytes(b"oh")
        return images

    return opened


def test_late_damage_is_an_error_on_access_and_left_out_of_the_whole(late, small, caplog):
    images = late()
    row = next(i for i in range(30) if images.source.place(i).endswith("dog/001.png"))
    with pytest.raises(DamagedImage, match="001.png is damaged; found not an image"):
        images[row]
    whole = decode_all(Subset(images, range(30)))
    assert len(whole) == 29 and len(whole.damaged) == 1 and "001.png" in caplog.text
    assert whole.labels.tolist() == np.delete(images.labels, row).tolist()


def test_late_damage_stops_a_strict_set(late):
    with pytest.raises(GendataError, match=r"001.png is damaged"):
        decode_all(late(strict=True))


@pytest.mark.parametrize("workers", [0, 1])
def test_late_damage_stops_a_stream_in_one_clean_line(late, workers):
    loader = make_loader(late(), 10, resident=False, workers=workers)
    with pytest.raises(DamagedImage) as caught:
        list(loader.epoch(0))
    assert "\n" not in str(caught.value) and "001.png is damaged" in str(caught.value)


def test_images_of_several_sizes_need_a_size(tmp_path):
    (tmp_path / "a").mkdir()
    for side in (8, 12):
        Image.new("RGB", (side, side + 2), (side, 0, 0)).save(tmp_path / "a" / f"{side}.png")
    images = open_images(tmp_path)
    with pytest.raises(GendataError, match="differ in size; found .*give the size"):
        decode_all(images)
    with pytest.raises(GendataError, match="differ in size"):
        list(make_loader(images, 2, resident=False, workers=0).epoch(0))
    same = decode_all(images, 6).images
    assert same.shape == (2, 3, 6, 6) and same.dtype == torch.uint8
    assert sorted(same[:, 0, 0, 0].tolist()) == [8, 12]
