"""Choosing weights on validation images, within a budget, without a look at the test images."""

import itertools
import json

import pytest
from toy_studies import keywords, run_study
from toys import PoisonedLabels

from gendata.benchmarks.protocol.tuning import GRID, Choice, candidates
from gendata.errors import GendataError

OWN = {"pg_weight": 0.5, "lambda1": 1.0, "lambda2": 1.0, "epochs": 2}


def test_candidates_are_the_row_s_own_and_others_of_the_grid():
    found = candidates(OWN, GRID, 7, seed=0)
    assert len(found) == 7
    assert found[0] == {"pg_weight": 0.5, "lambda1": 1.0, "lambda2": 1.0}
    assert len({tuple(each.values()) for each in found}) == 7
    points = set(itertools.product(*GRID.values()))
    assert all(tuple(each.values()) in points for each in found[1:])
    assert candidates(OWN, GRID, 5, seed=0) == found[:5], "a larger budget only adds"
    assert candidates(OWN, GRID, 7, seed=1) != found
    every = candidates(OWN, GRID, 10_000, seed=0)
    assert len(every) == len(points) + 1 and len({tuple(e.values()) for e in every}) == len(every)
    inside = {**OWN, "pg_weight": 1.0}
    assert len(candidates(inside, GRID, 10_000, seed=0)) == len(points)


@pytest.mark.parametrize("budget", [0, -1, 2.5, True])
def test_a_budget_is_a_positive_whole_number(budget):
    with pytest.raises(GendataError, match="tune is out of range"):
        candidates(OWN, GRID, budget, seed=0)


@pytest.mark.parametrize(
    ("accuracies", "images", "chosen"),
    [
        ((0.5, 0.75, 0.75, 0.25), 100, 1),  # of equal ones the first
        ((0.79, 0.78, 0.80, 0.77), 500, 0),  # a standard error is 0.0257
        ((0.79, 0.78, 0.80, 0.77), 5000, 2),  # and 0.0081 here
        ((0.5, 0.57, 0.4, 0.5), 100, 0),  # 0.0703
        ((0.5, 0.58, 0.4, 0.5), 100, 1),  # 0.0702
    ],
)
def test_the_highest_is_chosen_where_it_is_told_from_the_row_s_own(accuracies, images, chosen):
    weights = [{"pg_weight": float(number)} for number in range(4)]
    choice = Choice("made", 4, images, list(zip(weights, accuracies, strict=True)))
    assert choice.chosen == weights[chosen]
    assert choice.to_json()["chosen"] == weights[chosen] and choice.to_json()["trained"] == 4


def test_the_choice_is_recorded_and_used(tmp_path):
    out = tmp_path / "out"
    given = keywords(tmp_path, methods=["aug", "pg+rg"], tune=3)
    result = run_study("low-shot", out, **given)
    (choice,) = json.loads((out / "tuning.json").read_text())["choices"]
    assert (choice["source"], choice["budget"], choice["trained"]) == ("made", 3, 3)
    assert choice["images"] == 9, "3 of each class were held out"
    tried = [({n: each[n] for n in GRID}, each["validation_accuracy"]) for each in choice["tried"]]
    assert choice["chosen"] == Choice("made", 3, 9, tried).chosen
    lines = [json.loads(line) for line in (out / "runs.jsonl").read_text().splitlines()]
    trials = [line for line in lines if line["judge"] == "validation"]
    assert [line["accuracy"] for line in trials] == [
        each["validation_accuracy"] for each in choice["tried"]
    ]
    assert all(line["images"] == 9 for line in trials), "3 of each class were held out"
    tuned = [each for each in result.data["records"] if "tuned (3 trainings)" in each["row"]]
    assert [each["seed"] for each in tuned] == [0, 1]
    for record in tuned:
        assert {name: record["options"][name] for name in GRID} == choice["chosen"]
        assert record["baseline"] == "Aug." and record["judge"] == "test"
    assert not any(each["judge"] == "validation" for each in result.data["records"])
    again = run_study("low-shot", out, **given)
    assert again.data["records"] == result.data["records"]
    assert len((out / "runs.jsonl").read_text().splitlines()) == len(lines)


def test_no_test_image_is_read_while_choosing(tmp_path):
    out = tmp_path / "out"
    given = keywords(tmp_path, methods=["pg+rg"], tune=2, limit=2, test=PoisonedLabels())
    with pytest.raises(AssertionError):
        run_study("low-shot", out, **given)  # read when the chosen weights are to be judged
    assert (out / "tuning.json").exists(), "which was after the choice"


def test_a_dry_run_counts_the_candidates(tmp_path):
    given = keywords(tmp_path, methods=["pg+rg"], tune=3, dry_run=True)
    listed = run_study("low-shot", tmp_path / "out", **given)
    assert listed.data["runs"] == 3 + 2
    assert any("then 2 runs with the chosen weights" in note for note in listed.data["notes"])
    assert not (tmp_path / "out").exists()


def test_tuning_needs_validation_images(tmp_path):
    given = keywords(tmp_path, methods=["pg+rg"], tune=2, validation=None)
    with pytest.raises(GendataError, match="needs validation images"):
        run_study("low-shot", tmp_path / "out", **given)


def test_tuning_needs_a_row_to_tune(tmp_path):
    given = keywords(tmp_path, methods=["aug"], tune=2)
    with pytest.raises(GendataError, match="not among the methods; found aug"):
        run_study("low-shot", tmp_path / "out", **given)
