"""Which slots a clone has, and which shard holds which of them.

A slot is a class and an ordinal, "the twelfth cat". Slots are numbered ordinal by ordinal, all
classes of ordinal 0 first, so that asking for more per class appends slots and changes none.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from gendata.errors import GendataError

__all__ = ["ClassTable", "Plan", "Shard", "choose_classes"]

MOST_LISTED = 20  # classes whose names an error lists


@dataclass(frozen=True)
class ClassTable:
    """The classes of a sampler, and those of them that the clone holds.

    Attributes:
        names: all names, in the sampler's label order.
        chosen: the sampler's labels of the clone's classes, ascending; a clone's label is a
            position in this tuple.
    """

    names: tuple[str, ...]
    chosen: tuple[int, ...]

    @property
    def chosen_names(self) -> list[str]:
        """Names of the clone's classes in label order."""
        return [self.names[label] for label in self.chosen]

    def key(self, label: int, ordinal: int) -> str:
        """Names a slot by the sampler's label: a clone of fewer classes keeps its keys."""
        width = max(2, len(str(len(self.names) - 1)))
        return f"c{label:0{width}d}-{ordinal:06d}"


class Shard(NamedTuple):
    """A file of a clone and the numbers of its slots, from `first` to before `end`."""

    number: int
    first: int
    end: int

    @property
    def file_name(self) -> str:
        """Name of the file in the clone's folder."""
        return f"shard-{self.number:05d}.parquet"


@dataclass(frozen=True)
class Plan:
    """The slots of a clone.

    Attributes:
        classes: number of classes in the clone.
        extents: images per class after the first run and after each extension, ascending.
        shard_size: slots a shard.
    """

    classes: int
    extents: tuple[int, ...]
    shard_size: int

    @property
    def per_class(self) -> int:
        """Images asked for, per class."""
        return self.extents[-1]

    @property
    def slots(self) -> int:
        """Number of slots."""
        return self.per_class * self.classes

    def shards(self) -> list[Shard]:
        """Cuts each extent into shards: an extension never changes a shard that is there."""
        bounds = [0, *(extent * self.classes for extent in self.extents)]
        cuts = [
            (first, min(first + self.shard_size, end))
            for start, end in zip(bounds, bounds[1:], strict=False)
            for first in range(start, end, self.shard_size)
        ]
        return [Shard(number, first, end) for number, (first, end) in enumerate(cuts)]


def choose_classes(names: Sequence[str], wanted: Sequence[str | int] | None) -> ClassTable:
    """Finds the wanted classes by name or label; None takes all.

    Raises:
        GendataError: a class that the sampler does not have, or one named twice.
    """
    unique = _unique(names)
    if wanted is None:
        return ClassTable(unique, tuple(range(len(unique))))
    chosen = [_label(item, unique) for item in wanted]
    if not chosen or len(set(chosen)) != len(chosen):
        raise GendataError(
            "the classes to draw are empty or repeated", found=list(wanted), expected="each once"
        )
    return ClassTable(unique, tuple(sorted(chosen)))


def _label(item: str | int, names: tuple[str, ...]) -> int:
    text = str(item)
    if isinstance(item, str) and item in names:
        return names.index(item)
    if text.isdecimal() and int(text) < len(names):
        return int(text)
    synonyms = [label for label, name in enumerate(names) if text in name.split(", ")]
    if len(synonyms) == 1:  # "tabby" of "tabby, tabby cat"
        return synonyms[0]
    close = difflib.get_close_matches(text, names, n=3)
    listed = f" ({', '.join(names)})" if len(names) <= MOST_LISTED else ""
    raise GendataError(
        f"the sampler has no class '{item}'",
        expected=f"a label from 0 to {len(names) - 1} or one of its names{listed}",
        do=f"did you mean {' or '.join(close)}?" if close else None,
    )


def _unique(names: Sequence[str]) -> tuple[str, ...]:
    """Tells classes of the same name apart (ImageNet has two "crane"), as readers demand."""
    return tuple(
        name if list(names).count(name) == 1 else f"{name} ({label})"
        for label, name in enumerate(names)
    )
