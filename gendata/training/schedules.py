"""How the learning rate moves in the course of a training."""

from __future__ import annotations

import math

__all__ = ["SCHEDULES", "scheduled_rate", "warmed_polynomial"]

SCHEDULES = ("constant", "cosine", "asg", "csg")
WARM_UP = 100  # steps
ASG_LATEST = 0.8  # share of the steps after which the rate of ASG stays where it is


def scheduled_rate(schedule: str, base: float, progress: float, steps: int) -> float:
    """The learning rate at a moment of the training, whatever came before.

    Args:
        schedule: one of `SCHEDULES`.
        base: the rate that the schedule scales.
        progress: share of the training that is done, between 0 and 1.
        steps: of the whole training.
    """
    if schedule == "constant":
        return base
    if schedule == "cosine":
        return base * (1 + math.cos(math.pi * progress)) / 2
    latest = ASG_LATEST if schedule == "asg" else 1.0
    return warmed_polynomial(base, progress * steps, steps, latest=latest)


def warmed_polynomial(base: float, step: float, steps: int, *, latest: float = 1.0) -> float:
    """The rate of ASG and CSG: a quadratic warm-up of 100 steps times a polynomial decay.

        base min(0.01 + 0.99 (i / 100)^2, 1) (1 - min(i / T, latest))^0.9

    Args:
        base: the rate that the schedule scales.
        step: i, counted from 0.
        steps: T, of the whole training.
        latest: share of the steps where the decay ends: 0.8 in ASG, 1 in CSG.
    """
    warm = min(0.01 + 0.99 * (step / WARM_UP) ** 2, 1.0)
    return base * warm * (1 - min(step / steps, latest)) ** 0.9
