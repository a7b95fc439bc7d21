"""Training one classifier per source and seed, and showing it the images of every source."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn import functional
from tqdm import tqdm

from gendata.gap.cross_source.extremes import lowest_and_highest
from gendata.gap.cross_source.findings import (
    CURVES,
    ClassExtremes,
    CrossFindings,
    CrossLosses,
    Ends,
)
from gendata.gap.cross_source.losses import spread_of
from gendata.gap.inputs.parts import Part
from gendata.training import train
from gendata.training.evaluate import scores
from gendata.training.fingerprint import fingerprint
from gendata.types import Images

__all__ = ["SHOWN", "SHOWN_CLASSES", "CrossSource", "compare", "crossed"]

SHOWN = 8  # images of a class at either end of the losses
SHOWN_CLASSES = 24  # classes whose images are in the report: those of highest mean loss

# What the training loop calls the points of our curves.
_RECORDED = dict(
    zip(CURVES, ("accuracy", "validation_accuracy", "loss", "validation_loss"), strict=True)
)


@dataclass(frozen=True)
class CrossSource:
    """What the classifiers of all sources and seeds found.

    Attributes:
        accuracy: (S, trained on, tested on), between 0 and 1.
        losses: by (trained on, tested on): (S, N) cross-entropy of each image, nats.
        curves: by source, then by a name of CURVES: (S, epochs).
    """

    accuracy: np.ndarray
    losses: dict[tuple[str, str], np.ndarray]
    curves: dict[str, dict[str, np.ndarray]]


def compare(
    parts: Mapping[str, Part],
    test: Mapping[str, Images],
    seeds: Sequence[int],
    *,
    out: Path | None,
    device: torch.device,
    download: bool,
    progress: bool,
    options: Mapping[str, Any],
) -> CrossSource:
    """Trains a classifier per part and seed and tests each on all parts' training images.

    Args:
        parts: by source name.
        test: further sets to test on, by name.
        seeds: of the trainings.
        out: folder in which each training keeps its own, named by what decides it; one that is
            there continues or is used as it is.
        device: where to train.
        download: fetch a network's pretrained weights where they are not on this machine.
        progress: show a bar on stderr.
        options: of `train`; with the images and the seed they decide a training.
    """
    shown = {**{name: part.training for name, part in parts.items()}, **test}
    accuracy = np.zeros((len(seeds), len(parts), len(shown)))
    losses: dict[tuple[str, str], list[np.ndarray]] = {}
    histories: dict[str, list[list[dict[str, Any]]]] = {name: [] for name in parts}
    bar = tqdm(
        total=len(seeds) * len(parts), desc="classifiers", disable=None if progress else True
    )
    with bar:
        for row, (name, part) in enumerate(parts.items()):
            for number, seed in enumerate(seeds):
                folder = None if out is None else out / run_name(name, part, seed, options)
                result = train(
                    real=part.training,  # one role for all: equal images train alike
                    validation=part.held_out,
                    method="real",
                    seed=seed,
                    out=folder,
                    device=device,
                    download=download,
                    progress=False,
                    **options,
                )
                histories[name].append(result.history)
                for column, (tested, images) in enumerate(shown.items()):
                    outputs, labels = scores(result.network, images)
                    right = outputs.argmax(dim=1) == labels
                    accuracy[number, row, column] = right.double().mean()
                    loss = functional.cross_entropy(outputs, labels, reduction="none")
                    losses.setdefault((name, tested), []).append(loss.numpy())
                bar.update()
    return CrossSource(
        accuracy,
        {pair: np.stack(runs) for pair, runs in losses.items()},
        {name: _curves(runs) for name, runs in histories.items()},
    )


def crossed(
    found: CrossSource, parts: Mapping[str, Part], tests: Sequence[str], seeds: Sequence[int]
) -> CrossFindings:
    """Summarises what `compare` found of a real set, the first of `parts`, and its clones."""
    real, *clones = parts
    return CrossFindings(
        seeds=seeds,
        trained_on=list(parts),
        tested_on=[*parts, *tests],
        accuracy=found.accuracy,
        curves=found.curves,
        clone_under_real={name: _losses(parts, found, real, name) for name in clones},
        real_under_clone={name: _losses(parts, found, name, real) for name in clones},
    )


def _losses(
    parts: Mapping[str, Part], found: CrossSource, trained_on: str, shown: str
) -> CrossLosses:
    """Summarises the losses of one source's images under the classifiers of another."""
    part, losses = parts[shown], found.losses[trained_on, shown]
    labels, mean = np.asarray(part.training.labels), losses.mean(axis=0)
    classes = range(len(part.training.classes))
    extremes = lowest_and_highest(mean, labels, len(classes), SHOWN)
    by_class = np.bincount(labels, weights=mean) / np.bincount(labels)
    hardest = set(np.argsort(-by_class, kind="stable")[:SHOWN_CLASSES].tolist())

    def ends(rows: np.ndarray, label: int) -> Ends:
        seen = rows if label in hardest else rows[:0]
        pictures = [part.training[int(row)][0].numpy() for row in seen]
        return Ends(part.rows[rows], mean[rows], pictures)

    both = [
        ClassExtremes(ends(each.lowest, label), ends(each.highest, label))
        for label, each in enumerate(extremes)
    ]
    spreads = [spread_of(losses[:, labels == label]) for label in classes]
    return CrossLosses(spread_of(losses), spreads, both, mean)


def run_name(source: str, part: Part, seed: int, options: Mapping[str, Any]) -> str:
    """Names a training by its source and seed and by a hash of everything else that decides it."""
    images = [fingerprint(part.training), fingerprint(part.held_out)]
    content = json.dumps([source, seed, images, dict(options)], sort_keys=True, default=str)
    readable = re.sub(r"[^a-zA-Z0-9]+", "-", source).strip("-")[:24]
    return f"{readable}-{seed}-{hashlib.sha256(content.encode()).hexdigest()[:12]}"


def _curves(histories: Sequence[Sequence[Mapping[str, Any]]]) -> dict[str, np.ndarray]:
    return {
        curve: np.array([[record[key] for record in history] for history in histories])
        for curve, key in _RECORDED.items()
    }
