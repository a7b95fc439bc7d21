"""What classifiers of one source found in the images of another, and how it is written down."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gendata.gap.cross_source.losses import EDGES, LossSpread, asymmetry, mean_and_std

__all__ = ["CURVES", "DEFINITIONS", "ClassExtremes", "CrossFindings", "CrossLosses", "Ends"]

CURVES = ("train_accuracy", "held_out_accuracy", "train_loss", "held_out_loss")

DEFINITIONS = {
    "gap": "The share of the clone's images that classifiers trained on the real ones get right, "
    "less the share of the real images that classifiers trained on the clone get right. Large "
    "and positive: the clone is easy from the real side, but the real images are hard from the "
    "clone's, so it covers only a part of them (Wang et al. 2024, section 3.2).",
    "loss": "Cross-entropy of one image, in nats: minus the logarithm of the probability that "
    "the classifier gives to the image's own label. 0.01 is a probability of 99%, 1 one of 37%.",
    "below_0.01": "Share of the images with a loss below 0.01. To a classifier trained on the "
    "other source, they are no news.",
    "above_1": "Share of the images with a loss above 1. To a classifier trained on the other "
    "source, they hold something it never saw.",
    "asymmetry": "How much more the real images surprise the clone's classifiers than the other "
    "way round: the mean of two differences, of the shares above 1 (real less clone) and of the "
    "shares below 0.01 (clone less real). Between -1 and 1; positive where the clone lacks "
    "something, near 0 where neither does or both do.",
}


@dataclass(frozen=True)
class Ends:
    """Some images of one class at one end of the losses.

    Attributes:
        rows: (n,) int64 places in the source.
        losses: (n,) mean loss over seeds.
        images: n of uint8 (3, H, W); empty for a class that the report does not show.
    """

    rows: np.ndarray
    losses: np.ndarray
    images: Sequence[np.ndarray]

    def to_json(self) -> list[dict[str, Any]]:
        """One entry an image."""
        pairs = zip(self.rows, self.losses, strict=True)
        return [{"row": int(row), "loss": float(loss)} for row, loss in pairs]


@dataclass(frozen=True)
class ClassExtremes:
    """The lowest- and highest-loss images of one class."""

    lowest: Ends
    highest: Ends

    @property
    def shown(self) -> bool:
        """Whether the report shows this class."""
        return bool(len(self.lowest.images))

    def to_json(self) -> dict[str, Any]:
        """Both ends."""
        return {"lowest": self.lowest.to_json(), "highest": self.highest.to_json()}


@dataclass(frozen=True)
class CrossLosses:
    """One source's images under the classifiers trained on the other source.

    Attributes:
        spread: histogram and shares of all images.
        by_class: the same of each class's images, in label order.
        extremes: one entry a class, in label order.
        mean: (N,) loss of each compared image, mean over seeds.
    """

    spread: LossSpread
    by_class: Sequence[LossSpread]
    extremes: Sequence[ClassExtremes]
    mean: np.ndarray


@dataclass(frozen=True)
class CrossFindings:
    """What the classifiers of all sources and seeds found.

    Attributes:
        seeds: one classifier a source for each.
        trained_on: names of the sources, the real one first.
        tested_on: the same, then the test set where there is one.
        accuracy: (S, trained on, tested on) between 0 and 1.
        curves: by source, then by a name of CURVES: (S, epochs).
        clone_under_real: by clone, its images under the classifiers trained on the real set.
        real_under_clone: by clone, the real images under the classifiers trained on it.
    """

    seeds: Sequence[int]
    trained_on: Sequence[str]
    tested_on: Sequence[str]
    accuracy: np.ndarray
    curves: Mapping[str, Mapping[str, np.ndarray]]
    clone_under_real: Mapping[str, CrossLosses]
    real_under_clone: Mapping[str, CrossLosses]

    def runs(self, trained_on: str, tested_on: str) -> np.ndarray:
        """Accuracy of each seed (S,) in one entry of the matrix, between 0 and 1."""
        row, column = list(self.trained_on).index(trained_on), self.tested_on.index(tested_on)
        return self.accuracy[:, row, column]

    def gap(self, clone: str) -> np.ndarray:
        """The gap of a clone for each seed (S,): accuracy from real to clone less the reverse."""
        real = self.trained_on[0]
        return self.runs(real, clone) - self.runs(clone, real)

    def asymmetry(self, clone: str) -> np.ndarray:
        """Asymmetry of a clone for each seed (S,), between -1 and 1."""
        return asymmetry(self.clone_under_real[clone].spread, self.real_under_clone[clone].spread)

    def class_asymmetry(self, clone: str) -> np.ndarray:
        """Asymmetry of each class (S, K), in label order."""
        pairs = zip(
            self.clone_under_real[clone].by_class,
            self.real_under_clone[clone].by_class,
            strict=True,
        )
        return np.stack([asymmetry(*pair) for pair in pairs], axis=1)

    def to_json(self, classes: Sequence[str]) -> dict[str, Any]:
        """The keys accuracy, curves, losses and extremes of `gap.json`."""
        mean, std = mean_and_std(self.accuracy)
        ways = {
            "clone_under_real": self.clone_under_real,
            "real_under_clone": self.real_under_clone,
        }
        return {
            "accuracy": {
                "trained_on": list(self.trained_on),
                "tested_on": list(self.tested_on),
                "mean": _plain(mean),
                "std": _plain(std),
                "runs": _plain(self.accuracy),
            },
            "curves": {name: _curves(runs) for name, runs in self.curves.items()},
            "losses": {
                "edges": _plain(EDGES),
                "clones": {
                    clone: {
                        **{way: _losses(of[clone], classes) for way, of in ways.items()},
                        "asymmetry": self._asymmetry(clone, classes),
                    }
                    for clone in self.clone_under_real
                },
            },
            "extremes": {
                clone: {
                    way: _by_class(classes, [each.to_json() for each in of[clone].extremes])
                    for way, of in ways.items()
                }
                for clone in self.clone_under_real
            },
        }

    def _asymmetry(self, clone: str, classes: Sequence[str]) -> dict[str, Any]:
        each = self.class_asymmetry(clone)
        return {
            **_summary(self.asymmetry(clone)),
            "classes": _by_class(classes, [_summary(runs) for runs in each.T]),
        }


def _losses(cross: CrossLosses, classes: Sequence[str]) -> dict[str, Any]:
    by_class = _by_class(classes, [_spread(each) for each in cross.by_class])
    return {**_spread(cross.spread), "classes": by_class}


def _by_class(classes: Sequence[str], values: Sequence[Any]) -> dict[str, Any]:
    return dict(zip(classes, values, strict=True))


def _curves(runs: Mapping[str, np.ndarray]) -> dict[str, Any]:
    epochs = len(next(iter(runs.values()))[0])
    return {"epoch": list(range(1, epochs + 1)), **{name: _summary(runs[name]) for name in CURVES}}


def _spread(spread: LossSpread) -> dict[str, Any]:
    return {
        "images": spread.images,
        "shares": _plain(spread.shares),
        "below_0.01": {**_summary(spread.below), "runs": _plain(spread.below)},
        "above_1": {**_summary(spread.above), "runs": _plain(spread.above)},
        "median": {**_summary(spread.median), "runs": _plain(spread.median)},
    }


def _summary(runs: np.ndarray) -> dict[str, Any]:
    mean, std = mean_and_std(runs)
    return {"mean": _plain(mean), "std": _plain(std)}


def _plain(values: np.ndarray) -> Any:
    """Lists of floats for JSON, which has no nan: it becomes null."""
    array = np.asarray(values, dtype=float)
    objects = array.astype(object)
    objects[np.isnan(array)] = None
    return objects.tolist()
