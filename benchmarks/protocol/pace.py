"""How long the runs that are left may take, by what finished ones took."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

__all__ = ["Pace"]


class Pace:
    """Mean seconds of a run of each method.

    Args:
        records: of finished runs, one of each.
    """

    def __init__(self, records: Iterable[Mapping[str, Any]]) -> None:
        self._runs: Counter[str] = Counter()
        self._seconds: dict[str, float] = {}
        for record in records:
            self.add(record["method"], record["seconds"])

    def add(self, method: str, seconds: float) -> None:
        """Takes in one more finished run."""
        self._runs[method] += 1
        self._seconds[method] = self._seconds.get(method, 0.0) + seconds

    def estimate(self, left: Mapping[str, int]) -> float | None:
        """Seconds of so many runs of each method, one after the other; None if none is finished.

        A method without a finished run is taken to be as slow as all others on average.
        """
        if not self._runs:
            return None
        usual = sum(self._seconds.values()) / self._runs.total()
        means = {method: self._seconds[method] / runs for method, runs in self._runs.items()}
        return sum(runs * means.get(method, usual) for method, runs in left.items())
