import math

import numpy as np

from gendata.gap.measures.intervals import Estimate
from gendata.gap.sections.formatting import (
    loss_text,
    number,
    percent_cell,
    share_cell,
    share_text,
    signed,
    signed_number,
)


def test_losses_fit_six_characters():
    losses = (0, 0.00099, 0.001, 0.0123, 0.5, 12.345, 1234.5)
    expected = ["<0.001", "<0.001", "0.001", "0.012", "0.50", "12.35", "1234"]
    assert [loss_text(loss) for loss in losses] == expected


def test_shares_show_the_digits_that_tell_them_from_none_and_all():
    shares = (0, 0.004, 0.41, 0.996, 1, -0.02)
    shown = ["0%", "0.4%", "41%", "99.6%", "100%", "\N{MINUS SIGN}2%"]
    assert [share_text(share) for share in shares] == shown


def test_intervals_stand_behind_their_figure_and_nan_is_a_dash():
    cell = share_cell(Estimate(0.5, 0.4, 0.6))
    assert (cell.text, cell.note) == ("50.0%", "40.0 to 60.0")
    assert number(Estimate(-0.5)).note == ""
    cell = number(Estimate(-0.123, -2, 0.5), ".3g")
    assert (cell.text, cell.note) == (
        "\N{MINUS SIGN}0.123",
        "\N{MINUS SIGN}2 to 0.5",
    )
    assert number(Estimate(1234.5, 900, 1500), ".3g").text == "1,234"
    assert number(Estimate(math.nan)) == share_cell(None) == "\N{EN DASH}"


def test_signs_are_shown_but_zero_has_no_minus():
    assert signed(0.0123) == "+1.2" and signed(-0.5) == "\N{MINUS SIGN}50.0"
    assert signed_number(-0.001) == "+0.00" and signed_number(math.nan) == "\N{EN DASH}"


def test_a_single_seed_has_no_deviation():
    assert percent_cell(np.array([0.5])).note == ""
    assert percent_cell(np.array([0.4, 0.6])).note == "± 14.1"
