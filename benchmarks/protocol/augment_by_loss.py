"""Which synthetic images help real ones: those a real-trained classifier finds easy, or hard?

Wang, Schmedding and Huber 2024 (https://arxiv.org/abs/2311.03959) report in section 3.2 that
adding synthetic images of low loss to the real ones still helps, and refer to appendix B.1, which
is not published. The protocol is therefore ours: a classifier trained on the real images alone
scores every synthetic image by its cross-entropy, without augmentation; the k images of each
class with the lowest loss, those with the highest, or k at random are added to the same real
images, and a new classifier is trained on both.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from gendata.benchmarks.protocol.arguments import Protocol
from gendata.benchmarks.protocol.presets import Row
from gendata.benchmarks.protocol.references import listed
from gendata.benchmarks.protocol.runs import Run, retrain
from gendata.benchmarks.protocol.sources import Bank
from gendata.benchmarks.protocol.sweep import Planned
from gendata.errors import GendataError
from gendata.images.subsets import rows_by_class
from gendata.training.evaluate import per_sample_losses
from gendata.types import Images

__all__ = ["KINDS", "augmented_runs", "lowest_highest_random", "scoring_runs", "with_rows"]

KINDS = ("lowest", "highest", "random")


def lowest_highest_random(
    images: Images, losses: np.ndarray, per_class: int, kind: str, seed: int
) -> tuple[int, ...]:
    """Chooses `per_class` images of each class; of equal losses the earlier image comes first.

    Args:
        images: the synthetic images.
        losses: (N,) of each of them.
        per_class: k.
        kind: "lowest", "highest" or "random".
        seed: of the random choice.

    Returns:
        Row numbers in ascending order.

    Raises:
        GendataError: a class has fewer than k images.
    """
    labels = np.asarray(images.labels)
    counts = np.bincount(labels, minlength=len(images.classes))
    if counts.min() < per_class:
        raise GendataError(
            f"'{images.name}' has too few images to choose {per_class} of each class",
            found=f"{counts.min()} of class '{images.classes[int(counts.argmin())]}'",
            do="draw more per class, or choose fewer",
        )
    chosen: list[int] = []
    for label, shuffled in enumerate(rows_by_class(images, seed)):
        rows = np.flatnonzero(labels == label)
        if kind == "random":
            ordered = shuffled
        else:
            sign = 1 if kind == "lowest" else -1
            ordered = rows[np.argsort(sign * losses[rows], kind="stable")]
        chosen += ordered[:per_class].tolist()
    return tuple(sorted(chosen))


def with_rows(protocol: Protocol, add: Sequence[int] | str) -> tuple[Protocol, list[int]]:
    """The protocol with this study's rows in place of its own, and the numbers k.

    Args:
        protocol: whose rows give the classifier on real images.
        add: the numbers k; none for the preset's.

    Raises:
        GendataError: k is no positive whole number.
    """
    given = listed(add) or listed(protocol.augment_by_loss.get("per_class", [10]))
    if not all(str(number).isdecimal() and int(number) for number in given):
        raise GendataError("add is out of range", found=given, expected="whole numbers from 1")
    numbers = [int(number) for number in given]
    real = next((row for row in protocol.rows if row.method == "real" and row.real == "few"), None)
    first = replace(real or Row("real", "Real", "real"), baseline=None)
    rows = [first]
    for number in numbers:
        for kind in KINDS:
            baseline = _label("random", number) if kind != "random" else first.label
            name = f"{kind}-{number}"
            row = Row(name, _label(kind, number), "aug", baseline=baseline, options=first.options)
            rows.append(row)  # with the epochs of the real images alone
    return replace(protocol, rows=tuple(rows)), numbers


def scoring_runs(protocol: Protocol) -> list[Run]:
    """The classifiers that score: one a seed and number of shots, on the real images alone."""
    row = protocol.rows[0]
    return [
        Run(row, None, None, shots, seed) for shots in protocol.shots for seed in protocol.seeds
    ]


def augmented_runs(bank: Bank, scored: Sequence[Planned], numbers: Sequence[int]) -> list[Run]:
    """The trainings on real and chosen synthetic images.

    Args:
        bank: of the protocol.
        scored: the classifiers, trained.
        numbers: every k.
    """
    protocol = bank.protocol
    rows = {row.name: row for row in protocol.rows}
    runs: list[Run] = []
    for source in protocol.sources:
        per_class = protocol.per_class_of(source)[-1]
        images = bank.ready(bank.synthetic(source.name, per_class), "synthetic")
        for scorer in scored:
            run, network = scorer.run, retrain(bank, scorer.run, str(scorer.key)).network
            losses = per_sample_losses(network, images, size=bank.size).numpy()
            runs += [
                Run(
                    rows[f"{kind}-{number}"],
                    source.name,
                    per_class,
                    run.shots,
                    run.seed,
                    chosen=lowest_highest_random(images, losses, number, kind, run.seed),
                )
                for number in numbers
                for kind in KINDS
            ]
    return runs


def _label(kind: str, number: int) -> str:
    return f"+ {number} a class at random" if kind == "random" else f"+ {number} of {kind} loss"
