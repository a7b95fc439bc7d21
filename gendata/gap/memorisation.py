"""Whether a clone repeats images that its generator was trained on, and which ones.

    copies           the same pixels as a training image, or as its mirror image
    near duplicates  in small pictures it stands out as close to one training image, more than all
                     but 1 % of held-out real images do; copies count as well
    look-alikes      the same in the encoder's features; the pixels may well differ
    suspicious       any of the three
    authenticity     share of the clone's images that are farther from their nearest training
                     image than that one is from its own nearest other training image

Each share stands beside that of held-out real images, and only what is in excess of it speaks of
memorisation: a new image, too, is close to a training image by chance now and then. Held out are
the real test images or, without any, every training image in turn, beside all the others.

The measures are those of `gendata.gap.measures.memorisation` and `thumbnails`. All rows are places
among the features.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from gendata.errors import GendataError
from gendata.features.extract import Features
from gendata.gap import repetition
from gendata.gap.closeness import (
    Closeness,
    Pair,
    Thresholds,
    TrainingSet,
    closeness_left_out,
    closeness_to,
    kinds_of,
    suspicious_pairs,
)
from gendata.gap.comparable import check_comparable
from gendata.gap.measures.intervals import Estimate
from gendata.gap.measures.memorisation import calibrate
from gendata.gap.measures.shares import ComparedShare, compare_shares, share_of
from gendata.gap.pixels import Pixels
from gendata.gap.repetition import Repetition, measure_repetition

__all__ = [
    "DEFINITIONS",
    "SHARE",
    "ClassMemorisation",
    "Memorisation",
    "measure_memorisation",
    "memorisation_sentence",
]

SHARE = 0.01  # of held-out real images that are suspicious as well

DEFINITIONS = {
    "authenticity": "Share of synthetic images that are farther from their nearest training image "
    "than this is from its own nearest training image (Alaa et al. 2022, 'How Faithful is your "
    "Synthetic Data?'). Compare it with the share of held-out real images, which is far below "
    "100 %; only a lower one is a sign of copying.",
    "copies": "Share of synthetic images whose pixels are all those of a training image, or of "
    "its mirror image.",
    "near_duplicates": "Share of synthetic images that, as small pictures of normalised contrast, "
    "stand out as close to a single training image or its mirror image, compared with the fifty "
    "training images around (Carlini et al. 2023, 'Extracting Training Data from Diffusion "
    "Models'): more than all but 1 % of held-out real images do.",
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


def measure_memorisation(
    real_train: Features,
    synthetic: Features,
    real_test: Features | None = None,
    *,
    train_pixels: Pixels | None = None,
    synthetic_pixels: Pixels | None = None,
    test_pixels: Pixels | None = None,
    share: float = SHARE,
    pairs: int = 24,
    seed: int = 0,
) -> Memorisation:
    """Looks for training images in a clone.

    Args:
        real_train: features of the images that the generator was trained on; of others, nothing
            that is found says anything about memorisation.
        synthetic: features of the clone.
        real_test: features of real images that it was not trained on; None: every training image
            is compared with the others instead.
        train_pixels: pixels of the same training images, by `gendata.gap.pixels.read_pixels`;
            without them only features are compared, and no copy can be told from a look-alike.
        synthetic_pixels: of the same synthetic images.
        test_pixels: of the same test images.
        share: of new real images that may be called near duplicates, and look-alikes, each.
        pairs: how many suspicious pairs to name.
        seed: which images are compared with each other where one set has more of a class.

    Raises:
        GendataError: encoders, classes or counts do not fit together, features are not finite, or
            there are too few images.
    """
    held_out_sets = [] if real_test is None else [(real_test, test_pixels)]
    sets = [(real_train, train_pixels), (synthetic, synthetic_pixels), *held_out_sets]
    _check(sets)
    train = TrainingSet.of(real_train.values, train_pixels)
    found = closeness_to(train, synthetic.values, synthetic_pixels)
    if real_test is None:
        held_out = closeness_left_out(train)
    else:
        held_out = closeness_to(train, real_test.values, test_pixels)
    thresholds = _thresholds(held_out, share)
    kinds = kinds_of(found, thresholds)
    real_kinds = kinds_of(held_out, thresholds, held_out=True)
    near, copies = _in_pixels(found, held_out, thresholds)
    closest = thresholds.features.exceeded_by
    repeats = measure_repetition(
        real_train, synthetic, train_pixels, synthetic_pixels, share=share, seed=seed
    )
    return Memorisation(
        authenticity=compare_shares(found.authentic, held_out.authentic),
        copies=copies,
        near_duplicates=near,
        look_alikes=compare_shares(
            closest(found.relative), closest(held_out.relative, held_out=True)
        ),
        suspicious=compare_shares(kinds != "", real_kinds != ""),
        repetition=repeats,
        per_class=_per_class(synthetic, found.authentic, kinds),
        pairs=suspicious_pairs(
            train, synthetic.values, synthetic_pixels, found, thresholds, pairs
        ),
        kinds=kinds,
        closeness=found,
        thresholds=thresholds,
        held_out="left out" if real_test is None else "test",
        images=(len(real_train), len(synthetic), len(held_out.rows)),
        encoder=synthetic.encoder.to_json(),
        seed=seed,
    )


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


def _check(sets: list[tuple[Features, Pixels | None]]) -> None:
    (first, first_pixels), *others = sets
    for features, pixels in sets:
        if (pixels is None) != (first_pixels is None):
            raise GendataError(
                "pixels of some sets only",
                expected="of all sets or of none",
                do="read those of the others with read_pixels",
            )
        if pixels is not None and len(pixels) != len(features):
            raise GendataError(
                f"the pixels of '{features.name}' are not those of its features",
                found=f"pixels of {len(pixels)} images",
                expected=f"{len(features)}",
                do="read them with the rows of the features",
            )
    for features, _ in others:
        check_comparable(first, features)


def _thresholds(held_out: Closeness, share: float) -> Thresholds:
    pixels = None if held_out.pixels is None else calibrate(held_out.pixels.relative, share)
    return Thresholds(calibrate(held_out.relative, share), pixels)


def _in_pixels(
    found: Closeness, held_out: Closeness, thresholds: Thresholds
) -> tuple[ComparedShare | None, ComparedShare | None]:
    """Near duplicates, with the copies among them, and copies."""
    ours, theirs, threshold = found.pixels, held_out.pixels, thresholds.pixels
    if ours is None or theirs is None or threshold is None:
        return None, None
    near = ours.copies | threshold.exceeded_by(ours.relative)
    near_held_out = theirs.copies | threshold.exceeded_by(theirs.relative, held_out=True)
    return compare_shares(near, near_held_out), compare_shares(ours.copies, theirs.copies)


def _per_class(
    synthetic: Features, authentic: np.ndarray, kinds: np.ndarray
) -> tuple[ClassMemorisation, ...]:
    members = [synthetic.labels == label for label in range(len(synthetic.classes))]
    return tuple(
        ClassMemorisation(
            name=name,
            images=int(of_class.sum()),
            authenticity=share_of(authentic[of_class]),
            suspicious=share_of(kinds[of_class] != ""),
        )
        for name, of_class in zip(synthetic.classes, members, strict=True)
        if of_class.any()
    )


def _json_or_none(compared: ComparedShare | None) -> dict[str, Any] | None:
    return None if compared is None else compared.to_json()
