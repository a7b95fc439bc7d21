"""What a sampler says of its images travels with them: into shards, through resume and verify."""

import json
import tarfile

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from tiny import NAMES, TinyClassifier, TinySampler, draw_tiny, read_clone_table, read_rejects

from gendata.clone import ConfidenceFilter, draw_clone, filter_clone, verify_clone
from gendata.clone.png import encode_batch
from gendata.clone.redraw import recorded_sampler
from gendata.clone.run_file import read_run
from gendata.errors import GendataError, UnusableImages
from gendata.images import Subset, balanced_subset, decode_all, export_images, open_images
from gendata.types import Described, DescribingSampler

IMAGE = pa.struct({"bytes": pa.binary(), "path": pa.string()})
COLUMNS = pa.schema(
    [
        ("words", pa.string()),
        ("angle", pa.float32()),
        ("box", pa.list_(pa.int32())),
        ("mask", IMAGE),
    ]
)


class Describing(TinySampler):
    """Says four things of every image, all of them functions of its seed."""

    columns = COLUMNS
    free_options = ("workers",)

    def __init__(self, *arguments, twist: float = 0.0, **settings) -> None:
        super().__init__(*arguments, **settings)
        self.twist = twist

    def sample_described(self, labels, seeds):
        # One by one, so that neither images nor columns depend on the batch.
        parts = [
            TinySampler.sample(self, labels[row, None], seeds[row, None])
            for row in range(len(seeds))
        ]
        unusable = {
            row: "hidden" if seed % 2 else "mesh"
            for row, seed in enumerate(seeds.tolist())
            if seed % 7 == 0
        }
        rows = [describe(seed, self.twist) for seed in seeds.tolist()]
        return Described(torch.cat(parts), pa.Table.from_pylist(rows, COLUMNS), unusable)


def describe(seed: int, twist: float = 0.0) -> dict:
    mask = np.full((1, 2, 2, 3), seed % 251, np.uint8)
    return {
        "words": f"seed {seed}",
        "angle": np.float32(seed % 360 + twist),
        "box": [seed % 5, seed % 3],
        "mask": {"bytes": encode_batch(mask)[0][0], "path": None},
    }


def draw(out, sampler=None, **settings):
    keep = ConfidenceFilter(TinyClassifier(), 0.6)
    defaults = {"filter": keep, "seed": 3, "batch_size": 8, "shard_size": 20, "progress": False}
    return draw_clone(sampler or Describing(), 50, out, **(defaults | settings))


def assert_described(table) -> None:
    """Every row says what its own seed makes the sampler say."""
    for row in table.to_pylist():
        assert {name: row[name] for name in COLUMNS.names} == describe(row["seed"])


def test_tiny_samplers_stand_on_either_side():
    assert isinstance(Describing(), DescribingSampler)
    assert not isinstance(TinySampler(), DescribingSampler)


@pytest.mark.parametrize("label", ["agree", "classifier"])
def test_rows_hold_what_the_sampler_said_of_them(tmp_path, label):
    keep = ConfidenceFilter(TinyClassifier(), 0.6, label)
    draw(tmp_path / "clone", filter=keep)
    table = read_clone_table(tmp_path / "clone")
    assert len(table) == 150 and table.column_names[-4:] == COLUMNS.names
    assert_described(table)
    assert verify_clone(tmp_path / "clone", count=0)["ok"]


def test_reasons_are_those_of_each_image(tmp_path):
    draw(tmp_path, filter=None)
    rejects = read_rejects(tmp_path)["rejects"]
    assert set(rejects) == {"hidden", "mesh"} and min(rejects.values()) > 3


def test_shards_batches_and_a_stop_change_nothing(tmp_path):
    draw(tmp_path / "one")
    reference = read_clone_table(tmp_path / "one")
    draw(tmp_path / "other", batch_size=13, shard_size=31)
    assert read_clone_table(tmp_path / "other").equals(reference)
    for name in ("shard-00001.parquet", "shard-00004.parquet"):
        (tmp_path / "one" / name).unlink()
    draw(tmp_path / "one")
    assert read_clone_table(tmp_path / "one").equals(reference)


def test_batches_are_not_filled_up(tmp_path):
    sampler = Describing(seed=6)
    draw(tmp_path, sampler, filter=None, batch_size=64)
    assert sampler.calls == read_rejects(tmp_path)["attempts"]  # one call an image


