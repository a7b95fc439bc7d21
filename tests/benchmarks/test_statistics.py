"""What seeds say: means, deviations, intervals, pairs, and who is compared with whom."""

import json
import math
import statistics

import pytest
from scipy import stats
from study_records import record, runs

from gendata.benchmarks.protocol.statistics import Cell, compare, summarise
from gendata.errors import GendataError


def summary_of(records, row, **place):
    found = [
        each
        for each in summarise(records)
        if each.row == row and all(getattr(each.cell, k) == v for k, v in place.items())
    ]
    assert len(found) == 1
    return found[0]


def test_mean_deviation_and_interval():
    values = [0.71, 0.74, 0.72, 0.70]
    found = summary_of(runs("Fake", values), "Fake")
    assert (found.n, found.seeds, found.accuracies) == (4, (0, 1, 2, 3), tuple(values))
    assert found.mean == pytest.approx(statistics.mean(values))
    assert found.std == pytest.approx(statistics.stdev(values))
    assert found.error == pytest.approx(statistics.stdev(values) / 2)
    expected = stats.t.interval(0.95, 3, loc=found.mean, scale=found.error)
    assert found.interval == pytest.approx(expected)
    assert found.comparison is None
    assert summary_of(runs("Fake", [0.2, 0.9]), "Fake").interval == (0.0, 1.0)  # no further


def test_one_seed_has_no_deviation_but_an_interval_of_its_images():
    found = summary_of([record("Fake", 3, 0.8, images=50)], "Fake")
    assert (found.std, found.error, found.interval) == (None, None, None)
    # Wilson's interval is where |p - 40/50| = z sqrt(p (1 - p) / 50).
    for bound in found.single_run:
        assert abs(bound - 0.8) == pytest.approx(1.959964 * math.sqrt(bound * (1 - bound) / 50))
    assert summary_of([record("Fake", 0, 0.8, images=None)], "Fake").single_run is None


def test_rows_are_compared_seed_by_seed():
    base = runs("Aug.", [0.70, 0.80, 0.75])
    better = runs("RG", [0.71, 0.82, 0.76], baseline="Aug.")
    found = summary_of([*better, *base[::-1]], "RG").comparison
    expected = stats.ttest_rel([0.71, 0.82, 0.76], [0.70, 0.80, 0.75])
    assert found.p == pytest.approx(expected.pvalue)
    # The pairs, not the two spreads, which drown so small a difference.
    assert found.p < 0.1 < stats.ttest_ind([0.71, 0.82, 0.76], [0.70, 0.80, 0.75]).pvalue
    assert found.holm_p == found.p


def test_only_seeds_in_common_are_paired():
    base = [record("Aug.", seed, value) for seed, value in [(0, 0.7), (2, 0.72), (5, 0.9)]]
    other = [
        record("RG", seed, value, baseline="Aug.")
        for seed, value in [(2, 0.75), (1, 0.1), (0, 0.71), (7, 0.2)]
    ]
    found = summary_of([*base, *other], "RG").comparison
    assert found.seeds == 2
    assert found.difference == pytest.approx(((0.71 - 0.7) + (0.75 - 0.72)) / 2)
    assert found.note == "paired over 2 of 4 and 3 seeds"


def test_without_a_common_seed_or_a_baseline_there_is_no_p():
    apart = [record("Aug.", 0, 0.7), record("RG", 1, 0.8, baseline="Aug.")]
    found = summary_of(apart, "RG").comparison
    assert (found.p, found.difference) == (None, None) and "not paired" in found.note
    alone = summary_of(runs("RG", [0.7, 0.8], baseline="Aug."), "RG").comparison
    assert alone.p is None and alone.note == "the baseline has no finished run"


def test_holm_takes_the_rows_of_one_column_together():
    records = []
    for source, shift in (("gan", 0.0), ("diffusion", 0.1)):
        records += runs("Aug.", [0.70, 0.71, 0.69, 0.72], source=source)
        records += runs("RG", [0.72, 0.73, 0.70, 0.75 + shift], source=source, baseline="Aug.")
        records += runs("PG", [0.70, 0.72, 0.70, 0.75], source=source, baseline="Aug.")
    for source in ("gan", "diffusion"):
        rg, pg = (summary_of(records, row, source=source).comparison for row in ("RG", "PG"))
        low, high = sorted((rg, pg), key=lambda each: each.p)
        assert low.holm_p == pytest.approx(min(1, 2 * low.p))
        assert high.holm_p == pytest.approx(max(2 * low.p, high.p))


