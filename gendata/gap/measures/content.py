"""The content gap: how much of the real images' content the sound synthetic images stand in for.

Both sets are divided into groups of like images of one class. Of the groups that the synthetic set
holds too few of, the gap is the share of real images in them minus that of the synthetic ones: the
mass that would have to move, the total variation distance between the two mixtures. Which groups
these are is decided on four fifths of the images and the shares are taken on the last, in turn, so
that chance adds nothing: two halves of one set give 0 on average, where the plain distance would
grow with the number of groups.

Broken images belong to the quality gap and not here: each synthetic image counts as far as it is
sound, and the gap is multiplied with one minus the quality gap. Hence the two are parts of one
whole, and a set that is broken throughout has no content gap: nothing can be said of its content.

Wang et al. 2024, section 3.1, call it the shift in what an image is composed of, and section 3.3
the loss of rare samples, which the generator omits or hardly ever draws.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from gendata.errors import GendataError
from gendata.gap.measures.clusters import group
from gendata.gap.measures.intervals import Estimate

__all__ = ["DEFINITIONS", "Content", "groups_within_classes", "measure_content"]

DEFINITIONS: dict[str, str] = {
    "content": "The share of synthetic images that are sound but show what is drawn too often, "
    "in the place of real content that is missing or too rare: 0 none, 1 all. Named by Wang et "
    "al. 2024, section 3.1; measured as the total variation distance between the two sets' "
    "mixtures of groups of like images.",
}
IMAGES_PER_GROUP = 20  # of the larger set
# A class of fewer images than three such groups is still divided, or nothing that it lacks inside
# would be seen: as finely as leaves this many images to a group.
LEAST_GROUPS, FEWEST_IN_GROUP = 3, 5
RESAMPLES = 500
FOLDS = 5


@dataclass(frozen=True)
class Content:
    """The content gap and the mixtures it comes from.

    Attributes:
        gap: between 0 and 1.
        real_shares: (G,) share of the real images in each group.
        synthetic_shares: (G,) share of the sound synthetic ones.
    """

    gap: Estimate
    real_shares: np.ndarray
    synthetic_shares: np.ndarray

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "gap": self.gap.to_json(),
            "groups": {
                "real": self.real_shares.tolist(),
                "synthetic": self.synthetic_shares.tolist(),
            },
        }


def groups_within_classes(
    real: np.ndarray, synthetic: np.ndarray, real_labels: np.ndarray, synthetic_labels: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Divides the images of each class into groups of like ones, both sets together.

    A class of fewer than ten images, in the larger set, is one group: of its content nothing is
    seen but how often it is drawn.

    Args:
        real: (N, D) features.
        synthetic: (M, D).
        real_labels: (N,) int64.
        synthetic_labels: (M,).

    Returns:
        (N,) and (M,) int64, numbers of groups, from 0.
    """
    both = np.concatenate([real, synthetic])
    labels = np.concatenate([real_labels, synthetic_labels])
    groups = np.empty(len(both), dtype=np.int64)
    first = 0
    for label in np.unique(labels):
        rows = np.flatnonzero(labels == label)
        of_real = int((rows < len(real)).sum())
        count = _groups_of_class(max(of_real, len(rows) - of_real))
        groups[rows] = first + group(both[rows], count)
        first = int(groups[rows].max()) + 1
    return groups[: len(real)], groups[len(real) :]


def measure_content(
    real_groups: np.ndarray,
    synthetic_groups: np.ndarray,
    soundness: np.ndarray | None = None,
    *,
    broken: float = 0.0,
    seed: int = 0,
) -> Content:
    """Measures the content gap.

    Copies among the synthetic images count as often as they occur: fifty images drawn twenty times
    each are a poorer mixture than a thousand images.

    Args:
        real_groups: (N,) int64, the group of each real image, from 0.
        synthetic_groups: (M,) likewise.
        soundness: (M,) between 0 and 1, how far each synthetic image counts; None: fully.
        broken: the quality gap, between 0 and 1.
        seed: of folds and bootstrap.

    Raises:
        GendataError: there are fewer images than folds.
    """
    sound = np.ones(len(synthetic_groups)) if soundness is None else soundness
    if min(len(real_groups), len(synthetic_groups)) < FOLDS:
        raise GendataError(
            "too few images to measure content by",
            found=f"{len(real_groups)} real and {len(synthetic_groups)} synthetic ones",
            expected=f"at least {FOLDS} of each",
        )
    generator = np.random.default_rng(seed)
    count = int(max(real_groups.max(), synthetic_groups.max())) + 1
    real = _Counts(real_groups, count, generator)
    synthetic = _Counts(synthetic_groups, count, generator)
    value = _deficit(real.table(), synthetic.table(sound))
    drawn = [
        _deficit(
            real.table(real.drawn(generator)),
            synthetic.table(sound * synthetic.drawn(generator)),
        )
        for _ in range(RESAMPLES)
    ]
    shares = [each.sum(axis=0) for each in (real.table(), synthetic.table(sound))]
    return Content(
        _interval(value, float(np.std(drawn)), 1 - broken),
        shares[0] / shares[0].sum(),
        shares[1] / max(shares[1].sum(), 1e-12),
    )


def _groups_of_class(images: int) -> int:
    return max(1, images // IMAGES_PER_GROUP, min(LEAST_GROUPS, images // FEWEST_IN_GROUP))


class _Counts:
    """Images by fold and group."""

    def __init__(self, groups: np.ndarray, count: int, generator: np.random.Generator) -> None:
        self.images, self.count = len(groups), count
        folds = generator.permutation(self.images) % FOLDS
        self.cells = folds * count + groups

    def drawn(self, generator: np.random.Generator) -> np.ndarray:
        """How often each image occurs in one resample."""
        rows = generator.integers(self.images, size=self.images)
        return np.bincount(rows, minlength=self.images)

    def table(self, weights: np.ndarray | None = None) -> np.ndarray:
        """Sums of weights (FOLDS, G)."""
        sums = np.bincount(self.cells, weights, minlength=FOLDS * self.count)
        return sums.reshape(FOLDS, self.count).astype(np.float64)


def _interval(deficit: float, deviation: float, sound: float) -> Estimate:
    """The gap with 1.96 standard deviations on each side, within [0, 1].

    Resamples choose the groups a little worse than the images themselves do, and so lie below the
    estimate: how far they spread is used, and not where.
    """
    ends = (deficit, deficit - 1.96 * deviation, deficit + 1.96 * deviation)
    return Estimate(*(float(np.clip(end, 0, 1)) * sound for end in ends))


def _deficit(real: np.ndarray, synthetic: np.ndarray) -> float:
    """Mean over folds of the mass that groups lack which lack some in the other folds.

    A group lacks some where its shares differ by more than a standard error: groups that are
    chosen by chance would take from the gap what they do not lack.
    """
    others, synthetic_others = real.sum(axis=0) - real, synthetic.sum(axis=0) - synthetic
    shares, synthetic_shares = _shares(others), _shares(synthetic_others)
    variance = shares / _totals(others) + synthetic_shares / _totals(synthetic_others)
    lacking = shares - synthetic_shares > np.sqrt(variance)
    differences = _shares(real) - _shares(synthetic)
    return float((differences * lacking).sum(axis=1).mean())


def _shares(counts: np.ndarray) -> np.ndarray:
    return counts / _totals(counts)


def _totals(counts: np.ndarray) -> np.ndarray:
    return np.maximum(counts.sum(axis=-1, keepdims=True), 1e-12)
