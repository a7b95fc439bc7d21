"""Which images of each class a classifier finds easiest and hardest."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np

__all__ = ["Extremes", "lowest_and_highest"]


@dataclass(frozen=True)
class Extremes:
    """The images of one class with the lowest and the highest losses, at most `count` of each.

    Attributes:
        lowest: (n,) int64 rows, ascending by (loss, row).
        highest: (n,) int64 rows, descending by loss; equal losses ascending by row.
    """

    lowest: np.ndarray
    highest: np.ndarray


def lowest_and_highest(
    losses: np.ndarray, labels: np.ndarray, classes: int, count: int
) -> list[Extremes]:
    """Picks the extremes of every class.

    Args:
        losses: (N,) one loss an image.
        labels: (N,) int64, below `classes`.
        classes: how many classes there are; a class without images gets empty rows.
        count: how many images at either end.
    """
    return list(map(partial(_extremes, losses, labels, count), range(classes)))


def _extremes(losses: np.ndarray, labels: np.ndarray, count: int, label: int) -> Extremes:
    rows = np.flatnonzero(labels == label)  # ascending, and a stable sort keeps that among ties
    ascending = rows[np.argsort(losses[rows], kind="stable")]
    descending = rows[np.argsort(-losses[rows], kind="stable")]
    return Extremes(ascending[:count], descending[:count])
