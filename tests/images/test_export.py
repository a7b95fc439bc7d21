import errno
import json
import os

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

from gendata.errors import GendataError
from gendata.images import ArrayImages, Subset, decode_all, export_images, open_images
from gendata.images.class_names import folder_names
from gendata.images.export import FORMATS

HOSTILE = [
    "<script>alert(1)</script>",
    "../../etc/passwd",
    "a/b\\c:d",
    "quote\"'",
    "😀😀",
    "x" * 200,
    "x" * 199 + "y",
    "CON",
    ".hidden",
    "",
    "Case",
    "case",
    "trailing. ",
    "new\nline",
    "T-shirt/top",
]


@pytest.fixture
def hostile():
    pixels = torch.randint(0, 256, (45, 3, 5, 4), dtype=torch.uint8)
    return ArrayImages("hostile", HOSTILE, pixels, np.arange(45)[::-1] % 15)


def by_pixels(images):
    decoded = decode_all(images)
    return sorted(zip(map(bytes, decoded.images.numpy()), decoded.labels.tolist(), strict=True))


@pytest.mark.parametrize("format", FORMATS)
def test_round_trip(hostile, tmp_path, format, monkeypatch):
    monkeypatch.setattr("gendata.images.export.PER_FILE", 10)
    monkeypatch.setattr("gendata.images.export.PER_ROW_GROUP", 4)
    assert export_images(hostile, tmp_path / "a" / "out", format) == 45
    images = open_images(tmp_path / "a" / "out")
    assert list(images.classes) == HOSTILE
    assert by_pixels(images) == by_pixels(hostile)
    if format != "imagefolder":  # the order of a tree is that of its classes
        assert images.labels.tolist() == hostile.labels.tolist()
        assert len(list((tmp_path / "a" / "out").glob("images-0000?.*"))) == 5
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["out"]
    assert (tmp_path / "a" / "out").stat().st_mode & 0o777 == 0o777 & ~_umask()


def _umask():
    mask = os.umask(0)
    os.umask(mask)
    return mask


@pytest.mark.parametrize("format", FORMATS)
def test_classes_without_images_survive(hostile, tmp_path, format):
    rows = [row for row in range(45) if hostile.labels[row] in (3, 8)]
    export_images(Subset(hostile, rows), tmp_path / "out", format)
    images = open_images(tmp_path / "out")
    assert list(images.classes) == HOSTILE and set(images.labels) == {3, 8}


def test_folder_names_are_safe_and_distinct():
    names = folder_names(HOSTILE)
    assert len({name.lower() for name in names}) == len(names)
    for name in names:
        assert 0 < len(name) < 80 and name[0] not in "._ " and name[-1] not in ". "
        assert all(c.isascii() and (c.isalnum() or c in " ._-") for c in name)
    assert folder_names(["cat", "Ankle boot"]) == ["cat", "Ankle boot"]


def test_same_set_same_bytes(small, tmp_path):
    for format in FORMATS:
        for name in ("a", "b"):
            export_images(small, tmp_path / f"{format}-{name}", format)
        files = [
            {p.relative_to(root): p.read_bytes() for p in root.rglob("*") if p.is_file()}
            for root in (tmp_path / f"{format}-a", tmp_path / f"{format}-b")
        ]
        assert files[0] == files[1] and files[0]


def test_parquet_loads_as_a_hugging_face_set(hostile, tmp_path):
    datasets = pytest.importorskip("datasets")
    names = [name or "nameless" for name in HOSTILE]
    hostile = ArrayImages("x", names, hostile.images, hostile.labels)
    export_images(hostile, tmp_path / "out", "parquet")
    loaded = datasets.load_dataset(
        str(tmp_path / "out"), split="train", cache_dir=str(tmp_path / "cache")
    )
    assert loaded.features["label"].names == names
    assert loaded["label"] == hostile.labels.tolist()
    pixels = np.asarray(loaded[7]["image"])
    assert np.array_equal(pixels, hostile.images[7].permute(1, 2, 0).numpy())


def test_webdataset_reads_the_tars(small, tmp_path):
    webdataset = pytest.importorskip("webdataset")
    export_images(small, tmp_path / "out", "webdataset")
    tar = str(tmp_path / "out" / "images-00000.tar")
    samples = list(webdataset.WebDataset(tar, shardshuffle=False).decode("rgb8"))
    for row, sample in enumerate(samples):
        assert np.array_equal(sample["png"], small.images[row].permute(1, 2, 0).numpy())
        assert sample["cls"] == small.labels[row] == sample["json"]["label"]
        assert sample["json"]["class"] == small.classes[small.labels[row]]
    assert len(samples) == 30


def test_an_empty_folder_is_filled_and_others_are_refused(small, tmp_path):
    (tmp_path / "empty").mkdir()
    assert export_images(small, tmp_path / "empty") == 30
    with pytest.raises(GendataError, match="'.*empty' is not empty; found cat, classes.json"):
        export_images(small, tmp_path / "empty")
    (tmp_path / "file").write_text("x")
    with pytest.raises(GendataError, match="is not empty; found a file"):
        export_images(small, tmp_path / "file", "parquet")
    with pytest.raises(GendataError, match="unknown format 'jpeg'; expected one of imagefolder"):
        export_images(small, tmp_path / "x", "jpeg")


def test_a_full_disk_leaves_nothing_behind(small, tmp_path, monkeypatch):
    def full(*arguments, **options):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("gendata.images.export.pq.ParquetWriter", full)
    with pytest.raises(GendataError, match="could not be written .*No space left on device"):
        export_images(small, tmp_path / "deep" / "out", "parquet")
    assert list((tmp_path / "deep").iterdir()) == []


def test_late_damage_is_counted(small, save_tree, tmp_path, caplog):
    images = open_images(save_tree(small, tmp_path / "tree"))
    (tmp_path / "tree" / "cat" / "000.png").write_bytes(b"")
    assert export_images(images, tmp_path / "out", "parquet") == 29
    assert "left out 1 damaged image" in caplog.text
    table = pq.read_table(tmp_path / "out" / "images-00000.parquet")
    assert json.loads(table.schema.metadata[b"huggingface"])["info"]["features"]["label"]
