"""How long the runs that are left may take, by what finished ones took."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

__all__ = ["Kind", "Pace"]


Kind = tuple[str, str]
"""What runs that take about as long have in common: method and network."""


class Pace:
    """Mean seconds of a run of each kind.

    Args:
        records: of finished runs, one of each.
    """

    def __init__(self, records: Iterable[Mapping[str, Any]]) -> None:
        self._runs: Counter[Kind] = Counter()
        self._seconds: dict[Kind, float] = {}
        for record in records:
            self.add((record["method"], record["network"]), record["seconds"])

    def add(self, kind: Kind, seconds: float) -> None:
        """Takes in one more finished run."""
        self._runs[kind] += 1
        self._seconds[kind] = self._seconds.get(kind, 0.0) + seconds

    def estimate(self, left: Mapping[Kind, int]) -> float | None:
        """Seconds of so many runs of each kind, one after the other; None if none is finished.

        A kind without a finished run is taken to be as slow as all others on average.
        """
        if not self._runs:
            return None
        usual = sum(self._seconds.values()) / self._runs.total()
        means = {kind: self._seconds[kind] / runs for kind, runs in self._runs.items()}
        return sum(runs * means.get(kind, usual) for kind, runs in left.items())
