"""Real only: the baseline that synthetic images are measured against.

Baseline (Real) of Wang, Schmedding and Huber 2024, "Improving the Effectiveness of Deep Generative
Data" (https://arxiv.org/abs/2311.03959), tables 2 and 4: cross-entropy on the real images.
"""

from __future__ import annotations

from dataclasses import dataclass

from gendata.registry import methods
from gendata.training.supervised import Supervised
from gendata.types import Stage

__all__ = ["RealOnly"]


@methods.register("real")
@dataclass
class RealOnly(Supervised):
    """Trains on the real images."""

    stages = (Stage(1.0, ("real",)),)
