"""Advice on constructed cases whose answer is plain, and on contradictory ones."""

import json

import numpy as np
import pytest

from gendata.errors import GendataError
from gendata.gap.advice.rules import ACTIONS, Evidence, advise, evidence_of_worth, share_passing
from gendata.gap.measures.exchange import exchange_rates
from gendata.gap.measures.intervals import Estimate
from gendata.gap.measures.learning_runs import Runs

RISING, FLAT = Estimate(0.02, 0.012, 0.028), Estimate(0.001, -0.001, 0.004)
POOR, HALF, FULL = Estimate(0.03, 0.02, 0.05), Estimate(0.5, 0.4, 0.6), Estimate(1.3, 1.1, 1.6)
MANY, FEW = Estimate(0.41, 0.38, 0.44), Estimate(0.02, 0.0, 0.05)
OFF, ON = Estimate(0.4, 0.35, 0.45), Estimate(0.85, 0.8, 0.9)


def actions(**evidence):
    return [each.action for each in advise(Evidence(**evidence)).recommendations]


@pytest.mark.parametrize(
    ("evidence", "wanted"),
    [
        ({"gain": RISING}, ["draw more"]),
        ({"gain": RISING, "rate": POOR}, ["draw more"]),
        ({"gain": RISING, "real_gain": RISING}, ["draw more"]),
        ({"gain": RISING, "rate": POOR, "real_gain": RISING}, ["draw more", "label more"]),
        ({"gain": FLAT, "rate": HALF}, ["use another generator"]),
        ({"gain": FLAT, "rate": FULL}, ["leave it as it is"]),
        ({"gain": FLAT, "real_gain": RISING}, ["label more"]),
        ({"gain": FLAT, "rate": POOR, "real_gain": FLAT}, ["use another generator"]),
        ({"uncovered": MANY, "passing": 0.5}, ["filter less"]),
        ({"uncovered": MANY, "passing": 0.5, "precision": ON}, ["filter less"]),
        ({"uncovered": MANY, "passing": 1.0}, ["use another generator"]),
        ({"uncovered": MANY}, ["use another generator"]),
        ({"content": Estimate(0.6, 0.5, 0.7), "passing": 0.5}, ["filter less"]),
        ({"precision": OFF, "passing": 1.0}, ["filter more"]),
        ({"precision": OFF, "passing": 0.2}, ["use another generator"]),
        ({"quality": Estimate(0.6, 0.5, 0.7), "passing": 0.9}, ["filter more"]),
        ({"copied": Estimate(0.08, 0.05, 0.1)}, ["use another generator"]),
    ],
)
def test_plain_cases(evidence, wanted):
    assert actions(**evidence) == wanted


def test_uncovered_and_off_the_manifold_contradict_each_other_for_a_filter():
    for passing in (None, 0.1, 0.5, 1.0):
        assert actions(uncovered=MANY, precision=OFF, passing=passing) == ["use another generator"]


def test_what_the_task_says_goes_before_what_features_say():
    both = actions(gain=RISING, uncovered=MANY, precision=OFF, passing=0.5)
    assert both == ["draw more", "use another generator"]
    assert actions(gain=RISING, rate=HALF, precision=OFF, passing=1.0)[0] == "draw more"


def test_features_send_nobody_away_from_images_that_are_worth_real_ones():
    assert actions(gain=FLAT, rate=FULL, uncovered=MANY) == ["leave it as it is"]
    copies = Estimate(0.5, 0.4, 0.6)  # worth as much as what they were copied from
    found = advise(Evidence(gain=FLAT, rate=FULL, uncovered=MANY, copied=copies)).recommendations
    assert [each.figure for each in found] == ["rate", "copied"]
    filtered = actions(gain=FLAT, rate=FULL, uncovered=MANY, passing=0.3)
    assert filtered == ["leave it as it is", "filter less"]


def test_each_action_comes_once_with_its_best_reason():
    found = advise(Evidence(gain=FLAT, rate=POOR, uncovered=MANY, passing=1.0))
    assert [each.action for each in found.recommendations] == ["use another generator"]
    assert found.first.basis == "task" and found.first.figure == "rate"
    assert len(found.first.further) == 1 and "no filter is to blame" in found.first.further[0]