def test_initial_weights_and_selection_do_not_mix():
    records = [
        *runs("Fake", [0.7, 0.7]),
        *runs("Fake", [0.8, 0.9], init="imagenet"),
        *runs("PG", [0.75, 0.76], init="imagenet", baseline="Fake"),
        *runs("PG", [0.95, 0.96], select="oracle", baseline="Fake"),
    ]
    found = {(each.row, each.block.init, each.block.select): each for each in summarise(records)}
    assert len(found) == 4
    imagenet = found["PG", "imagenet", "last"].comparison
    assert imagenet.difference == pytest.approx(-0.095)
    assert found["PG", "random", "oracle"].comparison.note == "the baseline has no finished run"


def test_a_baseline_without_source_or_shots_serves_all_columns():
    records = [
        *runs("Fake", [0.6, 0.61]),
        *runs("Real", [0.9, 0.9], source=None),
        *runs("RG", [0.7, 0.73], shots=10, baseline="Fake"),
        *runs("RG", [0.8, 0.83], shots=100, baseline="Fake"),
        *runs("PG", [0.5, 0.53], source="diffusion", baseline="Real"),
        *runs("ADDA", [0.5, 0.53], source="diffusion", baseline="Fake"),
    ]
    assert summary_of(records, "RG", shots=100).comparison.difference == pytest.approx(0.21)
    assert summary_of(records, "PG").comparison.difference == pytest.approx(-0.385)
    assert summary_of(records, "ADDA").comparison.note == "the baseline has no finished run"
    assert Cell("a").serves(Cell("a", "gan", 10)) and not Cell("a", "gan").serves(Cell("a"))
    assert not Cell("a").serves(Cell("b", "gan"))


def test_the_nearest_baseline_is_taken():
    records = [
        *runs("Fake", [0.1, 0.1], source=None),
        *runs("Fake", [0.6, 0.62]),
        *runs("RG", [0.7, 0.73], baseline="Fake"),
    ]
    assert summary_of(records, "RG").comparison.difference == pytest.approx(0.105)


def test_any_two_rows_are_compared():
    records = [
        *runs("A-GEM", [0.70, 0.72, 0.71]),
        *runs("Aug.", [0.60, 0.60, 0.60]),
        *runs("RG", [0.73, 0.74, 0.75], baseline="Aug."),
    ]
    (found,) = compare(records, "RG", "A-GEM")
    assert (found.row, found.comparison.baseline) == ("RG", "A-GEM")
    expected = stats.ttest_rel([0.73, 0.74, 0.75], [0.70, 0.72, 0.71])
    assert found.comparison.p == pytest.approx(expected.pvalue)
    with pytest.raises(GendataError, match="found ADDA; expected one of A-GEM, Aug., RG"):
        compare(records, "RG", "ADDA")


def test_runs_judged_on_validation_images_are_left_out():
    records = [*runs("RG", [0.7, 0.8]), record("RG", 5, 0.99, judge="validation")]
    assert summary_of(records, "RG").accuracies == (0.7, 0.8)
    with pytest.raises(GendataError, match="no finished run"):
        summarise(records[-1:])


def test_summaries_are_plain_json():
    records = [*runs("Aug.", [0.7, 0.8]), *runs("RG", [0.8, 0.9], baseline="Aug.")]
    for each in summarise(records):
        content = json.loads(json.dumps(each.to_json(), allow_nan=False))
        assert content["n"] == 2 and content["row"] == each.row
    assert content["comparison"]["difference"] == pytest.approx(0.1)


def test_the_same_run_twice_is_one_and_two_of_a_seed_are_refused():
    same = record("Fake", 0, 0.7)
    assert summarise([same, dict(same)])[0].n == 1
    with pytest.raises(GendataError, match="two runs are seed 0 of 'Fake' .* one and two"):
        summarise([record("Fake", 0, 0.7, key="one"), record("Fake", 0, 0.7, key="two")])


@pytest.mark.parametrize(
    ("records", "message"),
    [
        ([], "there is no finished run"),
        ([{"key": "a1", "row": "Fake", "seed": 0}], "a1 lacks data, source, accuracy"),
        ([record("Fake", 0, 71.2)], "between 0 and 1"),
        ([record("Fake", 0, math.nan)], "between 0 and 1"),
        ([record("Fake", 0, None)], "between 0 and 1"),
    ],
)
def test_what_no_table_can_hold_is_refused(records, message):
    with pytest.raises(GendataError, match=message):
        summarise(records)
