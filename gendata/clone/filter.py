"""Which drawn images are kept, and under which label."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from torch import Tensor

from gendata.errors import GendataError
from gendata.images.class_names import match_names
from gendata.types import Classifier

__all__ = ["KEPT", "LABEL_POLICIES", "ConfidenceFilter", "Judge", "Verdicts", "match_columns"]

LABEL_POLICIES = ("agree", "condition", "classifier")
KEPT = "kept"


@dataclass(frozen=True)
class ConfidenceFilter:
    """Keeps an image when a classifier is sure of it.

    Attributes:
        classifier: the judge.
        threshold: the largest probability must lie strictly above it; between 0 and 1.
        label: "agree" keeps an image whose predicted class is the asked one, "condition" labels
            it as asked, "classifier" as predicted. None: agree for samplers that know classes,
            classifier for the others.
    """

    classifier: Classifier
    threshold: float = 0.8
    label: str | None = None

    def __post_init__(self) -> None:
        check_threshold(self.threshold)
        if self.label is not None and self.label not in LABEL_POLICIES:
            raise GendataError(
                "unknown label policy", found=f"'{self.label}'", expected=", ".join(LABEL_POLICIES)
            )


class Verdicts(NamedTuple):
    """What the judge says of a batch.

    Attributes:
        labels: (B,) int64, the sampler's label of each image, -1 where no class can be told.
        reasons: (B,) str objects, KEPT or why the image is refused.
        confidence: (B,) float32, the largest probability; NaN without a filter.
        probabilities: (B, K) float32 in the sampler's class order; (B, 0) without a filter.
    """

    labels: np.ndarray
    reasons: np.ndarray
    confidence: np.ndarray
    probabilities: np.ndarray


@dataclass(frozen=True)
class Judge:
    """Applies a filter, or none, to batches.

    Attributes:
        filter: None keeps every usable image under the label it was asked for.
        label: the label policy, resolved.
        columns: the classifier's output of each of the sampler's classes.
        chosen: the sampler's labels that may be kept.
    """

    filter: ConfidenceFilter | None
    label: str
    columns: Sequence[int]
    chosen: Sequence[int]

    def judge(self, images: Tensor, asked: np.ndarray, unusable: Mapping[int, str]) -> Verdicts:
        """Judges images (B, 3, H, W) asked for as labels (B,).

        Those that are unusable, by row, are refused for the reason that is given.
        """
        bad = np.isin(np.arange(len(asked)), list(unusable))
        labels = asked.copy()
        reasons = np.full(len(asked), KEPT, dtype=object)
        confidence = np.full(len(asked), np.nan, dtype=np.float32)
        probabilities = np.zeros((len(asked), 0), dtype=np.float32)
        if self.filter is not None:
            probabilities = _probabilities(self.filter.classifier, images)[:, self.columns]
            confidence, predicted = probabilities.max(axis=1), probabilities.argmax(axis=1)
            if self.label == "classifier":
                labels = np.where(bad, asked, predicted)
            if self.label == "agree":
                reasons[predicted != asked] = "disagreement"
            reasons[~(confidence > np.float32(self.filter.threshold))] = "low-confidence"
        reasons[(reasons == KEPT) & ~np.isin(labels, self.chosen)] = "other-class"
        for row, reason in unusable.items():
            reasons[row] = reason
        return Verdicts(labels, reasons, confidence, probabilities)


def check_threshold(threshold: float) -> None:
    """Refuses a threshold outside (0, 1)."""
    if not 0 < threshold < 1:
        raise GendataError(
            "the confidence threshold is out of range",
            found=threshold,
            expected="a number strictly between 0 and 1",
        )


def match_columns(classifier: Classifier, outputs: int, names: Sequence[str]) -> list[int]:
    """Finds which of the classifier's outputs is which of the sampler's classes.

    The same names in another order are matched by name, synonyms included; where one side has no
    names, or numbers for names, by position.

    Raises:
        GendataError: another number of classes, or other names.
    """
    theirs = list(classifier.classes) if classifier.classes is not None else list(names)
    if outputs != len(names) or len(theirs) != len(names):
        raise GendataError(
            f"the classifier {classifier.name} does not fit the sampler",
            found=f"{outputs} classes",
            expected=f"the sampler's {len(names)} classes",
        )
    matched = match_names(list(map(str, names)), list(map(str, theirs)))
    if matched is not None:
        return matched
    if not (_unnamed(theirs) or _unnamed(names)):
        strange = next((name for name in theirs if name not in names), theirs[0])
        raise GendataError(
            f"the classifier {classifier.name} knows other classes than the sampler",
            found=f"'{strange}'",
            expected=f"{', '.join(map(repr, list(names)[:3]))}, …",
            do="use another classifier, or name its outputs in the sampler's words (classes=[…])",
        )
    return list(range(outputs))


def _unnamed(names: Sequence[str]) -> bool:
    return all(str(name).isdecimal() for name in names)


def _probabilities(classifier: Classifier, images: Tensor) -> np.ndarray:
    return classifier.probabilities(images).float().cpu().numpy()
