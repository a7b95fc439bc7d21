"""What a measurement found, and `gap.json`.

The keys of `gap.json` (shares and accuracies between 0 and 1, losses in nats; "std" is the sample
standard deviation over seeds, null for a single seed):

    schema       1; it grows when a key changes its meaning
    environment  name to text: command, versions, device, date
    settings     network, epochs, and every other choice
    classes      names in label order
    seeds        one classifier a source for each
    sources      [{name, role: real | clone | test, origin, images, training, held_out}]
    accuracy     {trained_on, tested_on: names; mean, std: [row][column];
                 runs: [seed][row][column]}
    curves       source -> {epoch; train_accuracy, held_out_accuracy, train_loss, held_out_loss:
                 {mean, std: [epoch]}}
    losses       {edges; clones: clone -> {clone_under_real, real_under_clone:
                 {images; shares: [bin]; below_0.01, above_1, median: {mean, std, runs: [seed]}}}}
    extremes     clone -> {clone_under_real, real_under_clone:
                 class -> {lowest, highest: [{row, loss}]}}; row is the place in the source
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from gendata.gap.losses import EDGES, LossSpread, mean_and_std

__all__ = ["CURVES", "ClassExtremes", "CrossLosses", "Ends", "GapReport", "Source"]

CURVES = ("train_accuracy", "held_out_accuracy", "train_loss", "held_out_loss")


@dataclass(frozen=True)
class Source:
    """One image set of the comparison.

    Attributes:
        name: as it is shown: "real", "real test", or the clone's.
        role: "real", "clone" or "test".
        origin: the reference or folder it was read from.
        images: how many it has.
        training: how many of them were trained on and compared (of a test set: tested on).
        held_out: how many were held out for the validation curves.
    """

    name: str
    role: str
    origin: str
    images: int
    training: int
    held_out: int = 0


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


@dataclass(frozen=True)
class CrossLosses:
    """One source's images under the classifiers trained on the other source.

    Attributes:
        spread: histogram and shares.
        extremes: one entry a class, in label order.
    """

    spread: LossSpread
    extremes: Sequence[ClassExtremes]


@dataclass(frozen=True)
class GapReport:
    """What `measure_gap` found.

    Attributes:
        classes: class names in label order.
        seeds: one classifier a source for each.
        sources: the real set, the clones, then the test set where there is one.
        accuracy: (S, trained on, tested on) between 0 and 1; rows are the sources without the
            test set, columns all sources.
        curves: by source, then by a name of CURVES: (S, epochs).
        clone_under_real: by clone, its images under the classifiers trained on the real set.
        real_under_clone: by clone, the real images under the classifiers trained on it.
        settings: network, epochs and every other choice.
        environment: command, versions, device, date, as text.
    """

    classes: Sequence[str]
    seeds: Sequence[int]
    sources: Sequence[Source]
    accuracy: np.ndarray
    curves: Mapping[str, Mapping[str, np.ndarray]]
    clone_under_real: Mapping[str, CrossLosses]
    real_under_clone: Mapping[str, CrossLosses]
    settings: Mapping[str, Any] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def trained(self) -> list[Source]:
        """The sources that classifiers were trained on: the real set, then the clones."""
        return [source for source in self.sources if source.role != "test"]

    def mean_accuracy(self, trained_on: str, tested_on: str) -> float:
        """Mean over seeds of one entry of the matrix, between 0 and 1."""
        names = [source.name for source in self.sources]
        return float(self.accuracy[:, names.index(trained_on), names.index(tested_on)].mean())

    def to_json(self) -> dict[str, Any]:
        """The content of `gap.json`; the module's docstring lists the keys."""
        mean, std = mean_and_std(self.accuracy)
        both = {
            "clone_under_real": self.clone_under_real,
            "real_under_clone": self.real_under_clone,
        }
        clones = list(self.clone_under_real)
        return {
            "schema": 1,
            "environment": dict(self.environment),
            "settings": dict(self.settings),
            "classes": list(self.classes),
            "seeds": list(self.seeds),
            "sources": [vars(source) for source in self.sources],
            "accuracy": {
                "trained_on": [source.name for source in self.trained],
                "tested_on": [source.name for source in self.sources],
                "mean": _plain(mean),
                "std": _plain(std),
                "runs": _plain(self.accuracy),
            },
            "curves": {name: _curves(runs) for name, runs in self.curves.items()},
            "losses": {
                "edges": _plain(EDGES),
                "clones": {
                    clone: {way: _spread(cross[clone].spread) for way, cross in both.items()}
                    for clone in clones
                },
            },
            "extremes": {
                clone: {way: self._extremes(cross[clone]) for way, cross in both.items()}
                for clone in clones
            },
        }

    def _extremes(self, cross: CrossLosses) -> dict[str, Any]:
        return {
            name: {"lowest": ends.lowest.to_json(), "highest": ends.highest.to_json()}
            for name, ends in zip(self.classes, cross.extremes, strict=True)
        }


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
