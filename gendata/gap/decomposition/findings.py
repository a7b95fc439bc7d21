"""The three parts of the gap, as they were found, and what each means."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from gendata.gap.measures import appearance, content, quality
from gendata.gap.measures.appearance import Appearance
from gendata.gap.measures.content import Content
from gendata.gap.measures.intervals import Estimate
from gendata.gap.measures.look import Look
from gendata.gap.measures.quality import Quality

__all__ = ["DEFINITIONS", "Decomposition", "Parts"]

DEFINITIONS: dict[str, str] = {
    **appearance.DEFINITIONS,
    **quality.DEFINITIONS,
    **content.DEFINITIONS,
    "loss asymmetry": "How much more real images surprise classifiers trained on the synthetic "
    "ones than the other way round, from the cross-source losses (Wang et al. 2024, section 3.2): "
    "positive where the synthetic images show a part of the real content only, negative where "
    "they are broken rather than poor.",
}


@dataclass(frozen=True)
class Parts:
    """The three parts of one comparison, each with what it is made of."""

    appearance: Appearance
    quality: Quality
    content: Content

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return {name: part.to_json() for name, part in vars(self).items()}


@dataclass(frozen=True)
class Decomposition:
    """The three parts of the gap and all that decided them.

    Attributes:
        parts: the three, each with what it is made of.
        floor: the same between two random halves of the real images.
        look: what the real images were changed by; None where no encoder was given, and features
            were compared as they were.
        loss_asymmetry: of the cross-source losses, -1 to 1, mean over seeds; nan without losses.
        real_images: how many were looked at.
        synthetic_images: likewise.
        encoder: what computed the features.
        seed: of choice, folds, noise and bootstrap.
        version: of gendata.
    """

    parts: Parts
    floor: Parts
    look: Look | None
    loss_asymmetry: float
    real_images: int
    synthetic_images: int
    encoder: dict[str, Any] = field(default_factory=dict)
    seed: int = 0
    version: str = ""

    @property
    def appearance(self) -> Estimate:
        """Between 0 and 1."""
        return self.parts.appearance.gap

    @property
    def quality(self) -> Estimate:
        """Between 0 and 1."""
        return self.parts.quality.gap

    @property
    def content(self) -> Estimate:
        """Between 0 and 1."""
        return self.parts.content.gap

    def to_json(self) -> dict[str, Any]:
        """Plain data; an asymmetry without losses is null."""
        known = np.isfinite(self.loss_asymmetry)
        return {
            **self.parts.to_json(),
            "floor": {name: part.gap.to_json() for name, part in vars(self.floor).items()},
            "look": None if self.look is None else self.look.to_json(),
            "loss_asymmetry": self.loss_asymmetry if known else None,
            "real_images": self.real_images,
            "synthetic_images": self.synthetic_images,
            "encoder": self.encoder,
            "seed": self.seed,
            "version": self.version,
        }
