"""Synthetic only: the zero-shot baseline.

Baseline (Fake) of Wang, Schmedding and Huber 2024, "Improving the Effectiveness of Deep Generative
Data" (https://arxiv.org/abs/2311.03959), tables 2 and 4: cross-entropy on the synthetic images.
Real images are never opened.
"""

from __future__ import annotations

from dataclasses import dataclass

from gendata.registry import methods
from gendata.training.supervised import Supervised
from gendata.types import Stage

__all__ = ["FakeOnly"]


@methods.register("fake")
@dataclass
class FakeOnly(Supervised):
    """Trains on the synthetic images."""

    stages = (Stage(1.0, ("synthetic",)),)
