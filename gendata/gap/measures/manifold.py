"""Precision, recall, density, coverage, rarity and realism, from one pass over the distances.

A set's manifold is the union of balls, one around each image, that reach to its k-th nearest
image of the same set, itself left out. An image is in a ball if it is strictly nearer than that.

- Precision, recall: Kynkäänniemi et al. 2019, arXiv:1904.06991, eq. 1 and 2.
- Realism: the same, eq. 3, over the balls up to the median radius.
- Density, coverage: Naeem et al. 2020, arXiv:2002.09797, eq. 3 and 4 (k = 5 as released).
- Rarity: Han et al. 2022, arXiv:2206.08549, eq. 3 (k = 3 as released).

Equal images, within a set or between the two, count one by one: an image with k copies in its own
set has a ball of radius 0, which holds nothing, not even a copy. A set against itself has
precision and recall below 1 only through such balls.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from gendata.errors import GendataError
from gendata.gap.measures.ball_pass import BallPass
from gendata.gap.measures.distances import check_same_size, check_vectors, exact_products
from gendata.gap.measures.neighbours import nearest

__all__ = ["DEFINITIONS", "Manifolds", "compare_manifolds"]

DEFINITIONS = {
    "precision": "Share of the synthetic images that look like some real image: they lie within "
    "the real images' neighbourhoods in feature space (Kynkäänniemi et al. 2019).",
    "recall": "Share of the real images that look like something the generator makes: they lie "
    "within the synthetic images' neighbourhoods (Kynkäänniemi et al. 2019).",
    "density": "How many real neighbourhoods a synthetic image lies in, relative to what is usual "
    "among real images; near 1 is right, above 1 means crowding around typical images (Naeem et "
    "al. 2020).",
    "coverage": "Share of the real images that have a synthetic image in their neighbourhood; a "
    "generator that drops content scores low (Naeem et al. 2020).",
    "rarity": "How sparse the real images are around a synthetic one, as a distance in feature "
    "space; larger is rarer. Synthetic images unlike any real one have none (Han et al. 2022).",
    "realism": "How close a synthetic image is to a real one, relative to how close real images "
    "are there; 1 or more is as close as real images. The median is shown (Kynkäänniemi et al. "
    "2019).",
}


@dataclass(frozen=True)
class Manifolds:
    """How N real and M synthetic images lie in each other's manifold, image by image.

    Distances are Euclidean, in the units of the features.

    Attributes:
        nearest_k: k of every ball but those of rarity.
        rarity_k: k of the balls of rarity.
        real_radii: (N,) float32, radius of each real image's ball.
        synthetic_radii: (M,) float32, the same for the synthetic images.
        real_balls: (M,) int64, how many real balls hold each synthetic image.
        synthetic_balls: (N,) int64, how many synthetic balls hold each real image.
        rarity: (M,) float32, radius of the smallest real ball that holds each synthetic image;
            nan where there is none.
        realism: (M,) float32, largest ratio of a real ball's radius to the distance from its
            centre, over the balls up to the median radius; 1 or more inside one of them, inf at
            a centre.
        nearest_synthetic: (N,) int64, row of the synthetic image nearest to each real one.
        nearest_synthetic_distance: (N,) float32.
        nearest_real: (M,) int64, row of the real image nearest to each synthetic one.
        nearest_real_distance: (M,) float32.
    """

    nearest_k: int
    rarity_k: int
    real_radii: np.ndarray
    synthetic_radii: np.ndarray
    real_balls: np.ndarray
    synthetic_balls: np.ndarray
    rarity: np.ndarray
    realism: np.ndarray
    nearest_synthetic: np.ndarray
    nearest_synthetic_distance: np.ndarray
    nearest_real: np.ndarray
    nearest_real_distance: np.ndarray

    @property
    def covered(self) -> np.ndarray:
        """Whether each real image has a synthetic one strictly inside its ball, (N,) bool."""
        return self.nearest_synthetic_distance < self.real_radii

    @property
    def precision(self) -> float:
        """Share of the synthetic images in some real ball, between 0 and 1."""
        return float(np.mean(self.real_balls > 0))

    @property
    def recall(self) -> float:
        """Share of the real images in some synthetic ball, between 0 and 1."""
        return float(np.mean(self.synthetic_balls > 0))

    @property
    def density(self) -> float:
        """Mean number of real balls around a synthetic image, by k; can exceed 1."""
        return float(np.mean(self.real_balls) / self.nearest_k)

    @property
    def coverage(self) -> float:
        """Share of the real images with a synthetic one in their ball, between 0 and 1."""
        return float(np.mean(self.covered))


def compare_manifolds(
    real: np.ndarray,
    synthetic: np.ndarray,
    nearest_k: int = 5,
    *,
    rarity_k: int = 3,
    device: torch.device | str = "cpu",
    tile: int | None = None,
) -> Manifolds:
    """Places each image of two sets in the other's manifold.

    Each product of two features is made once, in tiles. Results do not depend on the tiles, on
    the device or, rows aside, on the order of the images.

    Args:
        real: (N, D) finite; computed with in float32.
        synthetic: (M, D) finite.
        nearest_k: which neighbour a ball reaches to; 1 <= k < N, M.
        rarity_k: the same for the balls of rarity.
        device: where products are made.
        tile: side of the tiles, for tests.

    Raises:
        GendataError: features are unusable or all equal, or there are too few images.
    """
    if min(nearest_k, rarity_k) < 1:
        raise GendataError("a number of neighbours is below 1", found=min(nearest_k, rarity_k))
    most = max(nearest_k, rarity_k)
    real, synthetic = _usable(real, "real", most), _usable(synthetic, "synthetic", nearest_k)
    check_same_size(real, synthetic)
    ours, theirs = (
        nearest(values, values, count, exclude_self=True, device=device, tile=tile).distances
        for values, count in ((real, most), (synthetic, nearest_k))
    )
    real_radii, synthetic_radii = ours[:, nearest_k - 1], theirs[:, nearest_k - 1]
    with exact_products():
        found = BallPass(
            real, synthetic, real_radii, synthetic_radii, ours[:, rarity_k - 1], device
        ).run(tile)
    return Manifolds(nearest_k, rarity_k, real_radii.copy(), synthetic_radii.copy(), **found)


def _usable(values: np.ndarray, name: str, count: int) -> np.ndarray:
    values = check_vectors(values, name)
    if len(values) <= count:
        raise GendataError(
            f"the {name} set has too few images for balls up to neighbour {count}",
            found=f"{len(values)} images",
            expected=f"at least {count + 1}",
            do="take more images, or a smaller k",
        )
    if (values == values[0]).all():
        raise GendataError(
            f"all features of the {name} set are equal",
            found=f"{len(values)} equal vectors",
            do="look at the images, and at the encoder",
        )
    return values
