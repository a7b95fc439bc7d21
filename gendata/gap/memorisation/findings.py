"""What was found of repeated training images, what each figure means, and how it is said."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from gendata.gap.measures.intervals import Estimate
from gendata.gap.measures.shares import ComparedShare
from gendata.gap.memorisation import repetition
from gendata.gap.memorisation.closeness import Closeness, Pair, Thresholds
from gendata.gap.memorisation.repetition import Repetition

__all__ = ["DEFINITIONS", "ClassMemorisation", "Memorisation", "memorisation_sentence"]

DEFINITIONS = {
    "authenticity": "Share of synthetic images that are farther from their nearest training image "
    "than this is from its own nearest training image (Alaa et al. 2022, 'How Faithful is your "
    "Synthetic Data?'). Compare it with the share of held-out real images, which is far below "
    "100%; only a lower one is a sign of copying.",
    "copies": "Share of synthetic images whose pixels are all those of a training image, or of "
    "its mirror image.",
    "near_duplicates": "Share of synthetic images that, as small pictures of normalised contrast, "
    "stand out as close to a single training image or its mirror image, compared with the fifty "
    "training images around (Carlini et al. 2023, 'Extracting Training Data from Diffusion "
    "Models'): more than all but 1% of held-out real images do.",
    "look_alikes": "The same in the encoder's features instead of pixels. A look-alike may be a "
    "shifted or recoloured copy, or another picture of the same content: look at it.",
    "suspicious": "Share of synthetic images that are a copy, a near duplicate or a look-alike. "
    "Some held-out real images are, too; what is in excess of them speaks of memorisation.",
    **repetition.DEFINITIONS,
}


@dataclass(frozen=True)
class ClassMemorisation:
    """One class of a clone.

    Attributes:
        name: of the class.
        images: how many of it the clone has.
        authenticity: share of them that are authentic.
        suspicious: share of them that are suspicious.
    """

    name: str
    images: int
    authenticity: Estimate
    suspicious: Estimate

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "name": self.name,
            "images": self.images,
            "authenticity": self.authenticity.to_json(),
            "suspicious": self.suspicious.to_json(),
        }


@dataclass(frozen=True)
class Memorisation:
    """What `measure_memorisation` found; each share beside that of held-out real images.

    Attributes:
        authenticity: share of authentic images.
        copies: share with the same pixels as a training image; None without pixels.
        near_duplicates: share that are near duplicates or copies; None without pixels.
        look_alikes: share that are closest in features, whatever their pixels.
        suspicious: share that are any of these.
        repetition: how much the clone repeats itself.
        per_class: one entry for each class that the clone has images of, in label order.
        pairs: the most suspicious pairs first.
        kinds: (M,) text, what each synthetic image is suspected to be, or "".
        closeness: of each synthetic image to the training images.
        thresholds: how close is suspicious.
        held_out: "test" or "left out", which real images calibrate.
        images: (training, synthetic, held out) how many there are.
        encoder: the encoder's card, as plain data.
        seed: of the choice of images to compare with each other.
    """

    authenticity: ComparedShare
    copies: ComparedShare | None
    near_duplicates: ComparedShare | None
    look_alikes: ComparedShare
    suspicious: ComparedShare
    repetition: Repetition
    per_class: tuple[ClassMemorisation, ...]
    pairs: tuple[Pair, ...]
    kinds: np.ndarray
    closeness: Closeness
    thresholds: Thresholds
    held_out: str
    images: tuple[int, int, int]
    encoder: dict[str, Any]
    seed: int

    def to_json(self) -> dict[str, Any]:
        """Plain values; what was not measured becomes null."""
        shares = ("authenticity", "copies", "near_duplicates", "look_alikes", "suspicious")
        pixels = self.thresholds.pixels
        return {
            **{name: _json_or_none(getattr(self, name)) for name in shares},
            "repetition": self.repetition.to_json(),
            "per_class": [each.to_json() for each in self.per_class],
            "pairs": [pair.to_json() for pair in self.pairs],
            "threshold": {
                "share": self.thresholds.features.share,
                "features": self.thresholds.features.distance,
                "pixels": None if pixels is None else pixels.distance,
                "held_out": self.held_out,
            },
            "images": dict(zip(("training", "synthetic", "held_out"), self.images, strict=True)),
            "encoder": self.encoder,
            "seed": self.seed,
        }


def memorisation_sentence(found: Memorisation) -> str:
    """Says what was found, no stronger than the numbers are."""
    training, synthetic, held_out = found.images
    if found.copies is not None and found.copies.share.value > 0:
        return (
            f"{found.copies.share.value:.1%} of the synthetic images are copies, pixel for pixel, "
            f"of one of the {training:,} training images ({_beside(found.copies)})."
        )
    if found.near_duplicates is not None and found.near_duplicates.is_more:
        return (
            f"{found.near_duplicates.share.value:.1%} of the synthetic images are near duplicates "
            f"of a training image ({_beside(found.near_duplicates)}): the generator has memorised "
            "some of them."
        )
    if found.look_alikes.is_more:
        pixels = "" if found.copies is None else ", yet not in their pixels"
        return (
            f"{found.look_alikes.share.value:.1%} of the synthetic images look like one training "
            f"image to the encoder{pixels} ({_beside(found.look_alikes)}): look at the pairs."
        )
    return (
        f"No sign that training images are repeated: of {synthetic:,} synthetic images "
        f"{found.suspicious.share.value:.1%} are suspiciously close to one, of {held_out:,} "
        f"held-out real images {found.suspicious.reference.value:.1%}."
    )


def _beside(compared: ComparedShare) -> str:
    return f"of held-out real images {compared.reference.value:.1%} are"


def _json_or_none(compared: ComparedShare | None) -> dict[str, Any] | None:
    return None if compared is None else compared.to_json()
