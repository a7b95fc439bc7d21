"""Adaptation (Adp.): first the synthetic images, then the real ones.

Baseline (Adp.) of Wang, Schmedding and Huber 2024, "Improving the Effectiveness of Deep Generative
Data" (https://arxiv.org/abs/2311.03959), section 5.2 and table 4: cross-entropy on synthetic
images for 150 epochs, then on real images for 50; other numbers are split in that proportion
unless `first_share` says otherwise.

Where we choose: the optimiser's state and the learning rate carry over into the second stage.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from gendata.registry import methods
from gendata.training.learner import Learner
from gendata.training.stages import two_stages
from gendata.training.supervised import supervised_step
from gendata.types import Batch, Stage

__all__ = ["Adaptation"]


@methods.register("adp")
@dataclass
class Adaptation:
    """Trains on synthetic images, then on real ones.

    Args:
        first_share: share of the epochs on synthetic images, above 0 and below 1.
    """

    first_share: float = 0.75

    def __post_init__(self) -> None:
        first, second = two_stages(self.first_share)
        self.stages = (first, Stage(second.share, ("real",)))

    def prepare(self, learner: Learner) -> None:
        """Keeps the learner; nothing is built."""
        self.learner = learner

    def step(self, batch: Batch, progress: float) -> Mapping[str, float | Tensor]:
        """Descends the cross-entropy."""
        return supervised_step(self.learner, batch)
