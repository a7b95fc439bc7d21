"""Features of the compared images and of whole sets, each computed once."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from gendata.features.encoders import Encoder
from gendata.features.extract import Features, extract_features
from gendata.gap.inputs.opened import REAL, REAL_TEST, Inputs
from gendata.images import Subset
from gendata.types import Images

__all__ = ["FeatureSet", "FeatureSets"]

LOOKED_AT = 64  # images of a set whose size is looked at


@dataclass(frozen=True)
class FeatureSet:
    """Features with the images they are of.

    Attributes:
        features: of N images; their `rows` are places in `images`.
        images: the whole source.
    """

    features: Features
    images: Images

    @property
    def places(self) -> np.ndarray:
        """(N,) where each stands in its source."""
        rows = self.features.rows
        return np.arange(len(self.features)) if rows is None else rows

    def picture(self, row: int) -> np.ndarray:
        """The image of one of the N: uint8 (3, H, W)."""
        return np.asarray(self.images[int(self.places[row])][0])

    def taken(self, places: np.ndarray) -> FeatureSet:
        """The part of it that stands at some places of the source, in their order."""
        order = np.argsort(self.places, kind="stable")
        rows = order[np.searchsorted(self.places, places, sorter=order)]
        part = replace(
            self.features,
            values=self.features.values[rows],
            labels=self.features.labels[rows],
            rows=self.places[rows],
        )
        return FeatureSet(part, self.images)


class FeatureSets:
    """Extracts what is asked for, once.

    Args:
        inputs: the image sets; features are of the images as they are, not at the size of the
            trainings.
        encoder: computes them.
        whole: extract whole sources even where a part is asked for, because they are needed too.
    """

    def __init__(self, inputs: Inputs, encoder: Encoder, *, whole: bool) -> None:
        self.inputs, self.encoder, self.from_whole = inputs, encoder, whole
        self._kept: dict[tuple[str, bool], FeatureSet] = {}

    def compared(self, name: str) -> FeatureSet:
        """The compared images of a source, in the order of its losses."""
        return self._of(name, self.inputs.parts[name].rows)

    def judging(self) -> FeatureSet:
        """Real images to ask what is missing: of the test set, where there is one."""
        if self.inputs.test is None:
            return self.compared(REAL)
        return self._of(REAL_TEST, self.inputs.test_rows)

    def whole(self, name: str) -> FeatureSet:
        """All images of a source, or the compared ones if a limit was given."""
        return self._of(name, None if self.inputs.limit is None else self.inputs.parts[name].rows)

    def whole_test(self) -> FeatureSet | None:
        """All test images, or some if a limit was given; None without a test set."""
        if self.inputs.test is None:
            return None
        return self._of(REAL_TEST, None if self.inputs.limit is None else self.inputs.test_rows)

    def at_training_size(self, name: str) -> FeatureSet:
        """The compared images of a source at the size of the trainings, in the same order."""
        shown = self.inputs.parts[name].training
        native, rows = self.inputs.source(name), self.inputs.parts[name].rows
        looked_at = range(0, len(shown), max(1, len(shown) // LOOKED_AT))
        if all(shown[at][0].shape == native[int(rows[at])][0].shape for at in looked_at):
            return self.compared(name)
        features = extract_features(
            shown,
            self.encoder,
            cache=self.inputs.kept("features"),
            progress=self.inputs.progress,
        )
        return FeatureSet(features, shown)

    def _of(self, name: str, places: np.ndarray | None) -> FeatureSet:
        key = name, places is None
        if key not in self._kept:
            unlimited = self.inputs.limit is None
            if places is not None and self.from_whole and unlimited:
                self._kept[key] = self._of(name, None).taken(places)
            else:
                self._kept[key] = self._extracted(name, places)
        return self._kept[key]

    def _extracted(self, name: str, places: np.ndarray | None) -> FeatureSet:
        images = self.inputs.source(name)
        chosen = images if places is None else Subset(images, places)
        features = extract_features(
            chosen,
            self.encoder,
            cache=self.inputs.kept("features"),
            progress=self.inputs.progress,
        )
        if places is not None and features.rows is not None:
            features = replace(features, rows=places[features.rows])
        return FeatureSet(features, images)
