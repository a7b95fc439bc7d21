"""Simulated measurements of worth: their truth by hand, and how often it is held."""

import json
from functools import partial

import numpy as np
import pytest

from gendata.benchmarks import worth_intervals as study
from gendata.errors import GendataError
from gendata.registry import studies


def law(images):
    return 0.05 + 0.8 * images**-0.45


@pytest.mark.parametrize(
    ("name", "worth", "doubling", "gain"),
    [
        ("each is worth 0.3 real ones", 90, 2, law(90) - law(180)),
        ("more images add nothing", 30, 1, 0),
        ("more images do harm", 30, None, -law(30) * 0.05 * np.log(2)),
    ],
)
def test_the_truth(name, worth, doubling, gain):
    found = study.Truth.of(study.CASES[name])
    assert found.worth == pytest.approx(worth) and found.gain == pytest.approx(gain)
    if doubling is None:
        assert found.doubling < 1
    else:
        assert found.doubling == pytest.approx(doubling)


def test_simulated_trainings_have_the_errors_of_their_curve():
    generator = np.random.default_rng(0)
    difficulty = generator.random(2000)
    runs = study.simulated(study.SIZES, study.harm, difficulty, 200, generator)
    errors = 1 - runs.accuracy
    assert runs.error == pytest.approx(study.harm(study.SIZES), rel=0.05)
    assert (errors.std(axis=0) / runs.error).max() < 0.06
    same = runs.right[0] == runs.right[1]
    assert 0.8 < same.mean() < 1, "the same images are hard for all"


def test_the_table_and_its_file(tmp_path, monkeypatch):
    monkeypatch.setattr(study, "exchange_rates", partial(study.exchange_rates, replicates=40))
    result = studies.get("worth-intervals")(out=tmp_path, simulations=3, test_images=200)
    written = json.loads((tmp_path / "worth-intervals.json").read_text(encoding="utf-8"))
    assert written == result.data
    (table,) = result.tables
    assert [row[0] for row in table.rows] == list(study.CASES)
    for row, case in zip(table.rows, written["cases"].values(), strict=True):
        assert case["worth"]["told"] == 3
        hits = [n for n in range(4) if row[1].startswith(f"{n / 3:.2f} (")]
        assert hits == [round(3 * case["worth"]["held"]["value"])]
    assert "gendata bench worth-intervals" in written["command"]
    with pytest.raises(GendataError, match="simulations is out of range"):
        study.worth_intervals(out=tmp_path, simulations=0)


def test_what_is_never_told_has_no_share(tmp_path, monkeypatch):
    monkeypatch.setattr(study, "_held", lambda *_: {"worth": True})
    monkeypatch.setattr(study, "_measured", lambda *_: None)
    (table,) = study.worth_intervals(out=tmp_path, simulations=2).tables
    assert {row[1] for row in table.rows} == {"1.00 (0.34 to 1.00)"}
    assert {row[3] for row in table.rows} == {"– [0]"}
