"""The low-shot study from end to end."""

import json

from safetensors.torch import load_file
from toy_studies import accuracies, keywords, run_study


def trained_on(out, record) -> dict[str, int]:
    """How many images of each role a run's own folder says it was given."""
    settings = json.loads((out / "runs" / record["key"] / "run.json").read_text())["settings"]
    return {role: settings[role]["images"] for role in ("synthetic", "real") if role in settings}


def test_rows_see_what_they_should(tmp_path):
    out = tmp_path / "out"
    result = run_study("low-shot", out, **keywords(tmp_path, seeds=1))
    records = {record["row"]: record for record in result.data["records"]}
    few, made = {"real": 6}, {"synthetic": 24}
    assert {row: trained_on(out, record) for row, record in records.items()} == {
        "Few real": few,
        "Synthetic": made,
        "Aug.": few | made,
        "RG": few | made,
        "PG + RG": few | made,
    }
    shots = {row: record["shots"] for row, record in records.items()}
    assert shots == {"Few real": 2, "Synthetic": None, "Aug.": 2, "RG": 2, "PG + RG": 2}
    sources = {row: record["source"] for row, record in records.items()}
    assert sources["Few real"] is None and sources["Synthetic"] == "made"
    assert records["Few real"]["epochs"] == 4, "as its row says"
    assert (out / "low-shot" / "results.tex").exists()
    assert "PG + RG" in result.text()


def test_several_shots_and_ratios_make_a_column_each(tmp_path):
    given = keywords(tmp_path, methods=["fake", "aug"], seeds=1, shots="1,3", per_class=[2, 4])
    result = run_study("low-shot", tmp_path / "out", **given)
    found = {key[:4] for key in accuracies(result)}
    assert found == {
        *(("Synthetic", "made", per_class, None) for per_class in (2, 4)),
        *(("Aug.", "made", per_class, shots) for per_class in (2, 4) for shots in (1, 3)),
    }
    sizes = {
        (record["per_class"], record["shots"]): trained_on(tmp_path / "out", record)
        for record in result.data["records"]
        if record["row"] == "Aug."
    }
    assert sizes[(4, 1)] == {"synthetic": 12, "real": 3}
    text = result.text()
    assert "4 a class" in text and "3 shots" in text


def test_all_real_images(tmp_path):
    out = tmp_path / "out"
    given = keywords(tmp_path, methods=["aug"], seeds=1, shots=[0], validation="2")
    (record,) = run_study("low-shot", out, **given).data["records"]
    assert record["shots"] is None
    assert trained_on(out, record) == {"synthetic": 24, "real": 36 - 6}


def test_all_methods_of_a_seed_start_with_the_same_weights(tmp_path):
    """A learning rate that changes nothing leaves every network as it began."""
    methods = ["fake", "aug", "adp", "rg", "pg+rg", "a-gem", "dann"]
    given = keywords(tmp_path, methods=methods, options={"learning_rate": 1e-30}, epochs=2)
    result = run_study("low-shot", tmp_path / "out", **given)
    starts = {0: set(), 1: set()}
    for record in result.data["records"]:
        folder = tmp_path / "out" / "runs" / record["key"]
        weights = load_file(folder / "last.safetensors")
        last = sorted(name for name in weights if name.endswith("weight"))
        starts[record["seed"]].add(b"".join(weights[name].numpy().tobytes() for name in last))
    assert len(result.data["records"]) == 2 * len(methods)
    assert len(starts[0]) == len(starts[1]) == 1 and starts[0] != starts[1]
