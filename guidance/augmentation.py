"""Augmentation (Aug.): synthetic images added to the real training set.

Baseline (Aug.) of Wang, Schmedding and Huber 2024, "Improving the Effectiveness of Deep Generative
Data" (https://arxiv.org/abs/2311.03959), table 4: cross-entropy on the union of both sets, each
image once an epoch.
"""

from __future__ import annotations

from dataclasses import dataclass

from gendata.registry import methods
from gendata.training.supervised import Supervised
from gendata.types import Stage

__all__ = ["Augmentation"]


@methods.register("aug")
@dataclass
class Augmentation(Supervised):
    """Trains on the union of synthetic and real images."""

    stages = (Stage(1.0, ("mixed",)),)