def test_verify_draws_the_columns_again(tmp_path):
    draw(tmp_path)
    result = verify_clone(tmp_path, sampler=Describing(), all=True)
    assert result["ok"] and result["redrawn"]["changed_columns"] == {}
    assert result["redrawn"]["identical_images"] == 1
    twisted = verify_clone(tmp_path, sampler=Describing(twist=0.5), count=40)
    assert not twisted["ok"] and twisted["redrawn"]["changed_columns"] == {"angle": 40}
    with pytest.raises(GendataError, match="columns none; expected words, angle"):
        verify_clone(tmp_path, sampler=TinySampler())


def test_verify_misses_a_lost_column(tmp_path):
    draw(tmp_path)
    path = tmp_path / "shard-00002.parquet"
    table = pq.read_table(path)
    pq.write_table(table.drop_columns(["angle"]), path)
    problems = verify_clone(tmp_path, count=0)["problems"]
    assert "shard-00002.parquet has other columns than a clone" in problems


def test_stricter_clone_keeps_the_columns(tmp_path):
    draw(tmp_path / "clone")
    filter_clone(tmp_path / "clone", 0.8, tmp_path / "strict")
    table = read_clone_table(tmp_path / "strict")
    assert 0 < len(table) < 150 and table.column_names[-4:] == COLUMNS.names
    assert_described(table)
    assert verify_clone(tmp_path / "strict", count=0)["ok"]


def test_hugging_face_reads_the_columns(tmp_path):
    datasets = pytest.importorskip("datasets")
    draw(tmp_path / "clone")
    rows = datasets.load_dataset(str(tmp_path / "clone"), split="train", cache_dir=tmp_path / "hf")
    features = rows.features
    assert features["words"].dtype == "string" and features["angle"].dtype == "float32"
    assert isinstance(features["mask"], datasets.Image)
    row = rows[5]
    assert np.asarray(row["mask"])[0, 0, 0] == row["seed"] % 251
    assert row["box"] == [row["seed"] % 5, row["seed"] % 3]


@pytest.fixture
def some(tmp_path):
    """Every other image of a part of a clone, backwards, and the seeds that drew them."""
    draw(tmp_path / "clone")
    part = balanced_subset(open_images(tmp_path / "clone"), 20, seed=1)
    order = np.arange(60)[::-2]
    seeds = read_clone_table(tmp_path / "clone")["seed"].to_numpy()
    return Subset(part, order), seeds[part.rows[order]].tolist()


def test_columns_go_into_a_table_beside_class_folders(some, tmp_path):
    datasets = pytest.importorskip("datasets")
    images, seeds = some
    assert export_images(images, tmp_path / "out", "imagefolder") == 30
    assert decode_all(open_images(tmp_path / "out")).images.shape[0] == 30  # still a tree
    rows = datasets.load_dataset(str(tmp_path / "out"), split="train", cache_dir=tmp_path / "hf")
    assert rows.features["label"].names == [*NAMES] and len(rows) == 30
    for row in rows:
        number = seeds.index(int(row["words"].removeprefix("seed ")))
        pixels, label = images[number]
        assert np.array_equal(np.asarray(row["image"]), pixels.permute(1, 2, 0)), number
        assert row["label"] == label and row["angle"] == seeds[number] % 360
        assert row["mask"]["bytes"] == describe(seeds[number])["mask"]["bytes"]


def test_columns_go_into_columns(some, tmp_path):
    images, seeds = some
    export_images(images, tmp_path / "out", "parquet")
    table = pq.read_table(tmp_path / "out/images-00000.parquet")
    for row, seed in zip(table.to_pylist(), seeds, strict=True):
        assert {name: row[name] for name in COLUMNS.names} == describe(seed)
    features = json.loads(table.schema.metadata[b"huggingface"])["info"]["features"]
    assert features["mask"] == {"_type": "Image"} and list(features) == table.column_names
    assert torch.equal(decode_all(open_images(tmp_path / "out")).images, decode_all(images).images)


