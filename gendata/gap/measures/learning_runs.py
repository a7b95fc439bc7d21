"""Classifiers trained on several numbers of images, and how far chance carries their errors.

Chance has two parts. Other test images: they are drawn anew with replacement, the same for every
classifier of either source, because all were shown the same ones. Other trainings: the mean over
S seeds is drawn anew from the deviations of the seeds from their mean. Three seeds say little of
their own spread, so the deviations are taken relative to the error of their size and pooled over
the sizes of a source (a spread in proportion to the error is our assumption), enlarged by
sqrt(S / (S - 1)) for the freedom that their mean takes, and by the ratio of Student's t to the
normal quantile. Seeds also disagree about single images; what that adds to their deviations on N
images is taken out again, for the draw of test images holds it already. A single seed shows no
spread: the training is then held fixed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy.stats import t as student

from gendata.errors import GendataError

__all__ = ["LEAST_ERROR", "Runs", "redrawn_errors"]

LEAST_ERROR = 1e-3  # what a smaller error is weighed as: one image in a thousand
_CHUNK = 2**22  # numbers of the bootstrap in memory at once


@dataclass(frozen=True)
class Runs:
    """Classifiers trained on one source, shown the test images.

    Args:
        sizes: (L,) training images, in whatever unit (gendata: images a class), ascending.
        right: (S, L, N) bool, whether the classifier of a seed and size classifies a test image
            rightly.

    Raises:
        GendataError: sizes do not ascend, or shapes do not fit.
    """

    sizes: np.ndarray
    right: np.ndarray

    def __post_init__(self) -> None:
        sizes, right = np.asarray(self.sizes, dtype=float), np.asarray(self.right)
        if sizes.ndim != 1 or not len(sizes) or not np.isfinite(sizes).all() or sizes[0] <= 0:
            raise GendataError(
                "the sizes of a learning curve are no list of numbers above 0", found=sizes
            )
        if (np.diff(sizes) <= 0).any():
            raise GendataError(
                "the sizes of a learning curve do not ascend", found=sizes, do="sort them"
            )
        if right.dtype != bool or right.ndim != 3 or 0 in right.shape:
            raise GendataError(
                "the answers of the classifiers have another form",
                found=f"{right.dtype} {right.shape}",
                expected="bool (seeds, sizes, test images), none of them 0",
            )
        if right.shape[1] != len(sizes):
            raise GendataError(
                "the answers of the classifiers do not belong to the sizes",
                found=f"{right.shape[1]} columns for {len(sizes)} sizes",
            )
        object.__setattr__(self, "sizes", sizes)
        object.__setattr__(self, "right", right)

    @property
    def accuracy(self) -> np.ndarray:
        """(S, L) between 0 and 1."""
        return self.right.mean(axis=2)

    @property
    def error(self) -> np.ndarray:
        """(L,) mean over the seeds."""
        return 1 - self.accuracy.mean(axis=0)

    @property
    def scale(self) -> np.ndarray:
        """(L,) the error, or LEAST_ERROR where it is smaller."""
        return np.maximum(self.error, LEAST_ERROR)

    @property
    def deviations(self) -> np.ndarray:
        """(S L,) of each training's accuracy from its size's mean, relative to the error.

        Enlarged so that their mean square is the pooled variance; none for a single seed.
        """
        seeds = len(self.right)
        if seeds == 1:
            return np.zeros(0)
        apart = self.accuracy - self.accuracy.mean(axis=0)
        return (apart / self.scale).ravel() * np.sqrt(seeds / (seeds - 1))

    @property
    def standard_error(self) -> np.ndarray | None:
        """(L,) of the mean over the seeds; None for a single one."""
        if len(self.right) == 1:
            return None
        spread = np.sqrt(np.mean(self.deviations**2))
        return spread * self.scale / np.sqrt(len(self.right))


def redrawn_errors(
    sources: tuple[Runs, Runs], replicates: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Draws the mean errors of each size of two sources anew: two of (replicates, L).

    Raises:
        GendataError: the sources were not shown the same number of test images.
    """
    first, second = sources
    count = first.right.shape[2]
    if second.right.shape[2] != count:
        raise GendataError(
            "the classifiers were shown different test images",
            found=f"{count} and {second.right.shape[2]}",
            expected="the same ones",
        )
    generator = np.random.default_rng(seed)
    shares = np.concatenate([each.right.mean(axis=0) for each in sources])  # (2 L, N)
    drawn = [times @ shares.T / count for times in _draws(count, replicates, generator)]
    parts = np.split(1 - np.concatenate(drawn), [len(first.sizes)], axis=1)
    noises = [_training_noise(each, replicates, generator) for each in sources]
    ours, theirs = (np.clip(p + n, 0, 1) for p, n in zip(parts, noises, strict=True))
    return ours, theirs


def _draws(images: int, replicates: int, generator: np.random.Generator) -> Iterator[np.ndarray]:
    """How often each test image is drawn in some of the replicates, (r, N), until all are done."""
    step = max(1, _CHUNK // images)
    for start in range(0, replicates, step):
        count = min(step, replicates - start)
        rows = generator.integers(images, size=(count, images))
        rows += images * np.arange(count)[:, None]
        yield np.bincount(rows.ravel(), minlength=count * images).reshape(count, images)


def _training_noise(runs: Runs, replicates: int, generator: np.random.Generator) -> np.ndarray:
    """What other seeds would add to the mean errors: (replicates, L)."""
    seeds, sizes = runs.right.shape[:2]
    if seeds == 1:
        return np.zeros((replicates, sizes))
    drawn = generator.choice(runs.deviations, size=(replicates, sizes, seeds)).mean(axis=2)
    widened = (
        np.sqrt(_share_of_training(runs)) * student.ppf(0.975, sizes * (seeds - 1)) / 1.959964
    )
    return drawn * runs.scale * widened


def _share_of_training(runs: Runs) -> float:
    """Share of the deviations' variance beyond the seeds' disagreement about single images."""
    alone = runs.right.var(axis=0, ddof=1).mean(axis=1) / runs.right.shape[2]  # (L,)
    whole = np.mean(runs.deviations**2)
    return float(max(0.0, 1 - np.mean(alone / runs.scale**2) / whole)) if whole else 0.0
