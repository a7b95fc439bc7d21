"""Whether a row differs from its baseline by more than the choice of seed explains.

The paired t test, and beside it one that assumes no normal distribution: under the hypothesis of
no difference each seed's difference is as likely to have the other sign. Several rows compared in
one column share one chance of error, by Holm 1979, "A Simple Sequentially Rejective Multiple Test
Procedure".
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy import stats

__all__ = ["Comparison", "holm", "paired", "sign_flip"]

MOST_EXACT = 12  # seeds whose 2^n signs are all tried
DRAWS = 50_000  # random signs beyond that


@dataclass(frozen=True)
class Comparison:
    """A row against its baseline, seed by seed.

    Attributes:
        baseline: the row it is compared with.
        seeds: how many seeds both have.
        difference: mean of the paired differences in accuracy; None without a seed in common.
        error: the standard error of that mean.
        t: difference / error.
        p: two-sided, of the paired t test; None where `note` says why.
        holm_p: p after Holm's correction over the rows of one block and column.
        permutation_p: two-sided, of the test that flips the signs of the differences.
        exact: whether that test tried all signs, or drew some at random.
        note: what stands in the way of a p-value, or "".
    """

    baseline: str
    seeds: int = 0
    difference: float | None = None
    error: float | None = None
    t: float | None = None
    p: float | None = None
    holm_p: float | None = None
    permutation_p: float | None = None
    exact: bool | None = None
    note: str = ""


def paired(baseline: str, differences: Sequence[float], note: str = "") -> Comparison:
    """Tests whether a row differs from its baseline.

    Args:
        baseline: the row it is compared with.
        differences: in accuracy, one for each seed in common.
        note: what is to be said about the seeds.

    Returns:
        What the differences allow: none gives no difference, one no p-value.
    """
    if not differences:
        return Comparison(baseline, note="no seed in common: not paired, no p-value")
    mean = math.fsum(differences) / len(differences)
    comparison = Comparison(baseline, len(differences), mean, note=note)
    if len(differences) == 1:
        return replace(comparison, note=_joined(note, "one seed: no p-value"))
    permutation_p, exact = sign_flip(differences)
    error = float(np.std(differences, ddof=1)) / math.sqrt(len(differences))
    comparison = replace(comparison, error=error, permutation_p=permutation_p, exact=exact)
    if error <= 1e-12:  # the rounding of a difference of two accuracies
        note = _joined(note, "all differences are equal: no t test")
        return replace(comparison, error=0.0, note=note)
    p = float(2 * stats.t.sf(abs(mean / error), len(differences) - 1))
    return replace(comparison, t=mean / error, p=p)


def sign_flip(differences: Sequence[float], seed: int = 0) -> tuple[float, bool]:
    """Tests whether paired differences are centred on 0 by flipping their signs.

    Args:
        differences: one a seed.
        seed: of the random signs, which are drawn for more than 12 differences.

    Returns:
        The two-sided p, and whether all signs were tried. With n seeds it cannot fall below
        2 / 2^n: five seeds never reach 0.05.
    """
    values = np.asarray(differences, dtype=float)
    exact = len(values) <= MOST_EXACT
    if exact:
        signs = np.array(list(itertools.product((-1.0, 1.0), repeat=len(values))))
    else:
        generator = np.random.default_rng(seed)
        signs = generator.choice((-1.0, 1.0), size=(DRAWS, len(values)))
    observed = abs(values.sum())
    # Sums that differ by rounding alone count as equal.
    hits = int((np.abs(signs @ values) >= observed - 1e-9 * np.abs(values).sum()).sum())
    return (hits / len(signs), True) if exact else ((hits + 1) / (len(signs) + 1), False)


def holm(values: Sequence[float]) -> list[float]:
    """Holm's step-down correction (1979) of the p-values of one family, in their order."""
    order = sorted(range(len(values)), key=lambda index: values[index])
    corrected = [0.0] * len(values)
    highest = 0.0
    for rank, index in enumerate(order):
        highest = max(highest, min(1.0, (len(values) - rank) * values[index]))
        corrected[index] = highest
    return corrected


def _joined(*notes: str) -> str:
    return "; ".join(filter(None, notes))
