"""Figures as people read them."""

import pytest

from gendata.clone.units import byte_size, duration, short


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.1234, "0.123 seconds"), (100, "100 seconds"), (5400, "90 minutes"), (7200, "2 hours")]
    + [(10**6, "11.6 days"), (10**8 * 2, "2,315 days")],
)
def test_durations(seconds, text):
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 bytes"), (1000, "1,000 bytes"), (1024, "1 KiB"), (3.5 * 2**30, "3.5 GiB")]
    + [(5000 * 2**40, "5,000 TiB")],
)
def test_byte_sizes(count, text):
    assert byte_size(count) == text


def test_short_figures():
    assert [short(value) for value in (0.12345, 99.96, 1234567)] == ["0.123", "100", "1,234,567"]
