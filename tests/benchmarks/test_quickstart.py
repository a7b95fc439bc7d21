"""The quickstart on images of one's own, from end to end, and the page it writes."""

import html
import json
import shlex
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image
from scripted import write_scripts
from torch import Tensor, nn

from gendata.benchmarks.quickstart import clone_names
from gendata.benchmarks.tables import StudyResult, Table
from gendata.cli import main
from gendata.clone import verify_clone
from gendata.images import open_images

HOSTILE = "<img src=x onerror=alert(1)> & co"
CLASSES = [HOSTILE, "green", "red"]


class StrictJudge(nn.Module):
    """Says which channel is brightest, sure of it where the first value exceeds the next."""

    def forward(self, x: Tensor) -> Tensor:
        return 20.0 * x.mean(dim=(2, 3)) * (x[:, :1, 0, 0] > x[:, :1, 0, 1]).to(x.dtype)


def write_images(folder: Path, count: int, seed: int) -> None:
    """Writes `count` noisy 16-pixel images of each class, tinted by class."""
    pixels = np.random.default_rng(seed)
    for label, name in enumerate(CLASSES):
        (folder / name).mkdir(parents=True)
        for number in range(count):
            image = pixels.integers(0, 120, (16, 16, 3), dtype=np.uint8)
            image[..., label] += 120
            Image.fromarray(image).save(folder / name / f"{number}.png")


def run(*words: object) -> dict:
    common = ("--per-class", 4, "--shots", 2, "--epochs", 2, "--seeds", 1, "--device", "cpu")
    arguments = [str(word) for word in ("quickstart", *words, *common, "--json")]
    result = CliRunner().invoke(main, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("own images")
    for seed, (name, count) in enumerate({"real": 8, "test": 4, "made": 6}.items()):
        write_images(folder / name, count, seed)
    return write_scripts(folder, side=16, judge=StrictJudge())


def written(folder: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}


def test_images_in_folders(folder):
    out = folder / "out"
    words = ["--data", folder / "real", "--sampler", f"folder:{folder / 'made'}", "--out", out]
    first = run(*words)
    assert set(first["results"]) == {"fake", "pg", "real", "aug", "rg", "pg+rg"}
    assert first["counts"] == {"clone": 12, "few": 6, "test": 6, "epochs": 2, "seeds": 1}
    assert first["settings"]["size"] == 16 and first["settings"]["filter"] is None
    page = (out / "report.html").read_text()
    assert "Trained on generated images, tested on real ones" in page
    assert "Kept" not in page, "without a filter nothing was turned away"
    assert HOSTILE not in page and "<img src=x" not in page
    assert html.escape(HOSTILE) in page
    assert shlex.split(first["command"])[:2] == ["gendata", "quickstart"]

    trained = written(out / "runs")
    again = run(*words)
    assert again["results"] == first["results"]
    assert written(out / "runs") == trained
    assert json.loads((out / "quickstart.json").read_text()) == again


def test_generator_with_options_and_a_filter(folder):
    options = ["--sampler-option", "z_dim=768", "-o", f"classes={json.dumps(CLASSES)}"]
    judge = f"torchscript:{folder / 'judge.pt'}"
    words = [
        *("--data", folder / "real", "--test", folder / "test", "--filter", judge, "--size", 24),
        *("--sampler", f"torchscript:{folder / 'generator.pt'}", *options),
        *("--out", folder / "out of a generator"),
    ]
    found = run(*words)
    page = (folder / "out of a generator" / "report.html").read_text()
    assert "Kept and rejected: generator" in page and "turned away" in page
    assert "<img src=x" not in page
    clone = folder / "out of a generator" / "clones" / "generator"
    assert list(open_images(clone).classes) == CLASSES
    assert verify_clone(clone, device="cpu", all=True)["ok"]

    typed = shlex.split(found["command"])
    expected = [str(word) for word in words]
    for option in ("--data", "--test", "--filter", "--size", "--sampler", "--out"):
        assert typed[typed.index(option) + 1] == expected[expected.index(option) + 1]
    assert typed.count("-o") == 2 and "z_dim=768" in typed
    assert f"classes={json.dumps(CLASSES)}" in typed
    assert typed[typed.index("--device") + 1] == "cpu" and "--seed" not in typed


def test_images_of_ones_own_need_a_sampler(folder):
    result = CliRunner().invoke(main, ["quickstart", "--data", str(folder / "real")])
    assert result.exit_code == 2 and "add --sampler" in result.stderr


@pytest.mark.parametrize(
    ("references", "names"),
    [
        (
            ["embedded:fashion-diffusion", "embedded:fashion-gan"],
            ["fashion-diffusion", "fashion-gan"],
        ),
        (
            ["folder:/a/dogs", "torchscript:/b/dogs.pt", "folder:c/dogs"],
            ["dogs", "dogs-2", "dogs-3"],
        ),
        (["folder:real", "/absolute/path", "folder:.."], ["real-2", "path", "clone"]),
        (["folder:fashion-mnist:test"], ["fashion-mnist-test"]),
    ],
)
def test_names_of_clones_differ_and_are_no_paths(references, names):
    assert clone_names(references) == names


def test_tables():
    table = Table(("method", "accuracy"), [("a|b", "1.0%"), ("longer one", "12.0%")], "Caption.")
    assert table.text() == (
        "Caption.\n\nmethod      accuracy\n----------  --------\na|b         1.0%\n"
        "longer one  12.0%"
    )
    assert table.markdown().splitlines() == [
        "| method | accuracy |",
        "| --- | --- |",
        "| a\\|b | 1.0% |",
        "| longer one | 12.0% |",
    ]
    assert StudyResult({}, [table, table]).text().count("Caption.") == 2
