"""What was measured in an encoder's features, and what each figure means."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gendata.features.extract import EncoderCard
from gendata.gap.measures import frechet, kernel_distance, manifold
from gendata.gap.measures.intervals import Estimate
from gendata.gap.measures.manifold import Manifolds

__all__ = ["DEFINITIONS", "FIGURES", "Fidelity", "Figures"]

FIGURES = (
    "frechet",
    "frechet_corrected",
    "kernel",
    "precision",
    "recall",
    "density",
    "coverage",
    "rarity",
    "realism",
)


DEFINITIONS = frechet.DEFINITIONS | kernel_distance.DEFINITIONS | manifold.DEFINITIONS


@dataclass(frozen=True)
class Figures:
    """What was measured on some real and some synthetic images.

    Attributes:
        name: of the class; empty for all images.
        real: how many real images.
        synthetic: how many synthetic ones.
        estimates: by a name of FIGURES; those that could not be measured are not in it.
        frechet_bias: how much of the Fréchet distance is owed to few images; None where unknown.
        absent: by a name of FIGURES, why it could not be measured.
        warnings: by a name of FIGURES, why it is not to be trusted.
    """

    name: str
    real: int
    synthetic: int
    estimates: Mapping[str, Estimate]
    frechet_bias: float | None
    absent: Mapping[str, str]
    warnings: Mapping[str, Sequence[str]]

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "real": self.real,
            "synthetic": self.synthetic,
            "figures": {name: each.to_json() for name, each in self.estimates.items()},
            "frechet_bias": self.frechet_bias,
            "absent": dict(self.absent),
            "warnings": {name: list(each) for name, each in self.warnings.items()},
        }


@dataclass(frozen=True)
class Fidelity:
    """What `measure_fidelity` found.

    Attributes:
        overall: figures of all images, whatever their class.
        per_class: by class name, in label order; empty where there is but one class.
        manifolds: where each image lies in the other set's manifold, for what builds on it.
        nearest_k: k of precision, recall, density, coverage and realism.
        rarity_k: k of the rarity score.
        seed: of resampling.
        encoder: what computed the features, and how images were resized for it.
        version: of gendata.
    """

    overall: Figures
    per_class: Mapping[str, Figures]
    manifolds: Manifolds
    nearest_k: int
    rarity_k: int
    seed: int
    encoder: EncoderCard
    version: str

    def to_json(self) -> dict[str, Any]:
        """Plain values; figures of single images are left out."""
        return {
            "overall": self.overall.to_json(),
            "per_class": {name: each.to_json() for name, each in self.per_class.items()},
            "nearest_k": self.nearest_k,
            "rarity_k": self.rarity_k,
            "seed": self.seed,
            "encoder": self.encoder.to_json(),
            "version": self.version,
        }
