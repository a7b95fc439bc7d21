import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from gendata.errors import GendataError
from gendata.images import decode_all, open_images
from gendata.images.flat import flattened


@pytest.fixture
def write(small, png):
    """Writes rows of the small set as parquet; the columns can be renamed and retyped."""

    def to_file(path, rows=range(30), image="image", label="label", labels=None, names=True):
        content = [{"bytes": png(small.images[row]), "path": None} for row in rows]
        labels = [int(small.labels[row]) for row in rows] if labels is None else labels
        table = pa.table({image: content, label: labels})
        if names:
            features = {image: {"_type": "Image"}, label: {"_type": "ClassLabel"}}
            features[label]["names"] = small.classes
            metadata = {"huggingface": json.dumps({"info": {"features": features}})}
            table = table.replace_schema_metadata(metadata)
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(table, path, row_group_size=7)
        return path

    return to_file


def assert_same(images, small, rows=range(30)):
    rows = list(rows)
    assert images.labels.tolist() == small.labels[rows].tolist()
    assert torch.equal(decode_all(images).images, small.images[rows])


@pytest.mark.parametrize(
    ("image", "label"), [("image", "label"), ("img", "fine_label"), ("u", "v")]
)
def test_file_with_class_names(write, small, tmp_path, image, label):
    images = open_images(write(tmp_path / "x.parquet", image=image, label=label))
    assert images.classes == small.classes
    assert_same(images, small)
    assert images.source.place(9) == f"{tmp_path / 'x.parquet'} row 9"


def test_without_metadata_classes_are_numbers_or_texts(write, small, tmp_path):
    assert open_images(write(tmp_path / "x.parquet", names=False)).classes == ["0", "1", "2"]
    texts = [["zebra", "ant", "cow"][label] for label in small.labels]
    for values in (texts, pa.array(texts).dictionary_encode()):
        images = open_images(write(tmp_path / "y.parquet", labels=values, names=False))
        assert images.classes == ["ant", "cow", "zebra"]
        assert [images.classes[label] for label in images.labels] == texts


def test_folder_of_files_in_order(write, small, tmp_path):
    write(tmp_path / "d" / "data" / "train-00001-of-00002.parquet", range(12, 30))
    write(tmp_path / "d" / "data" / "train-00000-of-00002.parquet", range(12))
    assert_same(open_images(tmp_path / "d"), small)


def test_splits_must_be_chosen(write, small, tmp_path):
    write(tmp_path / "train-00000-of-00001.parquet", range(20))
    write(tmp_path / "test-00000-of-00001.parquet", range(20, 30))
    with pytest.raises(GendataError, match="several splits; found test, train; .*: \\?split=NAME"):
        open_images(tmp_path)
    assert_same(open_images(tmp_path, split="test"), small, range(20, 30))
    with pytest.raises(GendataError, match="no parquet files of a split 'dev'; found test, train"):
        open_images(tmp_path, split="dev")


def test_clone_reads_its_shards_alone(write, small, tmp_path):
    write(tmp_path / "c" / "shard-00000.parquet", range(20))
    write(tmp_path / "c" / "shard-00001.parquet", range(20, 30))
    write(tmp_path / "c" / "other.parquet", range(5))
    (tmp_path / "c" / "run.json").write_text('{"format": "gendata clone", "finished": true}')
    for reference in (tmp_path / "c", f"clone:{tmp_path / 'c'}"):
        assert_same(open_images(reference), small)
    with pytest.raises(GendataError, match="has no shards"):
        open_images(f"clone:{tmp_path}")


@pytest.mark.parametrize("layout", ["", "clone:", "parquet:"])
def test_an_unfinished_clone_is_opened_only_when_asked_for(write, small, tmp_path, layout):
    write(tmp_path / "shard-00000.parquet", range(20))
    write(tmp_path / "draws" / "00000.parquet", range(5))
    (tmp_path / "run.json").write_text('{"format": "gendata clone", "finished": false}')
    with pytest.raises(GendataError, match="is unfinished; found 1 of its shards.*sample command"):
        open_images(f"{layout}{tmp_path}")
    assert_same(open_images(f"clone:{tmp_path}?unfinished=true"), small, range(20))
    (tmp_path / "shard-00000.parquet").unlink()
    with pytest.raises(GendataError, match="is unfinished; found 0 of its shards"):
        open_images(f"{layout}{tmp_path}")


