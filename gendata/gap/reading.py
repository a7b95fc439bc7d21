"""What a measurement's numbers say, in sentences no stronger than the numbers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gendata.gap.losses import mean_and_std
from gendata.gap.names import shortened
from gendata.gap.result import GapReport

__all__ = ["brief", "gap_of", "gap_summary", "listed", "points"]

NOTICEABLE = 0.02  # a gap of less, as a share, is called none
CONVERGED = 0.8  # least accuracy of a classifier on its own training images


def gap_summary(report: GapReport) -> str:
    """Says the main finding in a few sentences, about the clone with the largest gap."""
    gaps = {clone: gap_of(report, clone) for clone in report.clone_under_real}
    clone = max(gaps, key=lambda name: abs(gaps[name].mean()))
    real = report.sources[0].name
    there, back = report.mean_accuracy(real, clone), report.mean_accuracy(clone, real)
    sentences = [
        f"A classifier trained on the real images is right on {there:.1%} of the images of "
        f"{brief(clone)}; one trained on {brief(clone)} is right on {back:.1%} of the real ones.",
        _meaning(report, gaps[clone]),
    ]
    if len(gaps) > 1:
        every = [f"{points(float(gap.mean()))} for {brief(name)}" for name, gap in gaps.items()]
        sentences.append(f"The gap in points is {listed(every)}.")
    return " ".join(sentences)


def gap_of(report: GapReport, clone: str) -> np.ndarray:
    """The gap of a clone for each seed, (S,): how much better real explains it than it real."""
    names = [source.name for source in report.sources]
    real, other = 0, names.index(clone)
    return report.accuracy[:, real, other] - report.accuracy[:, other, real]


def brief(name: str) -> str:
    """A name for a sentence; the table of sources has it in full."""
    return shortened(name, 40)


def points(difference: float) -> str:
    """A difference of shares in percentage points."""
    return f"{100 * difference:.1f}".replace("-", "\N{MINUS SIGN}")


def listed(names: Sequence[str]) -> str:
    """Names as a list in a sentence."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _meaning(report: GapReport, gap: np.ndarray) -> str:
    own = min(report.mean_accuracy(source.name, source.name) for source in report.trained)
    if own < CONVERGED:
        return (
            f"But the classifiers have not converged ({own:.1%} on their own training images): "
            "train for more epochs before reading anything into it."
        )
    mean, std = mean_and_std(gap)
    if abs(mean) < NOTICEABLE:
        return "Either explains the other about equally well: no content gap to speak of."
    if abs(mean) < 2 * np.nan_to_num(std):
        return "But the seeds differ by as much: train with more of them to tell."
    if mean > 0:
        return "The clone seems to cover only a part of the real images."
    return "The clone seems to hold images that the real ones do not explain."
