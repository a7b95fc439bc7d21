import csv
import io

import pytest

from gendata.gap.report.records import Record
from gendata.gap.report.table import csv_text, records


@pytest.fixture(scope="module")
def rows(report_of_two):
    return list(csv.DictReader(io.StringIO(csv_text(report_of_two))))


def of(rows, **wanted):
    return [row for row in rows if all(row[key] == value for key, value in wanted.items())]


def test_the_columns_are_those_documented(rows):
    names = ["clone", "class", "measure", "value", "low", "high", "n", "encoder", "seed"]
    assert list(rows[0]) == names
    for row in rows:
        float(row["value"])
        assert row["clone"] and row["class"] and row["measure"] and int(row["n"]) > 0
        assert (row["low"] == "") or row["high"] == "" or float(row["low"]) <= float(row["high"])


def test_every_part_of_every_clone_has_lines(rows, report_of_two):
    expected = {"accuracy_real_to_clone", "gap", "loss_asymmetry", "precision", "clean_fid"}
    expected |= {"authenticity", "content_gap", "worth_of_one", "uncovered", "uncovered_by_chance"}
    for clone in report_of_two.clones:
        assert expected <= {row["measure"] for row in of(rows, clone=clone)}


def test_values_are_those_of_the_report(rows, report_of_two):
    name, found = next(iter(report_of_two.clones.items()))
    (row,) = of(rows, clone=name, measure="precision", **{"class": "all"})
    precision = found.fidelity.overall.estimates["precision"]
    shown = [float(row[key]) for key in ("value", "low", "high")]
    assert shown == pytest.approx([precision.value, precision.low, precision.high])
    assert (row["n"], row["encoder"]) == ("240", "made-up")
    runs = of(rows, clone=name, measure="gap")
    assert [int(row["seed"]) for row in runs] == [0, 1]
    gap = report_of_two.cross.gap(name)
    assert [float(row["value"]) for row in runs] == pytest.approx(gap.tolist())


def test_classes_stand_under_their_names(rows, report_of_two):
    for measure in ("loss_asymmetry", "uncovered", "precision"):
        classes = {row["class"] for row in of(rows, measure=measure)}
        assert classes == {"all", *report_of_two.classes}


def test_what_there_is_not_stays_empty(rows):
    assert of(rows, measure="uncovered_by_chance")[0]["low"] == ""
    assert all(isinstance(each, Record) for each in records_of_one())


def records_of_one():
    from gendata.gap.result import GapReport, Source

    sources = [Source("real", "real", "r", 2, 2), Source("c", "clone", "c", 2, 2)]
    return records(GapReport(classes=["a"], sources=sources))
