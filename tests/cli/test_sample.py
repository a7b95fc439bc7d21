"""The three commands around clones, in this process and as others run them."""

import json
import subprocess
import sys

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image
from scripted import write_scripts

from gendata.cli import main
from gendata.images import open_images


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_scripts(tmp_path_factory.mktemp("scripts"))


def arguments(folder, out, *more):
    return [
        *("sample", f"torchscript:{folder / 'generator.pt'}", "-o", "z_dim=48"),
        *("-o", 'classes=["red", "green", "blue"]', "--per-class", "12", "--batch-size", "8"),
        *("--out", str(out), "--device", "cpu", *more),
    ]


def run(*words):
    result = CliRunner().invoke(main, [str(word) for word in words])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def test_sample_verify_filter(folder, tmp_path):
    judged = ["--filter", f"torchscript:{folder / 'judge.pt'}", "--threshold", "0.8"]
    dry = run(*arguments(folder, tmp_path / "clone", *judged, "--dry-run"))
    assert "would draw 36 images" in dry.stdout and "policy agree" in dry.stdout
    assert not (tmp_path / "clone").exists()

    drawn = run(*arguments(folder, tmp_path / "clone", *judged, "--json"))
    report = json.loads(drawn.stdout)
    assert drawn.exit_code == 0 and report["finished"] and report["accepted"] == 36
    assert report["attempts"] > 36
    clone = open_images(tmp_path / "clone")
    assert list(clone.classes) == ["red", "green", "blue"]
    assert np.bincount(clone.labels).tolist() == [12, 12, 12]

    verified = run("verify", tmp_path / "clone", "--all", "--json", "--device", "cpu")
    assert verified.exit_code == 0
    assert json.loads(verified.stdout)["redrawn"]["identical_images"] == 1

    stricter = run("filter", tmp_path / "clone", "--threshold", "0.88", "--out", tmp_path / "sure")
    assert stricter.exit_code == 0 and "short: " in stricter.stdout
    assert 0 < len(open_images(tmp_path / "sure")) < 36


def test_filter_of_any_image_set(folder, tmp_path):
    for label, name in enumerate(("red", "green", "blue")):
        (tmp_path / "set" / name).mkdir(parents=True)
        for number in range(4):
            pixels = np.full((4, 4, 3), 40, np.uint8)
            pixels[..., label] = 60 + 60 * number
            Image.fromarray(pixels).save(tmp_path / "set" / name / f"{number}.png")
    words = ("filter", f"imagefolder:{tmp_path / 'set'}", "--threshold", "0.85")
    refused = run(*words, "--out", tmp_path / "out")
    assert refused.exit_code == 2 and "is not a clone" in refused.stderr
    ignored = run(*words, "--out", tmp_path / "out", "--seed", "0", "--batch-size", "8")
    assert ignored.exit_code == 2 and "--seed and --batch-size would be ignored" in ignored.stderr
    options = ["--device", "cpu", "--filter-option", 'classes=["red", "green", "blue"]']
    result = run(
        *words,
        "--out",
        tmp_path / "out",
        "--filter",
        f"torchscript:{folder / 'judge.pt'}",
        *options,
    )
    assert result.exit_code == 0, result.stderr
    assert np.bincount(open_images(tmp_path / "out").labels).tolist() == [3, 3, 3]
    assert run("verify", tmp_path / "out").exit_code == 0


def test_mistakes_exit_with_2_and_one_line(folder, tmp_path):
    run(*arguments(folder, tmp_path / "clone"))
    for more, message in (
        (["--seed", "5"], "drawn with other settings"),
        (
            ["--filter", f"torchscript:{folder / 'judge.pt'}", "--threshold", "1.5"],
            "between 0 and 1",
        ),
        (["--classes", "violet"], "has no class 'violet'"),
        (["--shard", "3/2"], "no such share"),
        (["--threshold", "0"], "between 0 and 1"),
    ):
        result = run(*arguments(folder, tmp_path / "clone", *more))
        assert result.exit_code == 2
        assert message in result.stderr and result.stderr.count("\n") == 1
    assert run("verify", tmp_path).exit_code == 2


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["sample", "--per-class", "1", "--label", "agree"], "--label"),
        (["sample", "--per-class", "1", "--filter-option", "input_size=8"], "--filter-option"),
        (["filter", "--threshold", "0.9", "--label", "agree"], "--label"),
        (["filter", "--threshold", "0.9", "--filter-option", "a=1"], "--filter-option"),
        (["filter", "--threshold", "0.9", "--per-class", "3"], "--per-class"),
    ],
)
def test_options_of_a_filter_are_refused_without_one(folder, tmp_path, words, named):
    sampler = f"torchscript:{folder / 'generator.pt'}"
    options = ["-o", "z_dim=48", "-o", "classes=3"] if words[0] == "sample" else []
    result = run(words[0], sampler, *words[1:], *options, "--out", tmp_path / "out")
    assert result.exit_code == 2
    assert f"{named} would be ignored; add --filter" in result.stderr
    assert not (tmp_path / "out").exists()


def test_damaged_clone_exits_with_1(folder, tmp_path):
    run(*arguments(folder, tmp_path / "clone"))
    (tmp_path / "clone/shard-00000.parquet").unlink()
    result = run("verify", tmp_path / "clone", "--count", "0")
    assert result.exit_code == 1 and "shard-00000.parquet is missing" in result.stdout


def test_shares_and_extension(folder, tmp_path):
    parts = ["--shard-size", "7"]
    first = run(*arguments(folder, tmp_path / "parts", *parts, "--shard", "0/2"))
    assert first.exit_code == 0 and "others are not yet" in first.stdout
    assert (
        "36 images" in run(*arguments(folder, tmp_path / "parts", *parts, "--shard", "1/2")).stdout
    )
    words = [
        word if word != "12" else "5" for word in arguments(folder, tmp_path / "grown", *parts)
    ]
    run(*words)
    run(*arguments(folder, tmp_path / "grown", *parts, "--extend"))
    one, two = (open_images(tmp_path / name) for name in ("parts", "grown"))
    assert all(torch.equal(one[row][0], two[row][0]) for row in range(36))


@pytest.mark.slow
def test_ranks_of_a_launcher_share_the_work(folder, tmp_path):
    run(*arguments(folder, tmp_path / "one"))
    launcher = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--standalone",
        "--nproc-per-node=2",
    ]
    words = arguments(folder, tmp_path / "two", "--shard-size", "7")
    result = subprocess.run([*launcher, "-m", "gendata", *words], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    one, two = (open_images(tmp_path / name) for name in ("one", "two"))
    assert all(torch.equal(one[row][0], two[row][0]) for row in range(36))


@pytest.mark.parametrize("name", ["sample", "verify", "filter"])
def test_help_ends_with_two_examples(name):
    text = run(name, "--help").stdout
    examples = text.split("Examples:")[1].split("Options:")[0]
    assert examples.count(f"gendata {name} ") == 2