def test_the_stronger_of_two_reasons_comes_first():
    weak, strong = Estimate(0.006, 0.002, 0.01), Estimate(0.04, 0.03, 0.05)
    first = advise(Evidence(rate=POOR, gain=weak, real_gain=strong)).recommendations
    second = advise(Evidence(rate=POOR, gain=strong, real_gain=weak)).recommendations
    assert [each.action for each in first] == ["label more", "draw more"]
    assert [each.action for each in second] == ["draw more", "label more"]
    assert first[0].strength == pytest.approx(0.8) and second[1].strength == pytest.approx(0.12)


@pytest.mark.parametrize(
    "evidence",
    [
        {},
        {"gain": Estimate(0.006, -0.001, 0.012)},  # may be nothing, may be worthwhile
        {"gain": Estimate(0.004, 0.001, 0.007), "rate": HALF},
        {"gain": FLAT},
        {"gain": FLAT, "rate": Estimate(0.9, 0.7, 1.2)},
        {"uncovered": Estimate(0.15, 0.08, 0.22), "precision": Estimate(0.55, 0.5, 0.65)},
        {"uncovered": FEW, "precision": ON, "passing": 0.5},
        {"copied": Estimate(0.02, 0.005, 0.04)},
        {"content": Estimate(float("nan")), "quality": Estimate(0.5)},
    ],
)
def test_an_interval_that_holds_the_threshold_decides_nothing(evidence):
    found = advise(Evidence(**evidence))
    assert [each.action for each in found.recommendations] == ["not enough evidence"]
    assert ("not measured" in found.first.reason.lower()) and found.first.value is None


def test_reasons_name_the_number_they_lean_on():
    found = advise(Evidence(gain=RISING, uncovered=MANY, passing=0.3)).recommendations
    assert found[0].reason == (
        "Twice as many synthetic images are predicted to add 2.0 points (1.2 to 2.8) of accuracy."
    )
    assert found[1].reason == (
        "41% (38 to 44) of the real images are uncovered beyond chance, and the filter refuses "
        "70% of the attempts, the hard ones first."
    )
    assert [each.figure for each in found] == ["gain", "uncovered"]
    assert found[1].value is MANY and all(0 <= each.strength <= 1 for each in found)
    read = json.loads(json.dumps(advise(Evidence(gain=RISING)).to_json(), allow_nan=False))
    assert read[0]["action"] == "draw more" and read[0]["value"]["low"] == 0.012
    assert all(each.action in ACTIONS for each in found)


def test_ends_that_were_not_measured_prove_nothing():
    """A clone three times as large as the real set cannot be said to be worth less than it."""
    even = (np.arange(4000) + 0.5) / 4000

    def runs(sizes, errors):
        return Runs(np.array(sizes), np.stack([even[None] < 1 - e for e in errors], axis=1))

    def law(images):
        return 0.05 + 0.8 * images**-0.45

    sizes = np.array([10, 30, 100])
    better = exchange_rates(runs(sizes, law(sizes)), runs(9 * sizes, law(4.5 * sizes)))
    figures = evidence_of_worth(better)
    assert better.at_size.rate.value == pytest.approx(1 / 9)
    assert figures["gain"] is better.synthetic_ahead[0].gain
    short = evidence_of_worth(better, undertrained=True)
    assert short == figures | {"gain": None, "real_gain": None}
    assert figures["rate"].high == np.inf and not figures["rate"].high < 0.1
    lost = exchange_rates(runs(sizes, law(sizes)), runs(sizes, law(sizes / 50)))
    assert evidence_of_worth(lost)["rate"].low == 0
    assert (
        "less than 0.1 real ones"
        in advise(Evidence(**evidence_of_worth(lost) | {"gain": FLAT})).first.reason
    )


def test_what_passes_the_filter_counts_even_if_its_class_was_full():
    report = {"attempts": 200, "accepted": 100, "rejects": {"class-full": 20, "unsure": 80}}
    assert share_passing(report) == pytest.approx(0.6)
    assert share_passing({"attempts": 0, "accepted": 0, "rejects": {}}) is None


def test_a_share_above_one_is_refused():
    with pytest.raises(GendataError, match="no share; found 60"):
        Evidence(passing=60)
