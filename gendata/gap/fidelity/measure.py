"""How near a clone comes to real images in an encoder's features, as a whole and class by class.

The figures are those of `measures.frechet`, `measures.kernel_distance` and `measures.manifold`;
`DEFINITIONS` says what each means. Their 95% intervals hold for other images drawn like these:

- precision, density, rarity, realism: bootstrap over the synthetic images, real ones fixed;
- recall, coverage: bootstrap over the real images, synthetic ones fixed;
- Fréchet distance, kernel distance: both sets vary.

A class is measured by itself: its synthetic images against its real ones. So an image of the
wrong class counts as one that is unlike the real ones. What too few images cannot tell is left out
with the reason.

Precision, recall, density and coverage depend on how many images there are: compare two clones at
one number of images, under one encoder and one k.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch

import gendata
from gendata.errors import GendataError
from gendata.features.extract import Features
from gendata.gap.fidelity.findings import FIGURES, Fidelity, Figures
from gendata.gap.inputs.comparable import check_comparable
from gendata.gap.measures import frechet, kernel_distance
from gendata.gap.measures.intervals import Estimate, bootstrap, bootstrap_mean
from gendata.gap.measures.manifold import Manifolds, compare_manifolds
from gendata.gap.measures.shares import share_of

__all__ = ["FEWEST", "measure_fidelity"]


FEWEST = 50  # images of a class, real and synthetic, below which nothing is said about it
CLASS_BLOCKS = 5  # parts that the jackknife of a class's Fréchet distance leaves out in turn


def measure_fidelity(
    real: Features,
    synthetic: Features,
    *,
    nearest_k: int = 5,
    rarity_k: int = 3,
    seed: int = 0,
    device: torch.device | str = "cpu",
) -> Fidelity:
    """Measures a clone against real images.

    Args:
        real: features of real images, best of ones that the generator was not trained on.
        synthetic: features of the clone, of the same encoder and with the same classes.
        nearest_k: how many neighbours a ball of the manifolds reaches to.
        rarity_k: the same for the rarity score.
        seed: of resampling.
        device: where products of matrices are made.

    Raises:
        GendataError: encoders or classes differ, features are unusable or all equal, or there are
            too few images for balls of so many neighbours.
    """
    check_comparable(real, synthetic)
    manifolds = compare_manifolds(
        real.values, synthetic.values, nearest_k, rarity_k=rarity_k, device=device
    )
    overall = _overall(real, synthetic, manifolds, seed)
    per_class = {}
    for label, name in enumerate(real.classes if len(real.classes) > 1 else []):
        one, other = (each.values[each.labels == label] for each in (real, synthetic))
        per_class[name] = _of_class(name, one, other, (nearest_k, rarity_k), seed, device)
    return Fidelity(
        overall,
        per_class,
        manifolds,
        nearest_k,
        rarity_k,
        seed,
        real.encoder,
        gendata.__version__,
    )


class _Collected:
    """Figures as they come in, and why others do not."""

    def __init__(self) -> None:
        self.estimates: dict[str, Estimate] = {}
        self.absent: dict[str, str] = {}
        self.warnings: dict[str, Sequence[str]] = {}
        self.bias: float | None = None

    def take(self, name: str, measure: Callable[[], Estimate]) -> None:
        """Measures one figure; where that fails, the reason is kept."""
        try:
            self.estimates[name] = measure()
        except GendataError as error:
            self.absent[name] = str(error)

    def take_frechet(self, found: frechet.Frechet) -> None:
        """Keeps the distance with what is known of its bias."""
        self.estimates["frechet"] = found.distance
        if found.warnings:
            self.warnings["frechet"] = found.warnings
        if np.isfinite(found.bias):
            self.bias, self.estimates["frechet_corrected"] = found.bias, found.corrected
        else:
            self.absent["frechet_corrected"] = found.warnings[0]

    def take_manifolds(self, manifolds: Manifolds, seed: int) -> None:
        """Keeps what follows from where the images lie in each other's manifold."""
        density = bootstrap_mean(manifolds.real_balls / manifolds.nearest_k, seed=seed)
        self.estimates |= {
            "precision": _share(manifolds.real_balls > 0, seed),
            "recall": _share(manifolds.synthetic_balls > 0, seed),
            "density": density,
            "coverage": _share(manifolds.covered, seed),
            # The mean would be infinite as soon as one image copies a real one.
            "realism": bootstrap(manifolds.realism, np.median, seed=seed),
        }
        self.take("rarity", lambda: _rarity(manifolds, seed))

    def figures(self, name: str, real: int, synthetic: int) -> Figures:
        """All of it, in the order of FIGURES."""
        ordered = {key: self.estimates[key] for key in FIGURES if key in self.estimates}
        return Figures(name, real, synthetic, ordered, self.bias, self.absent, self.warnings)


def _overall(real: Features, synthetic: Features, manifolds: Manifolds, seed: int) -> Figures:
    collected = _Collected()
    collected.take_frechet(frechet.measure_frechet(real.values, synthetic.values, seed=seed))
    collected.take("kernel", lambda: _kernel(real.values, synthetic.values, seed))
    collected.take_manifolds(manifolds, seed)
    return collected.figures("", len(real), len(synthetic))


def _of_class(
    name: str,
    real: np.ndarray,
    synthetic: np.ndarray,
    ks: tuple[int, int],
    seed: int,
    device: torch.device | str,
) -> Figures:
    collected = _Collected()
    smaller, dimensions = min(len(real), len(synthetic)), real.shape[1]
    if smaller < max(FEWEST, *ks):
        reason = (
            f"{len(real)} real and {len(synthetic)} synthetic images are too few; "
            f"{max(FEWEST, *ks)} of each are needed"
        )
        collected.absent = dict.fromkeys(FIGURES, reason)
        return collected.figures(name, len(real), len(synthetic))
    try:
        manifolds = compare_manifolds(real, synthetic, ks[0], rarity_k=ks[1], device=device)
    except GendataError as error:
        collected.absent = dict.fromkeys(FIGURES, str(error))
        return collected.figures(name, len(real), len(synthetic))
    if smaller > dimensions:
        collected.take_frechet(
            frechet.measure_frechet(real, synthetic, seed=seed, blocks=CLASS_BLOCKS)
        )
    else:
        reason = (
            f"{smaller} images are too few for features of {dimensions} dimensions, whose "
            f"covariance they cannot tell; more than {dimensions} are needed"
        )
        collected.absent |= dict.fromkeys(("frechet", "frechet_corrected"), reason)
    collected.take("kernel", lambda: _kernel(real, synthetic, seed))
    collected.take_manifolds(manifolds, seed)
    return collected.figures(name, len(real), len(synthetic))


def _kernel(real: np.ndarray, synthetic: np.ndarray, seed: int) -> Estimate:
    return kernel_distance.measure_kernel_distance(real, synthetic, seed=seed)


def _rarity(manifolds: Manifolds, seed: int) -> Estimate:
    if np.isnan(manifolds.rarity).all():
        raise GendataError("no synthetic image lies in the neighbourhood of a real one")
    return bootstrap_mean(manifolds.rarity, seed=seed)


def _share(flags: np.ndarray, seed: int) -> Estimate:
    """A bootstrap interval, except of 0 and 1, where resampling would claim certainty."""
    if flags.all() or not flags.any():
        return share_of(flags)
    return bootstrap_mean(flags, seed=seed)
