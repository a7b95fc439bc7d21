"""Whether a synthetic image is closer to a training image than a new real image would be.

Closeness is measured relative to the neighbourhood: the distance to the nearest training image,
divided by the mean distance to the nearest fifty (Carlini et al. 2023, "Extracting Training Data
from Diffusion Models", section 5.1). It is near 1 where many training images are equally near, as
for any ordinary image of a dense class, and near 0 where one of them stands out, as for a copy.

What is close enough to be suspicious is read off real images that were not trained on: a synthetic
image is, when a share of at most `share` of them is as close. That is a conformal p-value (Vovk,
Gammerman and Shafer 2005): of images that are as new as the held-out ones, no more than `share`
are suspicious on average, whatever the distribution.

Authenticity (Alaa et al. 2022, "How Faithful is your Synthetic Data?", section 4.3): an image is
authentic if it is farther from its nearest training image than that one is from its own nearest
other training image; strictly, as in dgm-eval. Scores of a real test set are well below 1.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gendata.errors import GendataError
from gendata.gap.measures.neighbours import Neighbours, nearest

__all__ = [
    "NEIGHBOURHOOD",
    "Threshold",
    "authentic",
    "authentic_images",
    "authentic_left_out",
    "calibrate",
    "relative_distances",
    "repeated",
    "rows_of_same",
    "same_elsewhere",
]

NEIGHBOURHOOD = 50  # training images that the nearest one is compared with


@dataclass(frozen=True)
class Threshold:
    """How close is suspicious.

    Attributes:
        distance: an image strictly closer than this is suspicious.
        share: of new real images that are, at most, on average; between 0 and 1.
        reference: (R,) distances of the held-out real images, ascending.
    """

    distance: float
    share: float
    reference: np.ndarray

    def exceeded_by(self, distances: np.ndarray, *, held_out: bool = False) -> np.ndarray:
        """Which distances (M,) are suspicious, bool (M,).

        Args:
            distances: relative distances.
            held_out: they are the reference itself; then each is judged by the others, so that
                an image at the threshold is suspicious as well.
        """
        return distances <= self.distance if held_out else distances < self.distance

    def p_values(self, distances: np.ndarray) -> np.ndarray:
        """(1 + held-out images as close) / (1 + held-out images), for distances (M,)."""
        as_close = np.searchsorted(self.reference, distances, side="right")
        return (1 + as_close) / (1 + len(self.reference))


def calibrate(reference: np.ndarray, share: float) -> Threshold:
    """Sets the threshold by the distances (R,) of held-out real images.

    With fewer than 1 / share - 1 of them the share is the least that they allow, 1 / (R + 1): what
    is closer than all of them.

    Raises:
        GendataError: there are none, or the share is not between 0 and 1.
    """
    if not 0 < share < 1:
        raise GendataError("no such share", found=share, expected="between 0 and 1")
    if not len(reference):
        raise GendataError("no held-out real image to calibrate with", expected="one or more")
    ascending = np.sort(reference)
    rank = max(1, int(share * (len(ascending) + 1) + 1e-9))
    reached = max(share, 1 / (len(ascending) + 1))
    return Threshold(float(ascending[rank - 1]), reached, ascending)


def relative_distances(neighbours: Neighbours) -> np.ndarray:
    """Distance to the nearest over the mean distance to all K given, (M,) in [0, 1].

    It is 0 where all of them are at distance 0.
    """
    distances = neighbours.distances.astype(np.float64)
    means = distances.mean(axis=1)
    return np.divide(distances[:, 0], means, out=np.zeros_like(means), where=means > 0)


def authentic_images(real: np.ndarray, synthetic: np.ndarray) -> np.ndarray:
    """Which synthetic images (M, D) are authentic beside training images (N, D), bool (M,)."""
    return authentic(nearest(synthetic, real, 1), nearest(real, real, 1, exclude_self=True))


def authentic(to_real: Neighbours, between_real: Neighbours) -> np.ndarray:
    """The same from neighbours that are known.

    Args:
        to_real: of the synthetic images among the training images, (M, 1 or more).
        between_real: of the training images among the others, (N, 1 or more).
    """
    return between_real.distances[to_real.rows[:, 0], 0] < to_real.distances[:, 0]


def authentic_left_out(between_real: Neighbours) -> np.ndarray:
    """Which training images are authentic beside all others, bool (N,).

    Args:
        between_real: of the training images among the others, (N, 2 or more): the neighbour's own
            neighbour may be the very image that is left out, and then its second one counts.
    """
    neighbour = between_real.rows[:, 0]
    left_out = between_real.rows[neighbour, 0] == np.arange(len(neighbour))
    own = between_real.distances[neighbour, left_out.astype(int)]
    return own < between_real.distances[:, 0]


def rows_of_same(queries: np.ndarray, keys: np.ndarray) -> np.ndarray:
    """The first key (N,) that equals each query (M,): rows (M,) int64, -1 where there is none."""
    values, first = np.unique(keys, return_index=True)
    places = np.searchsorted(values, queries).clip(max=len(values) - 1)
    return np.where(values[places] == queries, first[places], -1)


def same_elsewhere(digests: np.ndarray, mirrored: np.ndarray) -> np.ndarray:
    """Which images of a set (N,) are also in another row of it, as they are or mirrored."""
    values, places, counts = np.unique(digests, return_inverse=True, return_counts=True)
    return (counts[places] > 1) | ((mirrored != digests) & np.isin(mirrored, values))


def repeated(digests: np.ndarray) -> np.ndarray:
    """Which images of a set (N,) an earlier row of it has already, bool (N,)."""
    flags = np.ones(len(digests), dtype=bool)
    flags[np.unique(digests, return_index=True)[1]] = False
    return flags
