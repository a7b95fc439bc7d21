"""The zero-shot study from end to end."""

import json
import shlex

from click.testing import CliRunner
from toy_studies import keywords, run_study, write_preset
from toys import toy_images

from gendata.cli import main
from gendata.images.export import export_images

FIELDS = {
    *("key", "study", "data", "source", "row", "method", "options", "baseline", "setting"),
    *("shots", "seed", "accuracy", "last_accuracy", "images", "select", "epochs", "network"),
    *("init", "seconds", "device", "versions", "command"),
}


def test_records_and_tables(tmp_path):
    out = tmp_path / "out"
    result = run_study("zero-shot", out, **keywords(tmp_path))
    records = result.data["records"]
    assert [(r["row"], r["source"], r["seed"]) for r in records] == [
        ("Baseline", "made", 0),
        ("Baseline", "made", 1),
        ("Ours", "made", 0),
        ("Ours", "made", 1),
        ("Real", None, 0),
        ("Real", None, 1),
    ]
    for record in records:
        assert record.keys() >= FIELDS
        assert (record["setting"], record["shots"], record["select"]) == (
            "zero-shot",
            None,
            "last",
        )
        assert 0 <= record["accuracy"] == record["last_accuracy"] <= 1
        assert (record["images"], record["device"], record["epochs"]) == (15, "cpu", 2)
    assert records[2]["baseline"] == "Baseline" and records[2]["options"]["pg_weight"] == 0.5
    real = json.loads((out / "runs" / records[4]["key"] / "run.json").read_text())["settings"]
    assert real["real"]["images"] == 36 - 9, "all but the validation images"
    folder = out / "zero-shot"
    assert {"results.json", "results.md", "results.tex", "results.txt", "results.png"} <= {
        path.name for path in folder.iterdir()
    }
    assert "Ours" in result.text() and "last epoch" in result.text()


def test_selection_by_validation_images_reads_no_test_image_before_the_end(tmp_path):
    given = keywords(tmp_path, methods=["fake"], seeds=1, select="target-val", epochs=3)
    (record,) = run_study("zero-shot", tmp_path / "out", **given).data["records"]
    folder = tmp_path / "out" / "runs" / record["key"]
    history = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    assert all("validation_accuracy" in each and "test_accuracy" not in each for each in history)
    best = max(history, key=lambda each: each["validation_accuracy"])["epoch"]
    chosen = json.loads((folder / "result.json").read_text())["selections"]
    assert chosen["target-val"]["epoch"] == best
    assert record["accuracy"] == chosen["target-val"]["test"]["value"]
    assert record["last_accuracy"] == chosen["last"]["test"]["value"]


def test_from_the_command_line(tmp_path):
    for seed, (name, count) in enumerate({"real": 24, "test": 9, "made": 12}.items()):
        export_images(toy_images(name, count, seed), tmp_path / name)
    words = {
        "preset": write_preset(tmp_path),
        "data": tmp_path / "real",
        "test": tmp_path / "test",
        "sources": f"toy={tmp_path / 'made'}",
        "methods": "fake",
        "seeds": 1,
        "epochs": 1,
        "device": "cpu",
    }
    arguments = ["bench", "zero-shot", "--out", str(tmp_path / "out"), "--json"]
    named = [word for key, value in words.items() for word in (f"--{key}", str(value))]
    result = CliRunner().invoke(main, [*arguments, *named], catch_exceptions=False)
    assert result.exit_code == 0, result.stderr
    (record,) = json.loads(result.stdout)["records"]
    assert (record["data"], record["source"], record["images"]) == ("Toys", "toy", 9)
    typed = shlex.split(record["command"])
    assert typed[:3] == ["gendata", "bench", "zero-shot"]
    for key, value in words.items():
        assert typed[typed.index(f"--{key}") + 1] == str(value)
    assert typed[typed.index("--out") + 1] == str(tmp_path / "out")
