"""What a training returns."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from torch import nn

from gendata.training.evaluate import Accuracy

__all__ = ["Selected", "TrainResult"]

MARKS = {"oracle": " (chosen on the test images themselves: an upper bound, not a fair figure)"}


@dataclass(frozen=True)
class Selected:
    """The network that one selection rule chooses.

    Attributes:
        epoch: counted from 1.
        test: its accuracy on the test images; None without any.
    """

    epoch: int
    test: Accuracy | None

    def to_json(self) -> dict[str, Any]:
        """Returns plain JSON values; an accuracy that does not exist is null."""
        if self.test is None:
            return {"epoch": self.epoch, "test": None}
        per_class = [None if math.isnan(share) else share for share in self.test.per_class]
        interval = list(self.test.interval)
        return {
            "epoch": self.epoch,
            "test": {**asdict(self.test), "per_class": per_class, "interval": interval},
        }

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> Selected:
        """Reads what `to_json` gave."""
        test = content["test"]
        if test is None:
            return cls(content["epoch"], None)
        per_class = tuple(math.nan if share is None else share for share in test["per_class"])
        return cls(content["epoch"], Accuracy(test["value"], test["images"], per_class))


@dataclass
class TrainResult:
    """A finished training.

    Attributes:
        network: with the selected weights, in evaluation mode.
        classes: class names in label order.
        method: its name.
        select: the rule that the training was asked to use.
        selections: by rule: "last" always, and the asked one.
        history: one record an epoch.
        out: the folder, if any.
    """

    network: nn.Module = field(repr=False)
    classes: Sequence[str]
    method: str
    select: str
    selections: dict[str, Selected]
    history: list[dict[str, Any]] = field(repr=False)
    out: Path | None = None

    @property
    def test_accuracy(self) -> float:
        """Accuracy on the test images of the selected network; nan without test images."""
        test = self.selections[self.select].test
        return math.nan if test is None else test.value

    def __str__(self) -> str:
        return "\n".join(self._line(rule, each) for rule, each in self.selections.items())

    def _line(self, rule: str, selected: Selected) -> str:
        where = f"{self.method}, rule '{rule}', epoch {selected.epoch}"
        if selected.test is None:
            return f"{where}: trained; no test images were given"
        low, high = (100 * bound for bound in selected.test.interval)
        return (
            f"{where}: test accuracy {100 * selected.test.value:.2f} % of "
            f"{selected.test.images} images (95 % interval {low:.2f} to {high:.2f})"
            f"{MARKS.get(rule, '')}"
        )

    def to_json(self) -> dict[str, Any]:
        """Returns what result.json holds."""
        selections = {rule: each.to_json() for rule, each in self.selections.items()}
        return {
            "method": self.method,
            "select": self.select,
            "selections": selections,
            "classes": list(self.classes),
        }
