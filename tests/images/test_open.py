from pathlib import Path

import pytest

from gendata.errors import GendataError
from gendata.images import Subset, export_images, open_images


def test_an_open_set_passes_through(small):
    assert open_images(small) is small


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("nowhere", "no images at 'nowhere'; found no such file or folder; expected a path"),
        (Path("nowhere"), "no images at 'nowhere'"),
        ("", "no images at ''"),
        ("imagefolder:nowhere", "no images at 'nowhere'"),
        ("npz:", "no images at ''"),
        ("flower102:test", "did you mean flowers102"),
        ("parqet:x", "did you mean parquet"),
        ("shards-{0..2}.tar", "tars that are not there; found 0 of 3"),
        ("*.tar", "tars that are not there; found none"),
    ],
)
def test_nothing_there(reference, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(GendataError, match=message):
        open_images(reference)


def test_unknown_layouts(tmp_path):
    with pytest.raises(GendataError, match="no image set that can be recognised; found an empty"):
        open_images(tmp_path)
    (tmp_path / "notes.txt").write_text("hello")
    with pytest.raises(GendataError, match="recognised; found notes.txt; expected class folders"):
        open_images(tmp_path)
    with pytest.raises(GendataError, match="recognised; found another file"):
        open_images(tmp_path / "notes.txt")


def test_options_must_belong_to_the_layout(small, save_tree, tmp_path):
    root = save_tree(small, tmp_path)
    with pytest.raises(GendataError, match="'imagefolder' does not have the option; found split"):
        open_images(root, split="test")
    with pytest.raises(GendataError, match="options; found a, b; expected labels, root, split"):
        open_images("cifar100:test", a=1, b=2)


def test_options_stand_in_the_reference(small, save_tree, tmp_path, monkeypatch):
    for split in ("train", "test"):
        rows = range(20) if split == "train" else range(20, 30)
        export_images(Subset(small, list(rows)), tmp_path / "set" / split, "parquet")
    monkeypatch.chdir(tmp_path)
    for reference in ("parquet:set?split=test", "set?split=test", Path("set?split=test")):
        images = open_images(reference)
        assert len(images) == 10 and images.name == str(reference)
    columns = "set?split=train&image_column=image&label_column=label"
    assert len(open_images(columns)) == 20
    assert len(open_images(columns, split="test")) == 10
    with pytest.raises(GendataError, match="not in '/no/where'"):
        open_images("cifar10:train?root=/no/where")
    with pytest.raises(GendataError, match="'parquet' does not have the option; found colour"):
        open_images("set?colour=red")
    with pytest.raises(GendataError, match="no images at 'gone'"):
        open_images("gone?split=test")


def test_a_path_that_exists_is_taken_as_it_is(small, save_tree, tmp_path):
    folder = save_tree(small, tmp_path / "what?split=test")
    for reference in (folder, f"imagefolder:{folder}"):
        assert len(open_images(reference)) == 30


def test_paths_with_a_colon(small, save_tree, tmp_path):
    assert len(open_images(save_tree(small, tmp_path / "a:b"))) == 30
