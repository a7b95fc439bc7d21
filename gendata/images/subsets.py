"""Parts and unions of image sets. Labels decide, so nothing is decoded here."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from gendata.errors import GendataError
from gendata.images.memory import ArrayImages
from gendata.seeds import hash_seed
from gendata.types import Images

__all__ = [
    "Joined",
    "Subset",
    "balanced_split",
    "balanced_subset",
    "check_same_classes",
    "joined",
    "rows_by_class",
]


class Subset:
    """Some rows of a set, in the order given.

    Args:
        images: the set they come from.
        rows: (M,) row numbers.
    """

    def __init__(self, images: Images, rows: np.ndarray | Sequence[int]) -> None:
        self.images, self.rows = images, np.asarray(rows, dtype=np.int64)
        self.name, self.classes = images.name, images.classes
        self.labels = np.asarray(images.labels)[self.rows]

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return self.images[int(self.rows[index])]


class Joined:
    """Two sets, one after the other; made by `joined`."""

    def __init__(self, first: Images, second: Images) -> None:
        self.first, self.second = first, second
        self.name, self.classes = f"{first.name} + {second.name}", first.classes
        self.labels = np.concatenate([first.labels, second.labels])

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        if not 0 <= index < len(self):
            raise IndexError(f"row {index} of {len(self)}")
        split = len(self.first)
        return self.first[index] if index < split else self.second[index - split]


def rows_by_class(images: Images, seed: int) -> Iterator[np.ndarray]:
    """Yields each class's row numbers in a random order that depends on seed and class alone."""
    for label in range(len(images.classes)):
        generator = torch.Generator().manual_seed(hash_seed(seed, label))
        rows = np.flatnonzero(np.asarray(images.labels) == label)
        yield rows[torch.randperm(len(rows), generator=generator).numpy()]


def balanced_subset(images: Images, per_class: int, seed: int) -> Subset:
    """Chooses `per_class` images of every class; a smaller subset lies inside a larger one.

    Raises:
        GendataError: a class has fewer.
    """
    _check_counts(images, per_class, "a class-balanced subset")
    chosen = [rows[:per_class] for rows in rows_by_class(images, seed)]
    return Subset(images, np.sort(np.concatenate(chosen)))


def balanced_split(images: Images, held_out_per_class: int, seed: int) -> tuple[Subset, Subset]:
    """Holds out some images of every class (500 of each, for validation on CIFAR-10).

    Returns:
        The images held out and the rest, which share none.

    Raises:
        GendataError: a class would have none left.
    """
    _check_counts(images, held_out_per_class + 1, f"holding out {held_out_per_class} per class")
    chosen = [rows[:held_out_per_class] for rows in rows_by_class(images, seed)]
    held_out = np.sort(np.concatenate(chosen))
    rest = np.setdiff1d(np.arange(len(images)), held_out, assume_unique=True)
    return Subset(images, held_out), Subset(images, rest)


def joined(first: Images, second: Images) -> Images:
    """Returns the union of two sets whose class lists agree; the first set's rows come first.

    Raises:
        GendataError: the class lists differ, and how.
    """
    check_same_classes(first.name, first.classes, second.name, second.classes)
    if isinstance(first, ArrayImages) and isinstance(second, ArrayImages):
        if first.images.shape[1:] == second.images.shape[1:]:
            return ArrayImages(
                f"{first.name} + {second.name}",
                first.classes,
                torch.cat([first.images, second.images]),
                np.concatenate([first.labels, second.labels]),
                (*first.damaged, *second.damaged),
            )
    return Joined(first, second)


def check_same_classes(
    first_name: str, first: Sequence[str], other_name: str, other: Sequence[str]
) -> None:
    """Makes sure that two class lists hold the same names in the same order.

    Args:
        first_name: what messages call the one.
        first: its class names in label order.
        other_name: what messages call the other.
        other: its class names in label order.

    Raises:
        GendataError: they differ, and how.
    """
    if list(first) != list(other):
        raise GendataError(
            f"the class lists of '{first_name}' and '{other_name}' differ",
            found=_difference(first_name, list(first), other_name, list(other)),
            expected="the same names in the same order",
            do="rename or export one set with the other's classes",
        )


def _check_counts(images: Images, needed: int, purpose: str) -> None:
    counts = np.bincount(images.labels, minlength=len(images.classes))
    label = int(counts.argmin())
    if needed < 1 or counts[label] < needed:
        raise GendataError(
            f"'{images.name}' is too small for {purpose}",
            found=f"{counts[label]} of class '{images.classes[label]}'",
            expected=f"at least {max(needed, 1)} of every class",
            do="ask for fewer per class",
        )


def _difference(
    first_name: str, first: list[str], other_name: str, other: list[str], shown: int = 5
) -> str:
    parts = [
        f"only {name} has {', '.join(map(repr, names[:shown]))}"
        + (f" and {len(names) - shown} more" if len(names) > shown else "")
        for name, names in (
            (first_name, [label for label in first if label not in other]),
            (other_name, [label for label in other if label not in first]),
        )
        if names
    ]
    if parts:
        return "; ".join(parts)
    if len(first) != len(other):
        return f"{len(first)} and {len(other)} names, some repeated"
    place = next(i for i, pair in enumerate(zip(first, other, strict=True)) if pair[0] != pair[1])
    return f"label {place} is {first[place]!r} in {first_name}, {other[place]!r} in {other_name}"
