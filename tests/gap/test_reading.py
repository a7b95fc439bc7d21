import numpy as np
import pytest

from gendata.gap.reading import gap_of, gap_summary, listed, points
from gendata.gap.result import GapReport, Source


def report_of(*matrices):
    """A report with one matrix a seed: rows trained on, columns tested on."""
    names = ["real", *(f"clone {i}" for i in range(1, len(matrices[0])))]
    return GapReport(
        classes=["a"],
        seeds=range(len(matrices)),
        sources=[
            Source(name, "clone" if i else "real", name, 9, 9) for i, name in enumerate(names)
        ],
        accuracy=np.array(matrices),
        curves={},
        clone_under_real=dict.fromkeys(names[1:]),
        real_under_clone=dict.fromkeys(names[1:]),
    )


def test_the_gap_is_real_to_clone_less_clone_to_real():
    report = report_of([[1, 0.98], [0.79, 1]], [[1, 0.97], [0.80, 1]])
    assert gap_of(report, "clone 1") == pytest.approx([0.19, 0.17])
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
