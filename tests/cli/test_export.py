import json

import numpy as np
import torch
from click.testing import CliRunner
from PIL import Image

from gendata.cli import main
from gendata.images import balanced_subset, open_images


def test_export_writes_and_tells(tmp_path):
    arguments = ["export", "fashion-mnist:test", "--format", "webdataset", "--limit", "30"]
    result = CliRunner().invoke(main, [*arguments, "--out", str(tmp_path / "out"), "--json"])
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)
    assert told["images"] == 30 and told["classes"] == 10 and told["format"] == "webdataset"
    assert np.bincount(open_images(tmp_path / "out").labels).tolist() == [3] * 10
    again = CliRunner().invoke(main, [*arguments, "--out", str(tmp_path / "out")])
    assert again.exit_code == 2 and "is not empty" in again.stderr
    assert again.stderr.count("\n") == 1


def test_few_of_each_class_and_the_others(tmp_path):
    """What --per-class writes is what --held-out leaves, with one seed."""
    make = ["export", "fashion-mnist:test", "--format", "parquet", "--json", "--out"]
    small = str(tmp_path / "small")
    assert CliRunner().invoke(main, [*make, small, "--per-class", "6"]).exit_code == 0

    def rows(name, *words):
        words = ["export", small, "--format", "parquet", "--seed", "7", *words]
        result = CliRunner().invoke(main, [*words, "--out", str(tmp_path / name)])
        assert result.exit_code == 0, result.output
        images = open_images(tmp_path / name)
        return images, {images[row][0].numpy().tobytes() for row in range(len(images))}

    few, few_pixels = rows("few", "--per-class", "2")
    rest, rest_pixels = rows("rest", "--held-out", "2")
    some, some_pixels = rows("some", "--held-out", "2", "--per-class", "3")
    assert np.bincount(few.labels).tolist() == [2] * 10
    assert np.bincount(rest.labels).tolist() == [4] * 10
    assert np.bincount(some.labels).tolist() == [3] * 10
    assert not few_pixels & rest_pixels and some_pixels < rest_pixels
    assert torch.equal(few[0][0], balanced_subset(open_images(small), 2, 7)[0][0])
    limited, _ = rows("limited", "--limit", "13")
    assert np.bincount(limited.labels).tolist() == [2] * 3 + [1] * 7


def test_reference_options_and_mistakes(tmp_path):
    arguments = ["export", "cifar10:test", "-o", f"root={tmp_path}", "--out", str(tmp_path / "x")]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 2 and "CIFAR-10 is not in" in result.stderr
    result = CliRunner().invoke(main, ["export", "nowhere", "--out", str(tmp_path / "x")])
    assert result.exit_code == 2 and "no images at 'nowhere'" in result.stderr
    assert not (tmp_path / "x").exists()


def test_help_ends_with_two_examples():
    text = CliRunner().invoke(main, ["export", "--help"]).output
    assert text.count("gendata export ") == 2


def test_sheet_is_one_picture(tmp_path):
    arguments = ["export", "fashion-mnist:test", "--format", "sheet", "--json"]
    result = CliRunner().invoke(main, [*arguments, "--out", str(tmp_path / "sheet.png")])
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["images"] == 80
    with Image.open(tmp_path / "sheet.png") as image:
        assert image.height == 10 * (84 + 4) - 4 + 24
    for out in (tmp_path, tmp_path / "sheet.gif"):
        refused = CliRunner().invoke(main, [*arguments, "--out", str(out)])
        assert refused.exit_code == 2 and "one picture" in refused.stderr
        assert refused.stderr.count("\n") == 1
