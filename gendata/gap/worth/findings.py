"""What synthetic images were found to be worth, what each figure means, and how it is said."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gendata.gap.measures.exchange import Equivalent, Exchange

__all__ = ["DEFINITIONS", "LearningCurve", "Worth", "worth_sentence"]

DEFINITIONS = {
    "worth": "How many real training images would make a classifier as accurate on real test "
    "images as these synthetic ones do. Both are read off curves of accuracy against the number "
    "of training images, fitted as a falling power of it (Mikami et al. 2021).",
    "rate": "The worth divided by the number of synthetic images: real images that one synthetic "
    "image replaces at this size. It usually falls as more are drawn.",
    "doubling": "What the worth is multiplied by when twice as many synthetic images are drawn: "
    "2 if the new ones are worth as much as the first, 1 if they add nothing, less if they do "
    "harm.",
    "gain": "How much accuracy on real images twice (or four times) as many training images are "
    "predicted to add, if the curve goes on as measured.",
}


@dataclass(frozen=True)
class LearningCurve:
    """Accuracy on the test images against the number of training images.

    Attributes:
        sizes: (L,) training images a class.
        accuracy: (S, L) between 0 and 1.
    """

    sizes: np.ndarray
    accuracy: np.ndarray

    def to_json(self) -> dict[str, Any]:
        """Plain lists; runs are [seed][size]."""
        return {
            "images_per_class": self.sizes.tolist(),
            "mean": self.accuracy.mean(axis=0).tolist(),
            "runs": self.accuracy.tolist(),
        }


@dataclass(frozen=True)
class Worth:
    """What the synthetic images are worth on this task; numbers of images are images a class.

    Attributes:
        exchange: worth and rate at each size, what doubling brings, predictions.
        real: the learning curve of real images.
        synthetic: that of the synthetic ones.
        classes: how many.
        seeds: of the trainings.
        test_images: real images that judged.
        test_held_out: whether they were taken from the real set, for want of a test set.
        test_seen: test images left out because a training set holds the very same image.
        trainings: how many were needed, of all sources together.
        steps: updates that each of them made.
        settings: of the trainings: network, size, batch_size, and all that was given.
        undertrained: whether the classifiers of the most real images make nearly as many errors on
            these as on the test images: then more steps would help, and both curves look flatter
            than they are.
    """

    exchange: Exchange
    real: LearningCurve
    synthetic: LearningCurve
    classes: int
    seeds: Sequence[int]
    test_images: int
    test_held_out: bool
    test_seen: int
    trainings: int
    steps: int
    settings: Mapping[str, Any]
    undertrained: bool = False

    def to_json(self) -> dict[str, Any]:
        """Plain values; nan becomes null."""
        names = "classes test_images test_held_out test_seen trainings steps undertrained".split()
        return {
            "exchange": self.exchange.to_json(),
            "real": self.real.to_json(),
            "synthetic": self.synthetic.to_json(),
            **{name: getattr(self, name) for name in names},
            "seeds": list(self.seeds),
            "settings": json.loads(json.dumps(dict(self.settings), default=str)),
        }


def worth_sentence(equivalent: Equivalent) -> str:
    """Says what a number of synthetic images is worth, in one sentence for people."""
    smallest, largest = _count(equivalent.smallest), _count(equivalent.largest)
    subject = f"{_count(equivalent.synthetic)} synthetic images a class"
    if equivalent.undetermined:
        return (
            f"What {subject} are worth cannot be told from these trainings: anything from fewer "
            f"than {smallest} to more than {largest} real ones fits"
        )
    low = f"fewer than {smallest}" if equivalent.open_below else _count(equivalent.real.low)
    high = f"more than {largest}" if equivalent.open_above else _count(equivalent.real.high)
    rate = f"{equivalent.rate.value:.2g}"
    if equivalent.bound == "at least":
        worth, each = f"{largest} real ones or more (at the least {low})", f"{rate} each or more"
    elif equivalent.bound == "fewer than":
        worth = f"fewer than {smallest} real ones (at the most {high})"
        each = f"less than {rate} each"
    else:
        worth = f"about {_count(equivalent.real.value)} ({low} to {high}) real ones"
        each = f"{rate} each"
    return f"{subject} are worth {worth}: {each}"


def _count(images: float) -> str:
    """A number of images to two digits: 31, 1,200, 4.5."""
    if images < 10:
        return f"{images:.2g}"
    return f"{round(images, 1 - math.floor(math.log10(images))):,.0f}"
