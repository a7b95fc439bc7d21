"""Augmentation (Aug.): synthetic images added to the real training set.

Baseline (Aug.) of Wang, Schmedding and Huber 2024, "Improving the Effectiveness of Deep Generative
Data" (https://arxiv.org/abs/2311.03959), table 4: cross-entropy on the union of both sets, each
image once an epoch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from gendata.registry import methods
from gendata.training.learner import Learner
from gendata.training.supervised import supervised_step
from gendata.types import Batch, Stage

__all__ = ["Augmentation"]


@methods.register("aug")
@dataclass
class Augmentation:
    """Trains on the union of synthetic and real images."""

    stages = (Stage(1.0, ("mixed",)),)

    def prepare(self, learner: Learner) -> None:
        """Keeps the learner; nothing is built."""
        self.learner = learner

    def step(self, batch: Batch, progress: float) -> Mapping[str, float | Tensor]:
        """Descends the cross-entropy."""
        return supervised_step(self.learner, batch)
