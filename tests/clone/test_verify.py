"""`verify` finds what was changed, and redraws."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tiny import TinySampler, draw_tiny, read_clone_table, read_rejects

from gendata.clone import filter_clone, verify_clone
from gendata.clone.png import decode_image, encode_batch
from gendata.errors import GendataError


@pytest.fixture
def clone(tmp_path):
    draw_tiny(tmp_path / "clone")
    return tmp_path / "clone"


def change(clone, **columns):
    """Rewrites columns of the second shard; a function gets the column's values."""
    path = clone / "shard-00001.parquet"
    table = pq.read_table(path)
    for name, function in columns.items():
        values = function(table[name].to_pylist())
        field = table.schema.field(name)
        column = pa.array(values, field.type)
        table = table.set_column(table.column_names.index(name), field, column)
    pq.write_table(table, path)


def alter_pixel(images):
    pixels = decode_image(images[3]["bytes"]).copy()
    pixels[2, 5, 1] ^= 1
    images[3]["bytes"] = encode_batch(pixels[None])[0][0]
    return images


@pytest.mark.parametrize("kind", ["conditional", "unconditional"])
def test_whole_clone_is_ok_and_comes_out_again(tmp_path, kind):
    draw_tiny(tmp_path, kind)
    sampler = TinySampler(None) if kind == "unconditional" else TinySampler()
    result = verify_clone(tmp_path, sampler=sampler, all=True)
    assert result["ok"] and result["complete"] and not result["problems"]
    assert result["redrawn"] == {
        "rows": 150,
        "identical_images": 1.0,
        "identical_values": 1.0,
        "largest_difference": 0,
    }


def test_tampered_pixel_is_found(clone):
    key = pq.read_table(clone / "shard-00001.parquet")["key"][3].as_py()
    change(clone, image=alter_pixel)
    result = verify_clone(clone, count=0)
    assert result["problem_count"] == 1 and not result["ok"] and result["redrawn"] is None
    assert key in result["problems"][0] and "sha256" in result["problems"][0]
    redrawn = verify_clone(clone, sampler=TinySampler(), all=True)["redrawn"]
    assert redrawn["identical_images"] == pytest.approx(149 / 150)
    assert redrawn["identical_values"] == pytest.approx(1 - 1 / (150 * 12 * 12 * 3))
    assert redrawn["largest_difference"] == 1


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"label": lambda values: [0, *values[1:]]}, "its key says"),
        ({"key": lambda values: [values[1], *values[1:]]}, "twice"),
        ({"key": lambda values: ["c00-999999", *values[1:]]}, "does not belong there"),
        ({"confidence": lambda values: [0.5, *values[1:]]}, "does not pass the filter"),
        ({"conditioned_label": lambda values: [0, 0, 0, *values[3:]]}, "does not pass"),
        ({"image": lambda values: [{"bytes": b"no", "path": ""}, *values[1:]]}, "cannot be read"),
    ],
)
def test_changed_columns_are_found(clone, columns, message):
    change(clone, **columns)
    result = verify_clone(clone, count=0)
    assert any(message in problem for problem in result["problems"])


def test_missing_damaged_and_unfinished_are_found(clone):
    (clone / "shard-00002.parquet").unlink()
    (clone / "shard-00003.parquet").write_bytes(b"PAR1 and no more")
    result = verify_clone(clone, sampler=TinySampler(), count=200)
    assert "shard-00002.parquet is missing" in result["problems"]
    assert any("shard-00003.parquet is damaged" in problem for problem in result["problems"])
    assert any("rejects.json says 50" in problem for problem in result["problems"])
    assert result["rows"] == 110 and result["redrawn"]["largest_difference"] == 0
    run = json.loads((clone / "run.json").read_text())
    (clone / "run.json").write_text(json.dumps(run | {"finished": False}))
    assert "not finished" in verify_clone(clone, count=0)["problems"][0]


def test_another_generator_is_seen_in_the_pixels(clone):
    result = verify_clone(clone, sampler=TinySampler(seed=6), count=20)
    assert not result["ok"] and result["redrawn"]["identical_values"] < 0.2


def test_a_sampler_of_another_kind_is_refused(clone):
    with pytest.raises(GendataError, match="another kind; found 'pictures'; expected "):
        verify_clone(clone, sampler="pictures")


def test_no_clone_is_an_error(tmp_path):
    with pytest.raises(GendataError, match="not a clone"):
        verify_clone(tmp_path / "nothing")


@pytest.mark.parametrize("kind", ["conditional", "unconditional"])
def test_stricter_threshold_is_a_condition_on_the_rows(tmp_path, kind):
    draw_tiny(tmp_path / "clone", kind)
    strict = filter_clone(tmp_path / "clone", 0.9, tmp_path / "strict")
    table, kept = read_clone_table(tmp_path / "clone"), read_clone_table(tmp_path / "strict")
    sure = table["confidence"].to_numpy() > np.float32(0.9)
    assert 0 < sure.sum() < 150 and len(strict) == sure.sum()
    assert kept.equals(table.filter(pa.array(sure)))
    before, after = read_rejects(tmp_path / "clone"), read_rejects(tmp_path / "strict")
    assert before["attempts"] == after["attempts"]
    dropped = after["rejects"]["low-confidence"] - before["rejects"]["low-confidence"]
    assert dropped == 150 - sure.sum()
    assert verify_clone(tmp_path / "strict", count=0)["ok"]
    for threshold, message in ((0.6, "no stricter"), (1.0, "strictly between")):
        with pytest.raises(GendataError, match=message):
            filter_clone(tmp_path / "clone", threshold, tmp_path / "other")
