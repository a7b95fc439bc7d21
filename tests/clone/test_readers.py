"""Other programs read a clone as it is."""

import json

import numpy as np
import pyarrow.parquet as pq
import pytest
import yaml
from tiny import NAMES, TinySampler, draw_tiny, read_clone_table

from gendata.clone import draw_clone
from gendata.clone.png import decode_image
from gendata.images import open_images


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clone") / "unconditional"
    draw_tiny(folder, "unconditional")
    return folder


def test_our_reader_gives_the_pixels_and_labels(clone):
    images, table = open_images(clone), read_clone_table(clone)
    assert list(images.classes) == list(map(str, range(3))) and len(images) == 150
    pixels, label = images[7]
    row = table.slice(7, 1).to_pylist()[0]
    assert np.array_equal(pixels.permute(1, 2, 0), decode_image(row["image"]["bytes"]))
    assert label == row["label"]


def test_hugging_face_datasets_reads_it_as_it_is(clone, tmp_path, monkeypatch):
    datasets = pytest.importorskip("datasets")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_OFFLINE", True)
    named = tmp_path / "named"
    draw_tiny(named)
    loaded = datasets.load_dataset(str(named), cache_dir=str(tmp_path / "cache"))
    assert list(loaded) == ["train"] and len(loaded["train"]) == 150
    features, row = loaded["train"].features, loaded["train"][4]
    assert features["label"].names == list(NAMES)
    assert row["image"].size == (12, 12) and row["image"].mode == "RGB"
    table = read_clone_table(named).slice(4, 1).to_pylist()[0]
    for column in ("key", "seed", "conditioned_label", "confidence", "probabilities", "sha256"):
        assert row[column] == table[column]


def test_card_names_the_shards_the_licence_and_the_classes(tmp_path):
    hostile = ["<script>alert(1)</script>", "a | b", "`code`", "émoji 🐈", "x" * 200]
    sampler = TinySampler(hostile)
    draw_clone(sampler, 3, tmp_path / "clone", batch_size=5, sampler_options={"z": "```"})
    _, header, body = (tmp_path / "clone/README.md").read_text().split("---\n", 2)
    header = yaml.safe_load(header)
    assert header["license"] == "mit" and "synthetic" in header["tags"]
    assert header["configs"][0]["data_files"] == [{"split": "train", "path": "shard-*.parquet"}]
    table = body.split("## Where")[0]
    assert "<script>" not in table and "émoji 🐈" in table and "a \\| b" in table
    schema = pq.read_schema(tmp_path / "clone/shard-00000.parquet")
    features = json.loads(schema.metadata[b"huggingface"])["info"]["features"]
    assert features["label"]["names"] == hostile


def test_equal_class_names_are_told_apart(tmp_path):
    clone = draw_clone(TinySampler(["crane", "bee", "crane"]), 1, tmp_path / "clone", batch_size=3)
    assert list(clone.classes) == ["crane (0)", "bee", "crane (2)"]


def test_spare_candidates_stay_and_used_ones_go(clone):
    used = set(read_clone_table(clone)["sha256"].to_pylist())
    spare = [
        digest
        for path in (clone / "draws").iterdir()
        for digest in pq.read_table(path)["sha256"].to_pylist()
    ]
    report = json.loads((clone / "rejects.json").read_text())
    assert len(spare) >= report["rejects"]["class-full"] > 0
    assert not used & set(spare)
