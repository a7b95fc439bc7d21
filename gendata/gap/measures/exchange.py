"""How many real training images a synthetic one replaces.

From which test images classifiers classify rightly that were trained on n real images, and on n
synthetic ones, for several n and seeds:

- What n synthetic images are worth: the number m of real images whose classifier has the same
  accuracy. The exchange rate is m / n. Both accuracies are read off fitted curves of one form
  (`gendata.gap.measures.learning_curve`): power laws where they miss no measured mean error by
  more than 3 standard errors or 1% of it, whichever is more (a single seed has no standard
  error: by more than 5%); else the interpolation. Two equal sets are worth exactly 1.
- Nothing is invented beyond the real sizes that were trained on: a worth above the largest is "at
  least" that, one below the smallest "fewer than" that.
- What more would bring: the accuracy at 2 and 4 times the largest size, by the power law through
  all sizes, or through the last three where it misses the others; none where it misses those too.
- Fitted curves never rise, so that they say "nothing" where more images did harm. The intervals of
  accuracy and worth therefore hold what the measured errors say as well where those rise; those of
  what doubling the images brings reach equally far to either side and, where the error rose to the
  largest size, hold what the line through the last two sizes says as well.

Intervals hold 95%: a bootstrap draws the test images and the seeds anew and fits the curves again
(`gendata.gap.measures.learning_runs`). It holds fixed: the images that the trainings were given
(the largest sees all of them, so another draw of as many from the generator is not in the
interval), the network and its settings, and the form of the curve; with one seed, training too.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gendata.errors import GendataError
from gendata.gap.measures.intervals import ABSENT, Estimate
from gendata.gap.measures.learning_curve import (
    Interpolation,
    PowerLaw,
    fit_interpolation,
    fit_power_law,
)
from gendata.gap.measures.learning_runs import Runs, redrawn_errors

__all__ = ["Equivalent", "Exchange", "Prediction", "exchange_rates"]

INTERPOLATION, POWER_LAW = "interpolation", "power law"
AHEAD = (2, 4)  # times the largest size, for which accuracy is predicted
REPLICATES = 1000
STANDARD_ERRORS, ALWAYS_FINE, SINGLE_SEED = 3.0, 0.01, 0.05  # when a power law misses a point
FEWEST_SIZES = 3  # what a power law needs
FUZZ = 1e-6  # relative difference of two sizes that rounding may make


@dataclass(frozen=True)
class Equivalent:
    """What a number of synthetic images is worth.

    Attributes:
        synthetic: how many.
        accuracy: of the classifier trained on them, off its fitted curve.
        real: how many real ones do the same, within the measured range.
        bound: "measured"; "at least", where the value is the largest real size and the true one
            beyond it; "fewer than", where it is the smallest and the true one below.
        smallest: the fewest real images that were trained on.
        largest: the most.
    """

    synthetic: float
    accuracy: Estimate
    real: Estimate
    bound: str
    smallest: float
    largest: float

    @property
    def rate(self) -> Estimate:
        """Real images for one synthetic image; `bound` holds for it too."""
        return Estimate(*(each / self.synthetic for each in _three(self.real)))

    @property
    def open_below(self) -> bool:
        """Whether the interval goes on below the measured range."""
        return self.real.low <= self.smallest * (1 + FUZZ)

    @property
    def open_above(self) -> bool:
        """Whether the interval goes on above the measured range."""
        return self.real.high >= self.largest * (1 - FUZZ)

    @property
    def undetermined(self) -> bool:
        """Whether the interval is the whole measured range, so that nothing can be said."""
        return self.open_below and self.open_above

    def to_json(self) -> dict[str, Any]:
        """Plain values; the rate is among them."""
        flags = {"open_below": self.open_below, "open_above": self.open_above}
        estimates = {"accuracy": self.accuracy, "real": self.real, "rate": self.rate}
        plain = {"synthetic": self.synthetic, "bound": self.bound, **flags}
        return plain | {name: each.to_json() for name, each in estimates.items()}


@dataclass(frozen=True)
class Prediction:
    """What more images of one source would bring, if its curve goes on as fitted.

    Attributes:
        images: how many there would be.
        accuracy: predicted.
        gain: in accuracy over the largest size that was trained on.
    """

    images: float
    accuracy: Estimate
    gain: Estimate

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        estimates = {"accuracy": self.accuracy.to_json(), "gain": self.gain.to_json()}
        return {"images": self.images, **estimates}


@dataclass(frozen=True)
class Exchange:
    """The exchange rate between synthetic and real training images.

    Attributes:
        equivalents: one for each synthetic size, ascending.
        doubling: what the worth is multiplied by when the synthetic images double, between the
            two largest sizes of measured worth: 2 where each new image is worth as much as the
            others, 1 where it is worth nothing, less where it does harm; nan where fewer than two
            worths were measured.
        synthetic_ahead: at 2 and 4 times the most synthetic images; empty where no power law fits.
        real_ahead: the same for real images.
        form: of the curves: "power law" or "interpolation".
        seeds: trainings of each size, real and synthetic.
        test_images: how many judged.
        replicates: of the bootstrap.
        seed: of the bootstrap.
    """

    equivalents: Sequence[Equivalent]
    doubling: Estimate
    synthetic_ahead: Sequence[Prediction]
    real_ahead: Sequence[Prediction]
    form: str
    seeds: tuple[int, int]
    test_images: int
    replicates: int
    seed: int

    @property
    def at_size(self) -> Equivalent:
        """The worth of all synthetic images."""
        return self.equivalents[-1]

    def to_json(self) -> dict[str, Any]:
        """Plain values; nan becomes null."""
        several = ("equivalents", "synthetic_ahead", "real_ahead")
        lists = {name: [each.to_json() for each in getattr(self, name)] for name in several}
        single = ("form", "test_images", "replicates", "seed")
        plain = {name: getattr(self, name) for name in single}
        seeds = dict(zip(("real", "synthetic"), self.seeds, strict=True))
        return {**lists, "doubling": self.doubling.to_json(), **plain, "seeds": seeds}


def exchange_rates(
    real: Runs, synthetic: Runs, *, replicates: int = REPLICATES, seed: int = 0
) -> Exchange:
    """Computes what each number of synthetic images is worth in real ones.

    Args:
        real: classifiers trained on real images, of three sizes or more.
        synthetic: classifiers trained on synthetic ones; a single size gives its worth alone.
        replicates: of the bootstrap.
        seed: of the bootstrap.

    Raises:
        GendataError: there are fewer than three real sizes, or the test images differ.
    """
    if len(real.sizes) < FEWEST_SIZES:
        raise GendataError(
            "the real learning curve has too few sizes",
            found=len(real.sizes),
            expected=f"at least {FEWEST_SIZES}",
            do="train on further numbers of real images",
        )
    sources = real, synthetic
    redrawn = redrawn_errors(sources, replicates, seed)
    # Row 0 is what was measured, the others are the replicates.
    errors = [np.vstack([s.error, drawn]) for s, drawn in zip(sources, redrawn, strict=True)]
    form = POWER_LAW if all(_follows(each, each.error) for each in sources) else INTERPOLATION
    ours, theirs = (_curve(form, s, rows) for s, rows in zip(sources, errors, strict=True))
    at_sizes = [theirs.error(size) for size in synthetic.sizes]
    worths = [ours.images(error) for error in at_sizes]
    as_measured = [ours.images(error) for error in errors[1].T]
    rises = _where_rising(synthetic.sizes, errors[1][0])
    ends = float(real.sizes[0]), float(real.sizes[-1])
    return Exchange(
        equivalents=[
            _equivalent(
                float(size),
                (at_sizes[place], worths[place]),
                (errors[1][:, place], as_measured[place]) if rises[place] else None,
                ends,
            )
            for place, size in enumerate(synthetic.sizes)
        ],
        doubling=_doubling(synthetic.sizes, np.stack(worths), np.stack(as_measured), ends),
        synthetic_ahead=_ahead(synthetic, errors[1]),
        real_ahead=_ahead(real, errors[0]),
        form=form,
        seeds=(len(real.right), len(synthetic.right)),
        test_images=real.right.shape[2],
        replicates=replicates,
        seed=seed,
    )


def _curve(form: str, runs: Runs, errors: np.ndarray) -> Interpolation | PowerLaw:
    """Fits one curve to each row of errors (B, L); too few sizes for a power law are joined."""
    if form == INTERPOLATION or len(runs.sizes) < FEWEST_SIZES:
        return fit_interpolation(runs.sizes, errors)
    return fit_power_law(runs.sizes, errors, runs.scale**-2)


def _follows(runs: Runs, error: np.ndarray, first: int = 0) -> bool:
    """Whether a power law through the errors (L,) from `first` on misses none of them.

    Fewer than three sizes contradict none.
    """
    sizes, error, scale = (each[first:] for each in (runs.sizes, error, runs.scale))
    if len(sizes) < FEWEST_SIZES:
        return True
    law = fit_power_law(sizes, error[None], scale**-2)
    missed = np.abs(np.array([law.error(size)[0] for size in sizes]) - error)
    spread = runs.standard_error
    if spread is None:
        allowed = SINGLE_SEED * scale
    else:
        allowed = np.maximum(STANDARD_ERRORS * spread[first:], ALWAYS_FINE * scale)
    return bool((missed <= allowed).all())


def _where_rising(sizes: np.ndarray, errors: np.ndarray) -> np.ndarray:
    """Of which sizes the errors (L,) are not those of the nearest curve that never rises."""
    return ~np.isclose(fit_interpolation(sizes, errors[None]).errors[0], errors, rtol=FUZZ, atol=0)


def _equivalent(
    size: float,
    fitted: tuple[np.ndarray, np.ndarray],
    measured: tuple[np.ndarray, np.ndarray] | None,
    ends: tuple[float, float],
) -> Equivalent:
    """What images are worth.

    Args:
        size: how many.
        fitted: errors (1 + B,) off the fitted curve, and what they are worth.
        measured: the same of the errors themselves, where those rise; else None.
        ends: the smallest and the largest real size.
    """
    smallest, largest = ends
    errors, worths = fitted
    accuracy, real = _estimate(1 - errors), _estimate(np.clip(worths, *ends))
    if measured is not None:
        accuracy = _stretched(accuracy, 1 - measured[0])
        real = _stretched(real, np.clip(measured[1], *ends))
    bound = "measured"
    if worths[0] > largest * (1 + FUZZ):
        bound = "at least"
    elif worths[0] < smallest * (1 - FUZZ):
        bound = "fewer than"
    return Equivalent(size, accuracy, real, bound, smallest, largest)


def _doubling(
    sizes: np.ndarray, worths: np.ndarray, as_measured: np.ndarray, ends: tuple[float, float]
) -> Estimate:
    """What doubling multiplies the worths by, between the largest two that were measured.

    Args:
        sizes: (L,) synthetic images.
        worths: (L, B) off the fitted curve.
        as_measured: (L, B) off the errors themselves, which may rise.
        ends: the smallest and the largest real size.
    """
    found = worths[:, 0]
    inside = (found >= ends[0] * (1 - FUZZ)) & (found <= ends[1] * (1 + FUZZ))
    if inside.sum() < 2:
        return ABSENT
    first, second = np.flatnonzero(inside)[-2:]

    def slope(of: np.ndarray) -> np.ndarray:
        logs = np.log(np.clip(of, *ends))
        return (logs[second] - logs[first]) / np.log2(sizes[second] / sizes[first])

    logs = _both_ways(_estimate(slope(worths)))
    measured = slope(as_measured)
    if measured[0] < 0:
        logs = _stretched(logs, measured)
    return Estimate(*(math.exp(each) for each in _three(logs)))


def _ahead(runs: Runs, measured: np.ndarray) -> list[Prediction]:
    """Predicts the accuracy at 2 and 4 times the largest size; nothing where no law fits.

    More images do no harm in the long run: where errors (1 + B, L) rise, the law is fitted to
    their isotonic regression, which is flat there, and the intervals are stretched.
    """
    last = len(runs.sizes) - FEWEST_SIZES
    errors = fit_interpolation(runs.sizes, measured).errors
    tried = dict.fromkeys((0, last)) if last >= 0 else {}
    starts = [first for first in tried if _follows(runs, errors[0], first)]
    if not starts:
        return []
    first = starts[0]
    sizes = runs.sizes[first:]
    law = fit_power_law(sizes, errors[:, first:], runs.scale[first:] ** -2)
    largest = float(sizes[-1])
    now = law.error(largest)
    slope = (measured[:, -1] - measured[:, -2]) / np.log(sizes[-1] / sizes[-2])
    found = []
    for times in AHEAD:
        then, rise = law.error(times * largest), slope * np.log(times)
        accuracy, gain = (_both_ways(_estimate(each)) for each in (1 - then, now - then))
        if slope[0] > 0:
            accuracy = _stretched(accuracy, 1 - measured[:, -1] - rise)
            gain = _stretched(gain, -rise)
        found.append(Prediction(times * largest, _as_share(accuracy), gain))
    return found


def _both_ways(estimate: Estimate) -> Estimate:
    """Lets an interval reach as far to either side as it does to the farther one.

    Curves that cannot rise cut the resamples off on the side of no gain, though the truth may lie
    as far from the estimate on the other.
    """
    half = max(estimate.high - estimate.value, estimate.value - estimate.low)
    return Estimate(estimate.value, estimate.value - half, estimate.value + half)


def _as_share(estimate: Estimate) -> Estimate:
    return Estimate(*(min(max(each, 0.0), 1.0) for each in _three(estimate)))


def _stretched(estimate: Estimate, rows: np.ndarray) -> Estimate:
    """Stretches an interval over that of other values (1 + B,) of the same figure."""
    drawn = _estimate(rows)
    low, high = min(estimate.low, drawn.low), max(estimate.high, drawn.high)
    return Estimate(estimate.value, low, high)


def _estimate(rows: np.ndarray) -> Estimate:
    """The first of (1 + B,) values, with the middle 95% of the others and itself."""
    low, high = np.quantile(rows[1:], [0.025, 0.975])
    value = float(rows[0])
    return Estimate(value, min(value, float(low)), max(value, float(high)))


def _three(estimate: Estimate) -> tuple[float, float, float]:
    return estimate.value, estimate.low, estimate.high