def test_columns_go_into_the_samples_of_tars(some, tmp_path):
    images, seeds = some
    export_images(images, tmp_path / "out", "webdataset")
    with tarfile.open(tmp_path / "out/images-00000.tar") as archive:
        for number, seed in enumerate(seeds):
            said = describe(seed)
            mask = archive.extractfile(f"{number:08d}.mask.png").read()
            assert mask == said.pop("mask")["bytes"]
            fields = json.loads(archive.extractfile(f"{number:08d}.json").read())
            assert fields.items() >= said.items()
            assert fields["label"] == images.labels[number]
    assert torch.equal(decode_all(open_images(tmp_path / "out")).images, decode_all(images).images)


def test_run_names_columns_and_not_the_free_options(tmp_path):
    options = {"workers": 3, "weights": 5, "trust": True}
    draw(tmp_path / "clone", sampler_options=options)
    sampler = json.loads((tmp_path / "clone/run.json").read_text())["settings"]["sampler"]
    assert sampler["options"] == {"weights": 5}
    kinds = {"words": "string", "angle": "float"}
    assert (
        sampler["columns"].items() >= kinds.items() and list(sampler["columns"]) == COLUMNS.names
    )
    assert "`angle`" in (tmp_path / "clone/README.md").read_text()
    draw(tmp_path / "clone", sampler_options=options | {"workers": 1})  # the same clone
    with pytest.raises(GendataError, match="weights 5 there, 6 now"):
        draw(tmp_path / "clone", sampler_options={"weights": 6})


def test_clones_of_other_samplers_are_what_they_were(tmp_path):
    draw_tiny(tmp_path)
    names = pq.read_schema(tmp_path / "shard-00000.parquet").names
    assert names == [
        *("image", "label", "key", "seed", "conditioned_label"),
        *("confidence", "probabilities", "sha256"),
    ]
    sampler = read_run(tmp_path).settings["sampler"]
    assert set(sampler) == {"name", "options", "sha256", "settings"}


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (pa.schema([("label", pa.int64())]), "in 'label'"),
        (pa.schema([("parts", pa.struct({"a": pa.int64()}))]), "'parts' cannot be stored"),
    ],
)
def test_columns_that_cannot_be_stored_are_refused_at_once(tmp_path, columns, message):
    sampler = Describing()
    sampler.columns = columns
    with pytest.raises(GendataError, match=message):
        draw(tmp_path / "clone", sampler)
    assert sampler.calls == 0 and not (tmp_path / "clone").exists()


def test_other_columns_than_promised_are_refused(tmp_path):
    sampler = Describing()
    sampler.columns = COLUMNS.append(pa.field("more", pa.int64()))
    with pytest.raises(GendataError, match="does not describe its images as it says"):
        draw(tmp_path / "clone", sampler)


def test_unusable_images_say_why_each_one_is():
    images, bad = torch.zeros(4, 3, 2, 2), torch.tensor([False, True, False, True])
    one = UnusableImages("nan", images, bad)
    assert one.reason == "nan" and one.reasons == {1: "nan", 3: "nan"}
    many = UnusableImages({3: "mesh", 1: "hidden"}, images, bad)
    assert many.reasons == {1: "hidden", 3: "mesh"}
    assert "2 of 4 images are unusable (hidden, mesh)" in str(many)


def test_plain_sampler_may_raise_different_reasons(tmp_path):
    class Mixed(TinySampler):
        def sample(self, labels, seeds):
            images = super().sample(labels, seeds)
            reasons = {
                row: ("odd" if seed % 2 else "even")
                for row, seed in enumerate(seeds.tolist())
                if seed % 5 == 0
            }
            if reasons:
                bad = torch.isin(torch.arange(len(seeds)), torch.tensor(list(reasons)))
                raise UnusableImages(reasons, images, bad)
            return images

    draw(tmp_path, Mixed(), filter=None)
    assert set(read_rejects(tmp_path)["rejects"]) == {"odd", "even"}


def test_recorded_sampler_is_loaded_without_free_options(tmp_path, monkeypatch):
    draw(tmp_path, sampler_options={"workers": 3, "weights": 5})
    asked = {}

    def load(name, **options):
        asked.update(options)
        return Describing()

    monkeypatch.setattr("gendata.clone.redraw.load_sampler", load)
    assert recorded_sampler(read_run(tmp_path), "cpu", trust=False).classes == NAMES
    assert "workers" not in asked and asked["weights"] == 5
