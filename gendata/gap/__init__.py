"""What synthetic images lack against real ones: the content gap, measured and shown."""

from gendata.gap.measure import measure_gap
from gendata.gap.result import GapReport

__all__ = ["GapReport", "measure_gap"]
