import json

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from gendata.cli import main

QUICK = ["--device", "cpu", "--epochs", "1", "--seeds", "1", "--per-class", "10"]


def saved(path, classes=("a", "b", "c"), seed=0):
    """Twelve noisy images of each class, with a bright bar in the class's own row."""
    generator = torch.Generator().manual_seed(seed)
    labels = np.arange(12 * len(classes)) % len(classes)
    pixels = torch.randint(0, 60, (len(labels), 12, 12, 3), generator=generator).numpy()
    for image, label in zip(pixels, labels, strict=True):
        image[3 * label + 1 : 3 * label + 3] += 190
    np.savez(path, images=pixels.astype(np.uint8), labels=labels, classes=list(classes))
    return str(path)


@pytest.fixture
def sets(tmp_path):
    return saved(tmp_path / "real.npz"), saved(tmp_path / "clone.npz", seed=1)


def command(*arguments):
    return CliRunner().invoke(main, ["gap", *arguments, *QUICK])


def test_the_command_prints_the_matrix_and_writes_the_report(sets, tmp_path):
    real, clone = sets
    out = tmp_path / "gap"
    options = ["--test", real, "--name", "GAN", "--parts", "cross-source"]
    done = command(real, clone, *options, "--out", str(out))
    assert done.exit_code == 0, done.output
    head, first, second, *_ = done.stdout.splitlines()
    assert head.split() == ["trained", "on", "real", "GAN", "real", "test"]
    assert first.split()[0] == "real" and second.split()[0] == "GAN" and len(second.split()) == 4
    assert {path.name for path in out.iterdir()} == {
        *("report.html", "gap.json", "gap.csv", "classifiers")
    }
    other = ["--out", str(tmp_path / "other"), "--json", "-o", "augment=flip"]
    as_json = command(real, clone, "--parts", "cross-source", *other)
    assert json.loads(as_json.stdout)["settings"]["augment"] == "flip"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere"], "nowhere"),
        (["REAL", "--name", "a", "--name", "b"], "not every clone has a name"),
        (["REAL", "REAL"], "two clones have one name"),
        (["REAL", "--parts", "cross-source", "-o", "optimiser=adam"], "optimiser"),
        (["REAL", "--parts", "fidelty"], "did you mean 'fidelity'?"),
        (["REAL", "--parts", " , "], "no part to measure"),
        (["REAL", "--parts", "fidelity", "--encoder", "timm:no_such_net"], "no_such_net"),
        (["REAL", "--encoder-mean", "0.5,0.5"], "bad option --encoder-mean; found '0.5,0.5'"),
    ],
)
def test_a_mistake_is_one_line_and_status_2(sets, tmp_path, arguments, message):
    real, _ = sets
    clones = [real if argument == "REAL" else argument for argument in arguments]
    done = command(real, *clones, "--out", str(tmp_path / "gap"))
    assert done.exit_code == 2
    complaint = [line for line in done.stderr.splitlines() if line.startswith("gendata:")]
    assert len(complaint) == 1 and message in complaint[0]


def test_a_torchscript_encoder_is_told_what_range_it_takes(sets, tmp_path):
    pooling = torch.nn.Sequential(torch.nn.AvgPool2d(3), torch.nn.Flatten())
    file, out = tmp_path / "pooling.pt", tmp_path / "gap"
    torch.jit.save(torch.jit.trace(pooling, torch.zeros(2, 3, 12, 12)), file)
    options = ["--parts", "fidelity", "--encoder", f"torchscript:{file}", "--encoder-size", "12"]
    ranges = ["--encoder-mean", "0.5", "--encoder-std", "0.5,0.25,0.5"]
    done = command(*sets, *options, *ranges, "--json", "--out", str(out))
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert found["settings"]["encoder_mean"] == 0.5
    assert found["settings"]["encoder_std"] == [0.5, 0.25, 0.5]
    (clone,) = found["clones"].values()
    pixels = clone["fidelity"]["encoder"]["pixels"]
    assert pixels == "[0, 1], mean 0.5 0.5 0.5, std 0.5 0.25 0.5"
