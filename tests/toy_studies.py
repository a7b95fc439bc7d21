"""A study so small that a test can run it: toy images, a tiny preset, two epochs."""

from pathlib import Path
from typing import Any

from toys import toy_images

from gendata.benchmarks.protocol.references import Source
from gendata.registry import studies

PRESET = """
name = "Toys"
layout = "low-shot"
seeds = 2
shots = 2

[sources]
made = "<toy images>"

[settings]
network = "small-cnn"
epochs = 2
batch_size = 16
size = 16
views = 1

[options]
teacher_size = 32
pg_weight = 0.5

[tune]
pg_weight = [0.1, 0.5]
lambda1 = [0.0, 1.0]
lambda2 = [1.0]

[augment-by-loss]
per_class = [2]

[[zero-shot]]
name = "fake"
label = "Baseline"
method = "fake"

[[zero-shot]]
name = "pg"
label = "Ours"
method = "pg"
baseline = "Baseline"

[[zero-shot]]
name = "real"
label = "Real"
method = "real"
real = "all"

[[low-shot]]
name = "real"
label = "Few real"
method = "real"
options = { epochs = 4 }

[[low-shot]]
name = "fake"
label = "Synthetic"
method = "fake"

[[low-shot]]
name = "aug"
label = "Aug."
method = "aug"
baseline = "Synthetic"

[[low-shot]]
name = "rg"
label = "RG"
method = "rg"
baseline = "Aug."

[[low-shot]]
name = "pg+rg"
label = "PG + RG"
method = "pg+rg"
baseline = "Aug."
"""


def write_preset(folder: Path) -> str:
    """Writes the preset and returns its path."""
    path = folder / "toys.toml"
    path.write_text(PRESET, encoding="utf-8")
    return str(path)


def keywords(folder: Path, **others: Any) -> dict[str, Any]:
    """Keywords of a study on toy images in memory."""
    return {
        "preset": write_preset(folder),
        "data": toy_images("toy real", 36, 0),
        "test": toy_images("toy test", 15, 1),
        "sources": [Source("made", toy_images("toy made", 24, 2))],
        "validation": "3",
        "device": "cpu",
        **others,
    }


def run_study(name: str, out: Path, **given: Any) -> Any:
    """Runs a study."""
    return studies.get(name)(out=out, **given)


def accuracies(result: Any) -> dict[tuple[Any, ...], float]:
    """Accuracies by what tells a run from the others."""
    names = ("row", "source", "per_class", "shots", "seed")
    return {tuple(r[n] for n in names): r["accuracy"] for r in result.data["records"]}


def files_in(folder: Path) -> dict[Path, int]:
    """All files with the time of their last change."""
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}
