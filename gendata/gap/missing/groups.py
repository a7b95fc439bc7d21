"""Groups of similar real images of which a clone lacks more than chance explains.

All images are grouped, covered or not, so that each group has an uncovered share of its own to set
against the floor: groups of uncovered images alone would have none. Rows are places among the
features.

Real images near each other are covered by the same synthetic ones, so their fates are not
independent. Among real sets, with groups of 30 images and k = 5, the variance of a group's
uncovered count was measured to be 1.2, 1.8, 2.6 and 3.7 times the binomial one at floors of 0.1,
3, 13 and 50%; it is taken to be 1 + k sqrt(share) times, and an image to be that much less than
one observation.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.spatial.distance import cdist
from scipy.special import betainc

from gendata.features.extract import Features
from gendata.gap.measures.clusters import group, medoid, spread_out
from gendata.gap.measures.intervals import Estimate
from gendata.gap.measures.manifold import Manifolds
from gendata.gap.measures.shares import share_of

__all__ = [
    "Coverage",
    "Example",
    "MissingGroup",
    "groups_across",
    "groups_within",
    "observations",
    "share_uncovered",
]

SIGNIFICANCE = 0.05
PER_GROUP, MOST_GROUPS = 25, 8  # images of a class for each group of it, and how many at most
PER_THEME, MOST_THEMES = 50, 12  # the same for groups across classes


@dataclass(frozen=True)
class Example:
    """An uncovered real image beside the synthetic image nearest to it.

    Attributes:
        real: row of the real image.
        synthetic: row of the nearest synthetic image.
        distance: between the two, in the features' units.
        remoteness: the same in units of the image's own ball; nan where that has radius 0.
    """

    real: int
    synthetic: int
    distance: float
    remoteness: float

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {**vars(self), "remoteness": _plain(self.remoteness)}


@dataclass(frozen=True)
class MissingGroup:
    """Similar real images of which more are uncovered than by chance.

    Attributes:
        label: the class it was found in; None: across classes.
        classes: names of the classes of its uncovered images, and how many of each, most first.
        size: how many real images are in it.
        rows: (n,) int64 the uncovered ones.
        share: uncovered share of the group.
        share_of_class: n over the size of the class; across classes, over all real images.
        gain: uncovered beyond the floor, as a share of all real images.
        remoteness: median distance to the nearest synthetic image, in balls.
        examples: the medoid of the uncovered images first, then others, less and less typical.
        covered: row of the covered real image nearest to the medoid, in the group or else in the
            class; None where nothing is covered.
    """

    label: int | None
    classes: tuple[tuple[str, int], ...]
    size: int
    rows: np.ndarray
    share: Estimate
    share_of_class: float
    gain: float
    remoteness: float
    examples: tuple[Example, ...]
    covered: int | None

    @property
    def name(self) -> str:
        """The class of its uncovered images, or the two that most are of, and whether others."""
        names = [f"'{name}'" for name, _ in self.classes]
        return f"{names[0]}, {names[1]} and others" if len(names) > 2 else " and ".join(names)

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "label": self.label,
            "classes": dict(self.classes),
            "size": self.size,
            "rows": self.rows.tolist(),
            "share": self.share.to_json(),
            "share_of_class": self.share_of_class,
            "gain": self.gain,
            "remoteness": _plain(self.remoteness),
            "examples": [example.to_json() for example in self.examples],
            "covered": self.covered,
        }


@dataclass(frozen=True)
class Coverage:
    """N real images and how they lie beside the synthetic ones.

    Attributes:
        real: features.
        components: (N, d) their principal components, which are grouped.
        manifolds: the two sets in each other's manifold.
        floor: share that chance leaves uncovered.
    """

    real: Features
    components: np.ndarray
    manifolds: Manifolds
    floor: float

    @property
    def remoteness(self) -> np.ndarray:
        """Distance to the nearest synthetic image over the radius of each real ball, (N,).

        It is nan where the radius is 0, for an image with k copies.
        """
        radii = self.manifolds.real_radii.astype(np.float64)
        distances = self.manifolds.nearest_synthetic_distance
        unknown = np.full(len(radii), np.nan)
        return np.divide(distances, radii, out=unknown, where=radii > 0)


def observations(share: float, nearest_k: int) -> float:
    """How many independent observations an image amounts to, of which `share` are uncovered."""
    return 1 / (1 + nearest_k * share**0.5)


def share_uncovered(covered: np.ndarray, nearest_k: int) -> Estimate:
    """Uncovered share of images (N,), with an interval that knows how they hang together."""
    independent = observations(float(np.mean(~covered)), nearest_k)
    return share_of(~covered, independent=independent)


def groups_within(coverage: Coverage, examples: int) -> tuple[MissingGroup, ...]:
    """Finds the groups within classes that lack more than chance explains.

    Args:
        coverage: of the real images.
        examples: how many images a group shows.

    Returns:
        The groups, the largest gain first.
    """
    labels = coverage.real.labels
    divided: list[tuple[int | None, np.ndarray]] = []
    for label in range(len(coverage.real.classes)):
        rows = np.flatnonzero(labels == label)
        count = min(MOST_GROUPS, max(1, len(rows) // PER_GROUP))
        divided += [(label, each) for each in _divided(coverage.components, rows, count)]
    return _lacking(coverage, examples, divided)


def groups_across(coverage: Coverage, examples: int) -> tuple[MissingGroup, ...]:
    """The same for groups of all real images, whatever their class."""
    rows = np.arange(len(coverage.real))
    count = min(MOST_THEMES, max(1, len(rows) // PER_THEME))
    divided = [(None, each) for each in _divided(coverage.components, rows, count)]
    return _lacking(coverage, examples, divided)


def _divided(components: np.ndarray, rows: np.ndarray, count: int) -> list[np.ndarray]:
    if not len(rows):
        return []
    groups = group(components[rows], count)
    return [rows[groups == each] for each in range(groups.max() + 1)]


def _lacking(
    coverage: Coverage, examples: int, divided: Sequence[tuple[int | None, np.ndarray]]
) -> tuple[MissingGroup, ...]:
    found = []
    for label, rows in divided:
        uncovered = int((~coverage.manifolds.covered[rows]).sum())
        if _by_chance(coverage, uncovered, len(rows)) * len(divided) < SIGNIFICANCE:
            found.append(_described(coverage, examples, label, rows))
    return tuple(sorted(found, key=_most_first))


def _by_chance(coverage: Coverage, uncovered: int, size: int) -> float:
    """Probability that as many of a group are uncovered, or more, under the floor alone.

    It is the tail of the binomial distribution, carried on to counts that are not whole.
    """
    if not uncovered:
        return 1.0
    each = observations(coverage.floor, coverage.manifolds.nearest_k)
    return float(betainc(uncovered * each, (size - uncovered) * each + 1, coverage.floor))


def _most_first(found: MissingGroup) -> tuple[float, float]:
    return -found.gain, -found.share.value


def _described(
    coverage: Coverage, examples: int, label: int | None, rows: np.ndarray
) -> MissingGroup:
    real, covered = coverage.real, coverage.manifolds.covered
    uncovered = rows[~covered[rows]]
    peers = len(real) if label is None else int((real.labels == label).sum())
    center = medoid(coverage.components[uncovered])
    shown = uncovered[spread_out(coverage.components[uncovered], center, examples)]
    counts = Counter(real.labels[uncovered].tolist())
    classes = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    remoteness = coverage.remoteness[uncovered]
    known = remoteness[~np.isnan(remoteness)]
    return MissingGroup(
        label=label,
        classes=tuple((real.classes[each], count) for each, count in classes),
        size=len(rows),
        rows=uncovered,
        share=share_uncovered(covered[rows], coverage.manifolds.nearest_k),
        share_of_class=len(uncovered) / peers,
        gain=(len(uncovered) - coverage.floor * len(rows)) / len(real),
        remoteness=float(np.median(known)) if len(known) else np.nan,
        examples=tuple(_example(coverage, int(row)) for row in shown),
        covered=_nearest_covered(coverage, int(uncovered[center]), rows),
    )


def _example(coverage: Coverage, row: int) -> Example:
    return Example(
        real=row,
        synthetic=int(coverage.manifolds.nearest_synthetic[row]),
        distance=float(coverage.manifolds.nearest_synthetic_distance[row]),
        remoteness=float(coverage.remoteness[row]),
    )


def _nearest_covered(coverage: Coverage, center: int, rows: np.ndarray) -> int | None:
    """The covered image nearest to the medoid, in its group or else in its class."""
    covered, labels = coverage.manifolds.covered, coverage.real.labels
    peers = np.flatnonzero(labels == labels[center])
    for candidates in (rows[covered[rows]], peers[covered[peers]]):
        if len(candidates):
            values = coverage.components
            return int(candidates[cdist(values[[center]], values[candidates])[0].argmin()])
    return None


def _plain(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
