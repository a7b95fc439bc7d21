"""Which epochs belong to which stage of a method."""

from __future__ import annotations

from collections.abc import Sequence

from gendata.errors import GendataError
from gendata.training.options import check_number
from gendata.types import Stage

__all__ = ["epoch_stages", "epochs_of", "two_stages"]


def epoch_stages(stages: Sequence[Stage], epochs: int) -> list[Stage]:
    """Returns each epoch's stage: shares of the epochs, rounded, at least one epoch each.

    Raises:
        GendataError: there are fewer epochs than stages.
    """
    if epochs < len(stages):
        raise GendataError(
            "there are fewer epochs than stages", found=epochs, expected=f"at least {len(stages)}"
        )
    plan: list[Stage] = []
    share = 0.0
    for number, stage in enumerate(stages):
        share += stage.share
        latest = epochs - (len(stages) - number - 1)
        end = min(max(round(share * epochs), len(plan) + 1), latest)
        plan += [stage] * (end - len(plan))
    return plan


def epochs_of(stage: Stage, plan: Sequence[Stage]) -> tuple[int, int]:
    """Returns the first of a stage's epochs in what `epoch_stages` gave, and their number."""
    epochs = [number for number, each in enumerate(plan) if each is stage]
    return epochs[0], len(epochs)


def two_stages(first_share: float) -> tuple[Stage, Stage]:
    """Cross-entropy on synthetic images for a share of the epochs, then both sources.

    Raises:
        GendataError: the share is not between 0 and 1.
    """
    check_number("first_share", first_share, 0, above=True)
    if first_share >= 1:
        raise GendataError("first_share is out of range", found=first_share, expected="below 1")
    return (
        Stage(first_share, ("synthetic",)),
        Stage(1 - first_share, ("synthetic", "real")),
    )
