"""One measured ratio beside the promise it is held against, and how to time two things fairly."""

from __future__ import annotations

import platform
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import torch

__all__ = ["Measurement", "machine", "median_ratio", "seconds", "three_digits"]


@dataclass(frozen=True)
class Measurement:
    """A figure, what it should be, and how it came about.

    Args:
        name: what was measured.
        asked: the promise, such as ">= 0.9"; empty where the figure is only shown.
        found: the measured ratio or value, formatted.
        value: the same as a number.
        how: sizes, repetitions and absolute rates.
    """

    name: str
    asked: str
    found: str
    value: float
    how: str

    def row(self) -> tuple[str, str, str, str]:
        """Cells of the printed table."""
        return self.name, self.asked or "shown", self.found, self.how

    def to_json(self) -> dict[str, Any]:
        """The same as plain data."""
        return asdict(self)


def machine() -> str:
    """Names what the figures were taken on."""
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "CPU"
    return (
        f"{device}, {torch.get_num_threads()} threads, torch {torch.__version__}, "
        f"Python {platform.python_version()}"
    )


def seconds(work: Callable[[], object]) -> float:
    """Times one call, and what it asked of a GPU."""
    _wait()
    start = time.perf_counter()
    work()
    _wait()
    return time.perf_counter() - start


def three_digits(rate: float) -> str:
    """Formats a rate: 2,130 or 0.134."""
    return f"{float(f'{rate:.3g}'):,.12g}"


def _wait() -> None:
    if torch.cuda.is_initialized():
        torch.cuda.synchronize()


def median_ratio(
    first: Callable[[], float], second: Callable[[], float], repeats: int
) -> tuple[float, float, float]:
    """Takes two rates in turn, A B A B …, since the speed of a shared machine drifts.

    Returns:
        the median of the ratios first / second, and the medians of both.
    """
    pairs = [(first(), second()) for _ in range(repeats)]
    ratios = [one / other for one, other in pairs]
    return (
        statistics.median(ratios),
        statistics.median(one for one, _ in pairs),
        statistics.median(other for _, other in pairs),
    )
