"""How many attempts were made, and why images were refused, by class."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from gendata.clone.filter import KEPT
from gendata.clone.plan import ClassTable

__all__ = ["FULL", "Outcomes", "describe_outcomes", "reject_report", "ways_to_fill"]

FULL = "class-full"  # would be kept, had its class an empty slot


class Outcomes:
    """Counts of attempts by class and outcome. Classes are the sampler's labels, -1 for none."""

    def __init__(self, counts: Mapping[tuple[int, str], int] | None = None) -> None:
        self.counts: Counter[tuple[int, str]] = Counter(counts or {})

    def add(self, label: int, reason: str) -> None:
        """Counts one attempt."""
        self.counts[label, reason] += 1

    def merge(self, other: Outcomes) -> None:
        """Adds another count to this one."""
        self.counts.update(other.counts)

    def by_reason(self, label: int | None = None) -> dict[str, int]:
        """Counts of one class, or of all, by outcome, sorted by name."""
        reasons: Counter[str] = Counter()
        for (other, reason), count in self.counts.items():
            if label is None or label == other:
                reasons[reason] += count
        return dict(sorted(reasons.items()))

    def to_note(self) -> dict[str, dict[str, int]]:
        """Returns the counts as JSON: outcome, then class."""
        note: dict[str, dict[str, int]] = {}
        for (label, reason), count in sorted(self.counts.items()):
            note.setdefault(reason, {})[str(label)] = count
        return note

    @classmethod
    def from_note(cls, note: Mapping[str, Mapping[str, int]]) -> Outcomes:
        """Reads what `to_note` returned."""
        return cls(
            {
                (int(label), reason): count
                for reason, classes in note.items()
                for label, count in classes.items()
            }
        )

    @classmethod
    def from_report(cls, report: Mapping[str, Any]) -> Outcomes:
        """Reads what `reject_report` returned; attempts of no chosen class become those of -1."""
        outcomes = cls()
        entries = [(entry["label"], entry) for entry in report["classes"]]
        for label, entry in [*entries, (-1, report["other"])]:
            for reason, count in (*entry["rejects"].items(), (KEPT, entry["accepted"])):
                outcomes.counts[label, reason] += count
        return outcomes


def reject_report(outcomes: Outcomes, table: ClassTable, per_class: int) -> dict[str, Any]:
    """Builds `rejects.json`: in total and per class, attempts, acceptance and reasons."""
    classes = []
    for label in table.chosen:
        entry = _summary(outcomes.by_reason(label))
        missing = per_class - entry["accepted"]
        classes.append({"label": label, "name": table.names[label], **entry, "missing": missing})
    others = Outcomes(
        {key: count for key, count in outcomes.counts.items() if key[0] not in table.chosen}
    )
    return {
        **_summary(outcomes.by_reason()),
        "classes": classes,
        "other": _summary(others.by_reason()),
    }


def describe_outcomes(outcomes: Outcomes, table: ClassTable, worst: int = 5) -> str:
    """Says in one line of which classes the least passes the filter."""
    passing = []
    for label in table.chosen:
        reasons = outcomes.by_reason(label)
        attempts = sum(reasons.values())
        passed = reasons.pop(KEPT, 0) + reasons.pop(FULL, 0)
        why = ", ".join(f"{reason} {count}" for reason, count in reasons.items())
        text = f"{table.names[label]} {passed} of {attempts}"
        passing.append((passed / max(1, attempts), f"{text} ({why})" if why else text))
    return "; ".join(text for _, text in sorted(passing)[:worst])


def ways_to_fill(has_filter: bool) -> str:
    """Says what can be done about a class that stays short."""
    first = "lower the threshold" if has_filter else "mend what is refused"
    return f"{first}, allow more attempts, or leave classes short (--short)"


def _summary(reasons: dict[str, int]) -> dict[str, Any]:
    attempts, accepted = sum(reasons.values()), reasons.get(KEPT, 0)
    return {
        "attempts": attempts,
        "accepted": accepted,
        "acceptance": accepted / attempts if attempts else None,
        "rejects": {
            reason: count for reason, count in reasons.items() if count and reason != KEPT
        },
    }
