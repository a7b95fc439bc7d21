"""Which real images a clone lacks: the uncovered ones, grouped, and set against chance.

A real image is uncovered if no synthetic image lies strictly inside its ball, which reaches to its
k-th nearest other real image (coverage of Naeem et al. 2020, "Reliable Fidelity and Diversity
Metrics for Generative Models"). Even a perfect generator leaves some uncovered: with M images of
the real distribution beside N real ones, each is with probability

    prod_{j=1..k} (N - j) / (N + M - j)

which follows from the same paper's expectation of coverage, holds for any distribution without
ties, and is what M other real images would leave uncovered. What exceeds this floor is missing.

All real images are grouped, covered or not, by k-means on the principal components of their
features: within each class, and across all classes. So each group has a share of its own to set
against the floor, and the gains of the groups of either kind add up to the whole. The gain of a
group is how much uncovered it has in excess of the floor, as a share of all real images. Reported
are groups in which more is uncovered than the floor explains (binomial tail below 0.05, divided by
the number of groups; `missing.groups` says how many observations an image counts for). All rows
are places among the features.
"""

from __future__ import annotations

import numpy as np

from gendata.errors import GendataError
from gendata.features.extract import Features
from gendata.gap.inputs.comparable import check_comparable
from gendata.gap.measures.clusters import principal_components
from gendata.gap.measures.manifold import Manifolds, compare_manifolds
from gendata.gap.missing.findings import ClassShare, Missing
from gendata.gap.missing.groups import Coverage, groups_across, groups_within, share_uncovered

__all__ = ["chance_of_uncovered", "find_missing"]


def chance_of_uncovered(real: int, synthetic: int, nearest_k: int = 5) -> float:
    """Probability that one of `real` images is uncovered by `synthetic` ones of its distribution.

    Its k nearest among all others are then all real (from Naeem et al. 2020, appendix A).

    Raises:
        GendataError: there are not more than k real images.
    """
    if real <= nearest_k:
        raise GendataError(
            f"too few real images for balls up to neighbour {nearest_k}",
            found=real,
            expected=f"at least {nearest_k + 1}",
        )
    ranks = np.arange(1, nearest_k + 1)
    return float(np.prod((real - ranks) / (real + synthetic - ranks)))


def find_missing(
    real: Features,
    synthetic: Features,
    manifolds: Manifolds | None = None,
    *,
    nearest_k: int = 5,
    groups: int = 12,
    themes: int = 6,
    examples: int = 6,
) -> Missing:
    """Finds which real images a clone lacks.

    Args:
        real: features of real images, best of ones that the generator was not trained on.
        synthetic: features of the clone.
        manifolds: of the same two, where they are known already.
        nearest_k: which neighbour a ball reaches to, where they are not.
        groups: how many groups within classes to report.
        themes: how many groups across classes to report.
        examples: how many images of each.

    Raises:
        GendataError: encoders or classes differ, features are not finite, or there are too few
            images.
    """
    check_comparable(real, synthetic)
    if manifolds is None:
        manifolds = compare_manifolds(real.values, synthetic.values, nearest_k)
    floor = chance_of_uncovered(len(real), len(synthetic), manifolds.nearest_k)
    coverage = Coverage(real, principal_components(real.values), manifolds, floor)
    remoteness = coverage.remoteness
    uncovered = np.flatnonzero(~manifolds.covered)
    farthest_first = np.argsort(-np.nan_to_num(remoteness[uncovered]), kind="stable")
    return Missing(
        share=share_uncovered(manifolds.covered, manifolds.nearest_k),
        floor=floor,
        per_class=_per_class(real, manifolds, floor),
        groups=groups_within(coverage, examples)[:groups],
        themes=groups_across(coverage, examples)[:themes],
        rows=uncovered[farthest_first],
        remoteness=remoteness,
        images=(len(real), len(synthetic)),
        nearest_k=manifolds.nearest_k,
        encoder=real.encoder.to_json(),
    )


def _per_class(real: Features, manifolds: Manifolds, floor: float) -> tuple[ClassShare, ...]:
    found = []
    for label, name in enumerate(real.classes):
        covered = manifolds.covered[real.labels == label]
        if not len(covered):
            continue
        hits, size = int((~covered).sum()), len(covered)
        gain = (hits - floor * size) / len(real)
        share = share_uncovered(covered, manifolds.nearest_k)
        found.append(ClassShare(name, size, hits, share, gain))
    return tuple(sorted(found, key=_by_gain))


def _by_gain(share: ClassShare) -> float:
    return -share.gain
