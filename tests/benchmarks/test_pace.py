"""How long runs may take, against means by hand."""

import pytest

from gendata.benchmarks.protocol.pace import Pace

FAKE, RG, LARGE, NEW = ("fake", "a"), ("rg", "a"), ("fake", "b"), ("new", "a")


def record(kind, seconds):
    return {"method": kind[0], "network": kind[1], "seconds": seconds}


def test_nobody_knows_before_a_run_is_finished():
    assert Pace([]).estimate({FAKE: 3}) is None


def test_each_kind_by_its_own_mean_and_an_unknown_one_by_all():
    pace = Pace([record(FAKE, 10.0), record(FAKE, 20.0), record(RG, 90.0)])
    assert pace.estimate({FAKE: 2}) == pytest.approx(2 * 15.0)
    assert pace.estimate({FAKE: 1, RG: 3}) == pytest.approx(15.0 + 3 * 90.0)
    assert pace.estimate({LARGE: 1}) == pytest.approx((10.0 + 20.0 + 90.0) / 3), "another network"
    assert pace.estimate({NEW: 2, RG: 0}) == pytest.approx(2 * (10.0 + 20.0 + 90.0) / 3)


def test_runs_that_are_added_count_like_those_that_were_there():
    pace = Pace([record(FAKE, 10.0)])
    assert pace.estimate({RG: 1}) == pytest.approx(10.0)
    pace.add(RG, 90.0)
    assert pace.estimate({FAKE: 1, RG: 1, NEW: 1}) == pytest.approx(10.0 + 90.0 + 50.0)
