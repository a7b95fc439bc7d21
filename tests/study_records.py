"""Finished runs as a study leaves them, for the tests of what is made of them."""

from collections.abc import Sequence
from typing import Any


def record(row: str, seed: int, accuracy: float, **changes: Any) -> dict[str, Any]:
    """One finished run."""
    place = (row, changes.get("source", "gan"), changes.get("shots"), changes.get("init"))
    return {
        "key": f"{place}-{changes.get('per_class')}-{changes.get('data')}-{seed}",
        "study": "low-shot",
        "data": "Fashion-MNIST",
        "source": "gan",
        "row": row,
        "method": row.lower(),
        "options": {},
        "baseline": None,
        "setting": "low-shot",
        "shots": None,
        "seed": seed,
        "accuracy": accuracy,
        "last_accuracy": accuracy,
        "images": 1000,
        "select": "last",
        "epochs": 40,
        "network": "small-cnn",
        "init": "random",
        "seconds": 1.5,
        "device": "cpu",
        "versions": {"torch": "2.9"},
        "command": "gendata bench low-shot --out study",
        **changes,
    }


def runs(row: str, accuracies: Sequence[float], **changes: Any) -> list[dict[str, Any]]:
    """One run a seed, from seed 0."""
    return [record(row, seed, accuracy, **changes) for seed, accuracy in enumerate(accuracies)]
