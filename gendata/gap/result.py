"""What a measurement found, and `gap.json`.

The keys of `gap.json` (shares and accuracies between 0 and 1, losses in nats; "std" is the sample
standard deviation over seeds, null for a single seed; an estimate is {value, low, high}, its 95%
interval; nan is null). What a part writes is absent where the part was not asked for:

    schema       2; it grows when a key changes its meaning
    environment  name to text: command, versions, device, date
    settings     network, epochs, encoder, and every other choice
    parts        names of what was measured, and "fid" where clean-fid was asked
    classes      names in label order
    seeds        one classifier a source for each
    sources      [{name, role: real | clone | test, origin, images, training, held_out}]

    part cross-source:
    accuracy     {trained_on, tested_on: names; mean, std: [row][column];
                 runs: [seed][row][column]}
    curves       source -> {epoch; train_accuracy, held_out_accuracy, train_loss, held_out_loss:
                 {mean, std: [epoch]}}
    losses       {edges; clones: clone -> {
                 clone_under_real, real_under_clone: {SPREAD; classes: class -> SPREAD};
                 asymmetry: {mean, std; classes: class -> {mean, std}}}}, where SPREAD is
                 images; shares: [bin]; below_0.01, above_1, median: {mean, std, runs: [seed]}
    extremes     clone -> {clone_under_real, real_under_clone:
                 class -> {lowest, highest: [{row, loss}]}}; row is the place in the source

    the other parts, and the advice, each as its module says:
    clones       clone -> {fidelity, published_fid, memorisation, decomposition, worth, missing,
                 advice; places: part -> {real, synthetic: [row]}}. Rows in a part count its own
                 images; `places` says which row of the source (of the test set, in `missing`,
                 where there is one) each of them is
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from gendata.errors import GendataError
from gendata.gap.advice.rules import Advice
from gendata.gap.cross_source.findings import CrossFindings
from gendata.gap.decomposition.findings import Decomposition
from gendata.gap.fidelity.findings import Fidelity
from gendata.gap.fidelity.published_fid import PublishedFid
from gendata.gap.memorisation.findings import Memorisation
from gendata.gap.missing.findings import Missing
from gendata.gap.worth.findings import Worth

__all__ = ["SCHEMA", "CloneFindings", "GapReport", "Source"]

SCHEMA = 2


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
class CloneFindings:
    """What the parts on features found about one clone; None where a part was not asked for.

    Attributes:
        fidelity: distances and manifolds of the features.
        published_fid: what clean-fid itself says.
        memorisation: copies of real images.
        decomposition: appearance, quality and content.
        worth: how many real images one of the clone's replaces.
        missing: the real images that the clone does not cover.
        advice: what to do about it.
        places: by part, where its real and synthetic images stand in their sources, so that the
            rows of its findings can be followed.
        pairs: images (synthetic, real) of the most suspicious pairs, in memorisation's order.
        groups: of each group of missing images, its examples (real, nearest synthetic): the
            groups of `missing`, then its themes.
    """

    fidelity: Fidelity | None = None
    published_fid: PublishedFid | None = None
    memorisation: Memorisation | None = None
    decomposition: Decomposition | None = None
    worth: Worth | None = None
    missing: Missing | None = None
    advice: Advice | None = None
    places: Mapping[str, Mapping[str, np.ndarray]] = field(default_factory=dict)
    pairs: Sequence[tuple[np.ndarray, np.ndarray]] = ()
    groups: Sequence[Sequence[tuple[np.ndarray, np.ndarray]]] = ()

    def to_json(self) -> dict[str, Any]:
        """What was found, by part."""
        found = {
            name: getattr(self, name)
            for name in ("fidelity", "published_fid", "memorisation")
            + ("decomposition", "worth", "missing", "advice")
        }
        places = {
            part: {role: rows.tolist() for role, rows in each.items()}
            for part, each in self.places.items()
        }
        return {
            **{name: each.to_json() for name, each in found.items() if each is not None},
            **({"places": places} if places else {}),
        }


@dataclass(frozen=True)
class GapReport:
    """What `measure_gap` found.

    Attributes:
        classes: class names in label order.
        sources: the real set, the clones, then the test set where there is one.
        parts: names of what was measured.
        cross: what the classifiers of all sources found; None if that part was not asked for.
        clones: what the other parts found, by clone.
        seeds: one classifier a source for each.
        settings: network, epochs, encoder and every other choice.
        environment: command, versions, device, date, as text.
    """

    classes: Sequence[str]
    sources: Sequence[Source]
    parts: Sequence[str] = ()
    cross: CrossFindings | None = None
    clones: Mapping[str, CloneFindings] = field(default_factory=dict)
    seeds: Sequence[int] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def trained(self) -> list[Source]:
        """The real set, then the clones."""
        return [source for source in self.sources if source.role != "test"]

    def mean_accuracy(self, trained_on: str, tested_on: str) -> float:
        """Mean over seeds of one entry of the matrix, between 0 and 1.

        Raises:
            GendataError: the part cross-source was not asked for.
        """
        if self.cross is None:
            raise GendataError(
                "no classifiers were trained", do="measure the part cross-source as well"
            )
        return float(self.cross.runs(trained_on, tested_on).mean())

    def to_json(self) -> dict[str, Any]:
        """The content of `gap.json`; the module's docstring lists the keys."""
        return {
            "schema": SCHEMA,
            "environment": dict(self.environment),
            "settings": dict(self.settings),
            "parts": list(self.parts),
            "classes": list(self.classes),
            "seeds": list(self.seeds),
            "sources": [vars(source) for source in self.sources],
            **(self.cross.to_json(self.classes) if self.cross else {}),
            "clones": {name: _plain(each.to_json()) for name, each in self.clones.items()},
        }


def _plain(value: Any) -> Any:
    """Plain values all the way down: no scalar of NumPy, and null for what is not finite."""
    if isinstance(value, Mapping):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value
