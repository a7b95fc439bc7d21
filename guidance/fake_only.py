"""Synthetic only: the zero-shot baseline.

Baseline (Fake) of Wang, Schmedding and Huber 2024, "Improving the Effectiveness of Deep Generative
Data" (https://arxiv.org/abs/2311.03959), tables 2 and 4: cross-entropy on the synthetic images.
Real images are never opened.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from gendata.registry import methods
from gendata.training.learner import Learner
from gendata.training.supervised import supervised_step
from gendata.types import Batch, Stage

__all__ = ["FakeOnly"]


@methods.register("fake")
@dataclass
class FakeOnly:
    """Trains on the synthetic images."""

    stages = (Stage(1.0, ("synthetic",)),)

    def prepare(self, learner: Learner) -> None:
        """Keeps the learner; nothing is built."""
        self.learner = learner

    def step(self, batch: Batch, progress: float) -> Mapping[str, float | Tensor]:
        """Descends the cross-entropy."""
        return supervised_step(self.learner, batch)
