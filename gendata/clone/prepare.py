"""What a run draws, resolved from its arguments: classes, label policy, judge, settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch

from gendata.clone.drawing import Drawer, columns_of, knows_conditions
from gendata.clone.filter import ConfidenceFilter, Judge, match_columns
from gendata.clone.plan import ClassTable, choose_classes
from gendata.clone.rows import column_types, schema
from gendata.clone.run_file import json_values
from gendata.errors import GendataError
from gendata.types import FiniteSampler, Sampler

__all__ = ["Subject", "check_supply", "prepare"]


@dataclass(frozen=True)
class Subject:
    """What is drawn, and by whom it is judged.

    Attributes:
        drawer: the sampler and the judge.
        classes: the clone's classes.
        settings: the part of `run.json` that names both.
        cards: their cards, as JSON.
    """

    drawer: Drawer
    classes: ClassTable
    settings: dict[str, Any]
    cards: dict[str, Any]

    @property
    def by_attempts(self) -> bool:
        """Whether each slot has attempts of its own, or draws are dealt to the slots."""
        return knows_conditions(self.drawer.sampler) and self.drawer.judge.label != "classifier"


def prepare(
    sampler: Sampler,
    confidence_filter: ConfidenceFilter | None,
    classes: Sequence[str | int] | None,
    sampler_options: Mapping[str, Any],
) -> Subject:
    """Resolves the arguments.

    Raises:
        GendataError: they do not fit each other.
    """
    label = _policy(sampler, confidence_filter)
    names, columns = _names(sampler, confidence_filter)
    table = choose_classes(names, classes)
    judge = Judge(confidence_filter, label, columns, table.chosen)
    settings = {
        "sampler": _sampler_settings(sampler, sampler_options),
        "classes": {"names": list(table.names), "chosen": list(table.chosen)},
        "filter": _filter_settings(confidence_filter, label),
    }
    cards = {
        "sampler": asdict(sampler.card),
        "filter": asdict(confidence_filter.classifier.card) if confidence_filter else None,
    }
    return Subject(Drawer(sampler, judge), table, json_values(settings), json_values(cards))


def check_supply(subject: Subject, per_class: int) -> None:
    """Refuses a finite set that has too few images of a class, before anything is drawn."""
    sampler = subject.drawer.sampler
    if not isinstance(sampler, FiniteSampler) or subject.drawer.judge.label == "classifier":
        return
    counts = np.bincount(np.asarray(sampler.labels), minlength=len(subject.classes.names))
    for label in subject.classes.chosen:
        if counts[label] < per_class:
            raise GendataError(
                f"class '{subject.classes.names[label]}' of {sampler.name} is too small",
                found=f"{counts[label]} images",
                expected=f"at least {per_class}",
                do="ask for fewer per class, or leave classes short (--short)",
            )


def _policy(sampler: Sampler, confidence_filter: ConfidenceFilter | None) -> str:
    if confidence_filter is None:
        if sampler.classes is None:
            raise GendataError(
                f"the sampler {sampler.name} knows no classes",
                expected="a filter, whose classifier says which class an image is",
                do="pass --filter CLASSIFIER",
            )
        return "condition"
    if confidence_filter.label is None:
        return "classifier" if sampler.classes is None else "agree"
    if sampler.classes is None and confidence_filter.label != "classifier":
        raise GendataError(
            f"the sampler {sampler.name} knows no classes",
            found=f"label policy '{confidence_filter.label}'",
            expected="label policy 'classifier'",
        )
    return confidence_filter.label


def _names(
    sampler: Sampler, confidence_filter: ConfidenceFilter | None
) -> tuple[list[str], list[int]]:
    """Returns the class names, and the classifier's output of each."""
    if confidence_filter is None:
        return [str(name) for name in sampler.classes or ()], []
    classifier = confidence_filter.classifier
    blank = torch.zeros(1, 3, sampler.resolution, sampler.resolution, dtype=torch.uint8)
    outputs = classifier.probabilities(blank).shape[1]
    theirs = classifier.classes if classifier.classes is not None else range(outputs)
    names = [str(name) for name in (theirs if sampler.classes is None else sampler.classes)]
    return names, match_columns(classifier, outputs, names)


def _sampler_settings(sampler: Sampler, options: Mapping[str, Any]) -> dict[str, Any]:
    # Trust in a program and leave to download are given by a person, each time; a clone may come
    # from anybody.
    unrecorded = {"trust", "download", *getattr(sampler, "free_options", ())}
    located = getattr(sampler, "file_options", ())
    recorded = {key: each for key, each in options.items() if key not in unrecorded}
    settings = {
        "name": sampler.name,
        "options": {key: each for key, each in recorded.items() if key not in located},
        "sha256": sampler.card.sha256,
        "settings": dict(sampler.card.settings),
    }
    if files := {key: each for key, each in recorded.items() if key in located}:
        settings["files"] = files
    if (columns := columns_of(sampler)) is not None:
        schema([], columns)  # refuses columns that cannot be stored, before anything is drawn
        settings["columns"] = column_types(columns)
    return settings


def _filter_settings(
    confidence_filter: ConfidenceFilter | None, label: str
) -> dict[str, Any] | None:
    if confidence_filter is None:
        return None
    card = confidence_filter.classifier.card
    return {
        "name": confidence_filter.classifier.name,
        "sha256": card.sha256,
        "settings": dict(card.settings),
        "threshold": confidence_filter.threshold,
        "label": label,
    }
