"""`gendata train`: options, output, mistakes."""

import dataclasses
import json

import pytest
from click.testing import CliRunner
from PIL import Image
from toys import toy_images

from gendata.cli import main
from gendata.cli.train import SETTINGS
from gendata.training import Settings


@pytest.fixture
def folders(tmp_path):
    """ImageFolder trees of toy images."""
    for seed, (name, count) in enumerate({"clone": 48, "few": 12, "test": 24}.items()):
        images = toy_images(name, count, seed)
        for row in range(count):
            pixels, label = images[row]
            folder = tmp_path / name / images.classes[label]
            folder.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels.permute(1, 2, 0).numpy()).save(folder / f"{row}.png")
    return tmp_path


def run(*arguments):
    return CliRunner().invoke(main, ["train", "--device", "cpu", *map(str, arguments)])


def test_options_are_the_settings_with_their_defaults():
    named = {name.replace("-", "_"): default for name, _, default, _ in SETTINGS}
    fields = {each.name: each.default for each in dataclasses.fields(Settings)}
    assert {*named, "seed"} == fields.keys()
    for name, default in named.items():
        assert fields[name] is None or str(fields[name]) == default, name


def test_a_training_and_its_repetition(folders):
    arguments = [
        *("--synthetic", folders / "clone", "--real", folders / "few"),
        *("--test", folders / "test", "--method", "rg", "--epochs", 2, "--batch-size", 16),
        *("--out", folders / "run", "-o", "lambda1=0.5"),
    ]
    first = run(*arguments)
    assert first.exit_code == 0, first.output
    assert "rule 'last', epoch 2: test accuracy" in first.stdout
    assert "of 24 images (95 % interval" in first.stdout
    assert "epochs" not in first.stdout, "progress goes to stderr"
    again = run(*arguments, "--json")
    assert again.exit_code == 0
    assert json.loads(again.stdout)["selections"]["last"]["test"]["images"] == 24
    other = run(*arguments, "--learning-rate", 0.01)
    assert other.exit_code == 2
    assert "learning_rate 0.001 there, 0.01 now" in other.stderr
    assert len(other.stderr.splitlines()) == 1


def test_dry_run_shows_the_settings_and_writes_nothing(folders):
    words = ("--method", "pg", "--preset", "paper", "--epochs", 3, "-o", "pg_weight=2")
    words = (*words, "--out", folders / "run", "--dry-run", "--json")
    result = run("--synthetic", folders / "clone", *words)
    plan = json.loads(result.stdout)
    assert plan["synthetic"].endswith(" images")
    refused = run("--synthetic", folders / "nowhere", *words)
    assert refused.exit_code == 2 and "nowhere" in refused.stderr
    assert (plan["network"], plan["epochs"], plan["pg_weight"]) == ("timm:resnet50", 3, 2)
    assert not (folders / "run").exists()


@pytest.mark.parametrize(
    ("arguments", "shown"),
    [
        (["--method", "pgg"], "unknown method 'pgg'"),
        (["--method", "pg", "-o", "pg_wait=1"], "did you mean pg_weight"),
        (["--method", "rg"], "needs real images"),
        (["--precision", "fp16"], "fp16"),
    ],
)
def test_a_mistake_is_one_line_and_exit_2(folders, arguments, shown):
    result = run("--synthetic", folders / "clone", "--out", folders / "run", *arguments)
    assert result.exit_code == 2
    assert shown in result.stderr and len(result.stderr.splitlines()) == 1
    assert not (folders / "run").exists()


def test_damaged_images_are_left_out_and_counted_or_stop_it(folders):
    next((folders / "clone").rglob("*.png")).write_bytes(b"no image")
    words = ("--synthetic", folders / "clone", "--out", folders / "run", "--epochs", 1)
    stopped = run(*words, "--strict")
    assert stopped.exit_code == 2 and "damaged" in stopped.stderr
    assert not (folders / "run").exists()
    planned = run(*words, "--dry-run", "--json")
    assert json.loads(planned.stdout)["synthetic"].endswith("47 images")
