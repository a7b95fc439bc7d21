import numpy as np
import pytest

from gendata.gap.cross_source.findings import CrossFindings
from gendata.gap.measures.exchange import Equivalent
from gendata.gap.measures.intervals import Estimate
from gendata.gap.report.reading import gap_summary, listed, points, rate_text
from gendata.gap.result import GapReport, Source


def report_of(*matrices):
    """A report with one matrix a seed: rows trained on, columns tested on."""
    names = ["real", *(f"clone {i}" for i in range(1, len(matrices[0])))]
    cross = CrossFindings(
        seeds=range(len(matrices)),
        trained_on=names,
        tested_on=names,
        accuracy=np.array(matrices),
        curves={},
        clone_under_real=dict.fromkeys(names[1:]),
        real_under_clone=dict.fromkeys(names[1:]),
    )
    return GapReport(
        classes=["a"],
        sources=[
            Source(name, "clone" if i else "real", name, 9, 9) for i, name in enumerate(names)
        ],
        cross=cross,
    )


def test_the_gap_is_real_to_clone_less_clone_to_real():
    report = report_of([[1, 0.98], [0.79, 1]], [[1, 0.97], [0.80, 1]])
    assert report.cross.gap("clone 1") == pytest.approx([0.19, 0.17])
    summary = gap_summary(report)
    assert "right on 97.5% of the images of clone 1" in summary
    assert "right on 79.5% of the real ones" in summary and "only a part" in summary


@pytest.mark.parametrize(
    ("matrices", "said"),
    [
        ([[[0.99, 0.90], [0.895, 0.99]]], "no content gap"),
        ([[[0.99, 0.80], [0.90, 0.99]]], "do not explain"),
        ([[[0.99, 0.95], [0.80, 0.99]], [[0.99, 0.90], [0.91, 0.99]]], "seeds differ by as much"),
        ([[[0.99, 0.95], [0.60, 0.70]]], "not converged (70.0% on their own"),
    ],
)
def test_the_reading_is_no_stronger_than_the_numbers(matrices, said):
    assert said in gap_summary(report_of(*matrices))


def test_of_several_clones_the_worst_is_told_and_all_are_listed():
    matrix = [[0.99, 0.95, 0.98], [0.90, 0.99, 0.9], [0.70, 0.8, 0.99]]
    summary = gap_summary(report_of(matrix))
    assert "images of clone 2" in summary
    assert summary.endswith("The gap in points is 5.0 for clone 1 and 28.0 for clone 2.")


def test_numbers_and_lists_read_as_in_a_sentence():
    assert points(-0.0123) == "\N{MINUS SIGN}1.2" and points(0.2) == "20.0"
    assert listed(["a"]) == "a" and listed(["a", "b", "c"]) == "a, b and c"


class Rate:
    """An exchange of which only the worth of all synthetic images is known."""

    def __init__(self, real, bound="measured", synthetic=100):
        accuracy = Estimate(0.8)
        self.at_size = Equivalent(synthetic, accuracy, Estimate(*real), bound, 10, 900)


@pytest.mark.parametrize(
    ("rate", "said"),
    [
        (Rate((30, 21, 39)), ("0.30", "0.21 to 0.39")),
        (Rate((800, 300, 900)), ("8.0", "at least 3.0")),
        (Rate((20, 10, 40)), ("0.20", "at most 0.40")),
        (Rate((900, 700, 900), "at least", 10), ("at least 90", "")),
        (Rate((10, 10, 20), "fewer than"), ("less than 0.10", "")),
        (Rate((30, 10, 900)), ("not determined", "train with more seeds or test on more images")),
        (Rate((10.01, 10.005, 11), synthetic=1e6), ("0.0010", "0.0010 to 0.0010")),
    ],
)
def test_the_rate_is_told_no_further_than_it_was_measured(rate, said):
    assert rate_text(rate) == said


def test_the_summary_starts_with_worth_and_what_is_uncovered(report_of_one, report_of_two):
    summary = gap_summary(report_of_one)
    rate = rate_text(report_of_one.clones["a clone"].worth.exchange)
    assert summary.startswith(f"Each image of a clone is worth about {rate[0]} real ones (")
    share = report_of_one.clones["a clone"].missing.share.value
    assert f"{share:.0%} of the real test images are uncovered where chance leaves 3%" in summary
    assert "The clone seems" in summary or "Either explains" in summary
    for name in report_of_two.clones:
        assert f"Each image of {name[:20]}" in gap_summary(report_of_two)
        assert "The clone seems" not in gap_summary(report_of_two)
