"""Adaptive Runge-Kutta steps of order 5(4), each trajectory of a batch with its own step size.

Dormand and Prince, "A family of embedded Runge-Kutta formulae" (1980); the step control and the
first step follow Hairer, Norsett and Wanner, "Solving Ordinary Differential Equations I", II.4,
with the constants of SciPy's RK45, which LSGM's authors sample with. They measure one error over
a whole batch, so that an image depends on its batch mates; here every image has its own, which
is what their code does with a batch of one. The batch keeps its size until all have arrived, as
another size would change the last bits of what the network returns.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["LANES", "Velocity", "integrate"]

Velocity = Callable[[Tensor, Tensor], Tensor]
"""velocity(times (B,), states (B, D)) -> (B, D), in the states' precision."""

MOST_STEPS = 10_000  # a trained network takes some 20 to 100
LANES = 16  # numbers left over from whole vectors are computed differently in the last bit
SAFETY, SMALLEST_FACTOR, LARGEST_FACTOR = 0.9, 0.2, 10.0
NODES = (0.0, 1 / 5, 3 / 10, 4 / 5, 8 / 9)
STAGES = (
    (),
    (1 / 5,),
    (3 / 40, 9 / 40),
    (44 / 45, -56 / 15, 32 / 9),
    (19372 / 6561, -25360 / 2187, 64448 / 6561, -212 / 729),
    (9017 / 3168, -355 / 33, 46732 / 5247, 49 / 176, -5103 / 18656),
)
WEIGHTS = (35 / 384, 0.0, 500 / 1113, 125 / 192, -2187 / 6784, 11 / 84)
ERRORS = (-71 / 57600, 0.0, 71 / 16695, -71 / 1920, 17253 / 339200, -22 / 525, 1 / 40)


@dataclass
class _Paths:
    """Trajectories under way.

    Attributes:
        times: (B,).
        states: (B, D).
        slopes: (B, D) the velocity there.
        steps: (B,) sizes of the next steps, positive.
        rejected: (B,) whether the last attempt failed.
        lost: (B,) whether no step was small enough.
    """

    times: Tensor
    states: Tensor
    slopes: Tensor
    steps: Tensor
    rejected: Tensor
    lost: Tensor


def integrate(
    velocity: Velocity, states: Tensor, begin: float, end: float, tolerance: float
) -> Tensor:
    """Follows dx/dt = velocity(t, x) from begin to end, forwards or backwards.

    Args:
        velocity: the right-hand side.
        states: (B, D) at the beginning, float64 for tolerances below 1e-6.
        begin: where t begins, …
        end: … and ends.
        tolerance: of the error of one step, absolute and relative.

    Returns:
        States (B, D) at the end; NaN where the velocity is not finite or too wild to follow.
    """
    paths = _start(velocity, states, begin, end, tolerance)
    for _ in range(MOST_STEPS):
        paths = _advance(velocity, paths, begin, end, tolerance)
        if bool(((paths.times == end) | paths.lost).all()):
            break
    arrived = (paths.times == end) & ~paths.lost
    return torch.where(arrived[:, None], paths.states, torch.nan)


def _start(
    velocity: Velocity, states: Tensor, begin: float, end: float, tolerance: float
) -> _Paths:
    """Chooses first steps from the size of the first and second derivatives."""
    direction = 1.0 if end > begin else -1.0
    times = torch.full_like(states[:, 0], begin)
    slopes = velocity(times, states)
    scale = tolerance + states.abs() * tolerance
    size, first = _norm(states / scale), _norm(slopes / scale)
    guess = torch.where((size < 1e-5) | (first < 1e-5), 1e-6, 0.01 * size / first)
    guess = guess.clamp(max=abs(end - begin))
    probe = states + direction * guess[:, None] * slopes
    second = _norm((velocity(times + direction * guess, probe) - slopes) / scale) / guess
    steep = torch.maximum(first, second)
    steps = torch.where(steep <= 1e-15, (guess * 1e-3).clamp(min=1e-6), _power(0.01 / steep, 0.2))
    steps = torch.minimum(100 * guess, steps).clamp(max=abs(end - begin))
    nowhere = torch.zeros_like(times, dtype=torch.bool)
    return _Paths(times, states, slopes, steps, nowhere, nowhere)


def _advance(
    velocity: Velocity, paths: _Paths, begin: float, end: float, tolerance: float
) -> _Paths:
    """Tries one step of each trajectory; those that have arrived stay where they are."""
    direction = 1.0 if end > begin else -1.0
    target = torch.full_like(paths.times, end)
    smallest = 10 * (torch.nextafter(paths.times, target) - paths.times).abs()
    lost = paths.lost | (paths.rejected & ~(paths.steps >= smallest))
    times = paths.times + direction * torch.maximum(paths.steps, smallest)
    times = torch.where(direction * (times - end) > 0, target, times)
    length = (times - paths.times)[:, None]
    states, slopes, error = _step(velocity, paths, length)
    scale = tolerance + torch.maximum(paths.states.abs(), states.abs()) * tolerance
    norm = _norm(error / scale)
    accepted = norm < 1
    factor = torch.nan_to_num(SAFETY * _power(norm, -0.2), nan=0.0, posinf=LARGEST_FACTOR)
    largest = torch.where(accepted & ~paths.rejected, LARGEST_FACTOR, 1.0)
    factor = torch.minimum(factor.clamp(min=SMALLEST_FACTOR), largest)
    # NaN must not leak into accepted rows, so rows are chosen, never multiplied by a mask.
    return _Paths(
        torch.where(accepted, times, paths.times),
        torch.where(accepted[:, None], states, paths.states),
        torch.where(accepted[:, None], slopes, paths.slopes),
        length[:, 0].abs() * factor,
        ~accepted,
        lost,
    )


def _step(velocity: Velocity, paths: _Paths, length: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """One step: the new states, the velocity there, and the estimated error."""
    slopes = [paths.slopes]
    for node, weights in zip(NODES[1:], STAGES[1:5], strict=True):
        states = paths.states + length * _combined(weights, slopes)
        slopes.append(velocity(paths.times + node * length[:, 0], states))
    last = paths.states + length * _combined(STAGES[5], slopes)
    slopes.append(velocity(paths.times + length[:, 0], last))
    states = paths.states + length * _combined(WEIGHTS, slopes)
    slopes.append(velocity(paths.times + length[:, 0], states))
    return states, slopes[-1], length * _combined(ERRORS, slopes)


def _combined(weights: tuple[float, ...], slopes: list[Tensor]) -> Tensor:
    total = weights[0] * slopes[0]
    for weight, slope in zip(weights[1:], slopes[1:], strict=True):
        if weight:
            total.add_(slope, alpha=weight)
    return total


def _power(values: Tensor, exponent: float) -> Tensor:
    """Powers of (B,) values by one way of computing, wherever in the batch a value stands."""
    return (values[:, None].expand(-1, LANES).contiguous() ** exponent)[:, 0]


def _norm(values: Tensor) -> Tensor:
    """Root mean square of each row."""
    return values.square().mean(dim=1).sqrt()
