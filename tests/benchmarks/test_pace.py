"""How long runs may take, against means by hand."""

import pytest

from gendata.benchmarks.protocol.pace import Pace


def record(method, seconds):
    return {"method": method, "seconds": seconds}


def test_nobody_knows_before_a_run_is_finished():
    assert Pace([]).estimate({"fake": 3}) is None


def test_each_method_by_its_own_mean_and_an_unknown_one_by_all():
    pace = Pace([record("fake", 10.0), record("fake", 20.0), record("rg", 90.0)])
    assert pace.estimate({"fake": 2}) == pytest.approx(2 * 15.0)
    assert pace.estimate({"fake": 1, "rg": 3}) == pytest.approx(15.0 + 3 * 90.0)
    assert pace.estimate({"new": 2, "rg": 0}) == pytest.approx(2 * (10.0 + 20.0 + 90.0) / 3)


def test_runs_that_are_added_count_like_those_that_were_there():
    pace = Pace([record("fake", 10.0)])
    assert pace.estimate({"rg": 1}) == pytest.approx(10.0)
    pace.add("rg", 90.0)
    assert pace.estimate({"fake": 1, "rg": 1, "new": 1}) == pytest.approx(10.0 + 90.0 + 50.0)