def test_damaged_rows_are_left_out(write, small, png, tmp_path, caplog):
    content = [png(image) for image in small.images]
    content[3], content[17] = b"no", None
    features = {"image": {"_type": "Image"}}
    table = pa.table(
        {"image": [{"bytes": c, "path": "p"} for c in content], "label": small.labels}
    )
    table = table.replace_schema_metadata(
        {"huggingface": json.dumps({"info": {"features": features}})}
    )
    pq.write_table(table, tmp_path / "x.parquet")
    images = open_images(tmp_path / "x.parquet")
    assert_same(images, small, [row for row in range(30) if row not in (3, 17)])
    assert [place.rsplit(" ")[-1] for place, _ in images.damaged] == ["3", "17"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"image": "a", "names": False}, "has no image column; found a, label; .*image_column"),
        ({"label": "b", "names": False}, "has no label column; found image, b"),
        ({"labels": [0.5] * 30}, "are not labels; found column label of type double"),
        ({"labels": [None] + [0] * 29}, "without a label; found 1 of them"),
        ({"labels": [7] * 30}, "outside its classes; found 7 to 7; expected 0 to 2"),
        ({"labels": [-1] * 30}, "outside its classes"),
        ({"labels": ["ox"] * 30}, "outside its classes"),
    ],
)
def test_files_that_are_not_sets(write, tmp_path, change, message):
    path = write(tmp_path / "x.parquet", **change)
    with pytest.raises(GendataError, match=message):
        open_images(path)


def test_columns_can_be_named(write, small, tmp_path):
    path = write(tmp_path / "x.parquet", image="a", label="b", names=False)
    assert_same(open_images(path, image_column="a", label_column="b"), small)
    with pytest.raises(GendataError, match="no label column 'c'"):
        open_images(path, image_column="a", label_column="c")


def test_truncated_file(write, tmp_path):
    path = write(tmp_path / "x.parquet")
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(GendataError, match="cannot be read"):
        open_images(path)


def test_sets_too_large_for_memory_read_a_flat_copy(write, small, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setattr("gendata.images.parquet.HELD_BYTES", 10)
    for part in (range(20), range(20, 30)):
        write(tmp_path / "d" / f"images-{part.start}.parquet", part)
    images = open_images(tmp_path / "d")
    assert type(images.source).__name__ == "FlatSource"
    assert_same(images, small)
    copies = tmp_path / "home" / ".cache" / "gendata" / "flat"
    assert len(list(copies.iterdir())) == 1
    open_images(tmp_path / "d")
    assert len(list(copies.iterdir())) == 1
    write(tmp_path / "d" / "images-20.parquet", range(10))
    assert_same(open_images(tmp_path / "d"), small, [*range(20), *range(10)])
    assert len(list(copies.iterdir())) == 2


def test_a_copy_that_another_process_wrote_meanwhile_is_taken(write, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    path = write(tmp_path / "x.parquet")

    def read(file, column):
        if not list((tmp_path / "home" / ".cache" / "gendata" / "flat").glob("[!.]*")):
            flattened([path], "image", lambda *_: [b"theirs"])
        yield b"ours"

    copy = flattened([path], "image", read)
    assert (copy / "bytes").read_bytes() == b"theirs"
    assert [entry.name for entry in copy.parent.iterdir()] == [copy.name]


def test_real_sets(shared):
    for name, count, classes in (("mnist", 10000, 10), ("usps", 2007, 10)):
        images = open_images(shared / "data" / name / "test.parquet")
        assert len(images) == count and len(images.classes) == classes
        assert images[0][0].shape == ((3, 28, 28) if name == "mnist" else (3, 16, 16))
    images = open_images(shared / "data" / "cifar10" / "test.parquet")
    assert images.classes[:3] == ["airplane", "automobile", "bird"]
    assert np.bincount(images.labels).tolist() == [1000] * 10
