"""Adaptation (Adp.): first the synthetic images, then the real ones.

Baseline (Adp.) of Wang, Schmedding and Huber 2024, "Improving the Effectiveness of Deep Generative
Data" (https://arxiv.org/abs/2311.03959), section 5.2 and table 4: cross-entropy on synthetic
images for 150 epochs, then on real images for 50; other numbers are split in that proportion
unless `first_share` says otherwise.

Where we choose: the optimiser's state carries over into the second stage; its schedule begins
anew.
"""

from __future__ import annotations

from dataclasses import dataclass

from gendata.registry import methods
from gendata.training.options import check_number
from gendata.training.stages import two_stages
from gendata.training.supervised import Supervised
from gendata.types import Stage

__all__ = ["Adaptation"]


@methods.register("adp")
@dataclass
class Adaptation(Supervised):
    """Trains on synthetic images, then on real ones.

    Args:
        first_share: share of the epochs on synthetic images, above 0 and below 1.
        adaptation_rate: the second stage's learning rate, as a multiple of the training's.
    """

    first_share: float = 0.75
    adaptation_rate: float = 1.0

    def __post_init__(self) -> None:
        check_number("adaptation_rate", self.adaptation_rate, 0)
        first, second = two_stages(self.first_share)
        self.stages = (first, Stage(second.share, ("real",)))

    def begin_stage(self, number: int) -> None:
        """Takes the second stage's rate."""
        if number == 1:
            self.learner.set_rate_factor(self.learner.bare, self.adaptation_rate)
