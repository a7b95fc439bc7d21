"""What synthetic images lack against real ones: the content gap, measured and shown."""

from gendata.gap.chosen import PARTS
from gendata.gap.measure import measure_gap
from gendata.gap.result import GapReport

__all__ = ["PARTS", "GapReport", "measure_gap"]
