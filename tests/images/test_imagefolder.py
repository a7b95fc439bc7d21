import json

import pytest
import torch
from PIL import Image

from gendata.errors import GendataError
from gendata.images import open_images


def test_tree_is_read_in_the_order_of_its_names(small, save_tree, tmp_path):
    images = open_images(save_tree(small, tmp_path))
    assert images.classes == ["cat", "dog", "emu"] and len(images) == 30
    rows = [int(images.source.place(row)[-7:-4]) for row in range(30)]
    assert rows == sorted(range(30), key=lambda row: (small.labels[row], row))
    for row, (image, label) in zip(rows, images, strict=True):
        assert torch.equal(image, small.images[row]) and label == small.labels[row]


def test_nested_folders_other_suffixes_and_hidden_files(tmp_path):
    deep = tmp_path / "a" / "more" / "deeper"
    deep.mkdir(parents=True)
    (tmp_path / ".git").mkdir()
    Image.new("RGB", (4, 4), (9, 8, 7)).save(deep / "X.PNG")
    Image.new("RGB", (4, 4)).save(deep.parent / "y.bmp")
    (tmp_path / "a" / ".hidden.png").write_bytes(b"no")
    (tmp_path / "a" / "notes.txt").write_text("no")
    images = open_images(f"imagefolder:{tmp_path}")
    assert images.classes == ["a"] and len(images) == 2 and not images.damaged


@pytest.mark.parametrize(
    ("folders", "files", "message"),
    [
        (["a", "b"], ["a/x.png"], "class folder '.*b' holds no images; found 0 other entries"),
        (["a"], ["a/x.txt"], "holds no images; found 1 other entries"),
        (["train", "val"], [], "holds splits, not classes; found train, val; .*open one split"),
    ],
)
def test_trees_that_are_not_sets(tmp_path, folders, files, message):
    for folder in folders:
        (tmp_path / folder).mkdir()
    for file in files:
        Image.new("RGB", (2, 2)).save(tmp_path / file, "PNG")
    with pytest.raises(GendataError, match=message):
        open_images(tmp_path)


def test_images_without_class_folders(tmp_path):
    Image.new("RGB", (2, 2)).save(tmp_path / "x.png")
    with pytest.raises(GendataError, match="no class folders; found 1 images directly in it"):
        open_images(f"imagefolder:{tmp_path}")


def test_listed_class_names(small, save_tree, tmp_path):
    root = save_tree(small, tmp_path)
    listed = {"classes": ["The <emu>", "none", "C", "D"], "folders": ["emu", "void", "cat", "dog"]}
    (root / "classes.json").write_text(json.dumps(listed))
    images = open_images(root)
    assert images.classes == listed["classes"]
    assert [int((images.labels == label).sum()) for label in range(4)] == [10, 0, 10, 10]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "does not list class names"),
        ("[1]", "does not list class names"),
        ('{"classes": [1]}', "does not list class names"),
        ('{"classes": ["a"], "folders": ["x", "y"]}', "found 2 folders for 1 classes"),
        ('{"classes": ["a", "b"], "folders": ["cat", "dog"]}', "does not list; found emu"),
    ],
)
def test_bad_lists_of_class_names(small, save_tree, tmp_path, content, message):
    root = save_tree(small, tmp_path)
    (root / "classes.json").write_text(content)
    with pytest.raises(GendataError, match=message):
        open_images(root)


def test_a_hostile_list_reads_nothing_outside(small, save_tree, tmp_path):
    save_tree(small, tmp_path / "outside")
    root = tmp_path / "root"
    (root / "a").mkdir(parents=True)
    Image.new("RGB", (2, 2)).save(root / "a" / "x.png")
    listed = {"classes": ["a", "b"], "folders": ["a", "../outside/cat"]}
    (root / "classes.json").write_text(json.dumps(listed))
    assert len(open_images(root)) == 1
