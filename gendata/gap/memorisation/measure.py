"""Whether a clone repeats images that its generator was trained on, and which ones.

    copies           the same pixels as a training image, or as its mirror image
    near duplicates  in small pictures it stands out as close to one training image, more than all
                     but 1% of held-out real images do; copies count as well
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

from typing import Any

import numpy as np

from gendata.errors import GendataError
from gendata.features.extract import Features
from gendata.gap.inputs.comparable import check_comparable
from gendata.gap.measures.memorisation import calibrate
from gendata.gap.measures.shares import ComparedShare, compare_shares, share_of
from gendata.gap.memorisation.closeness import (
    Closeness,
    Thresholds,
    TrainingSet,
    closeness_left_out,
    closeness_to,
    kinds_of,
    suspicious_pairs,
)
from gendata.gap.memorisation.findings import ClassMemorisation, Memorisation
from gendata.gap.memorisation.pixels import Pixels
from gendata.gap.memorisation.repetition import measure_repetition

__all__ = ["SHARE", "measure_memorisation"]

SHARE = 0.01  # of held-out real images that are suspicious as well


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
        train_pixels: pixels of the same training images, by `memorisation.pixels.read_pixels`;
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
    repeats = measure_repetition(
        real_train, synthetic, train_pixels, synthetic_pixels, share=share, seed=seed
    )
    most = suspicious_pairs(train, synthetic.values, synthetic_pixels, found, thresholds, pairs)
    return Memorisation(
        **_shares(found, held_out, thresholds),
        repetition=repeats,
        per_class=_per_class(synthetic, found.authentic, kinds),
        pairs=most,
        kinds=kinds,
        closeness=found,
        thresholds=thresholds,
        held_out="left out" if real_test is None else "test",
        images=(len(real_train), len(synthetic), len(held_out.rows)),
        encoder=synthetic.encoder.to_json(),
        seed=seed,
    )


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


def _shares(found: Closeness, held_out: Closeness, thresholds: Thresholds) -> dict[str, Any]:
    """Each share of the synthetic images beside that of the held-out real ones, by its name."""
    near, copies = _in_pixels(found, held_out, thresholds)
    kinds, real_kinds = kinds_of(found, thresholds), kinds_of(held_out, thresholds, held_out=True)
    alike = thresholds.features.exceeded_by
    return {
        "authenticity": compare_shares(found.authentic, held_out.authentic),
        "copies": copies,
        "near_duplicates": near,
        "look_alikes": compare_shares(
            alike(found.relative), alike(held_out.relative, held_out=True)
        ),
        "suspicious": compare_shares(kinds != "", real_kinds != ""),
    }


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
