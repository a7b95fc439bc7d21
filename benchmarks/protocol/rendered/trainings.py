"""What each study of rendered images trains: rows of its table, each on one rendered set."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from gendata.benchmarks.protocol.presets import Row
from gendata.benchmarks.protocol.references import listed
from gendata.errors import GendataError
from gendata.images.augment import check_augmentation
from gendata.render.presets import fixings

__all__ = ["RANDOM", "Drawing", "Training", "trainings_of"]

RANDOM = "random"  # the set in which every factor varies
FULL = "full"  # what the published table calls the row without a fixed factor
METHOD = "fake"
FIXED, ONCE = "fixed", "once"


@dataclass(frozen=True)
class Drawing:
    """A set of images to render.

    Attributes:
        options: of the sampler.
        per_class: images of each class.
        seed: of the clone.
    """

    options: Mapping[str, Any] = field(hash=False)
    per_class: int
    seed: int


@dataclass(frozen=True)
class Training:
    """A row of a study's table and the images that it is trained on.

    Attributes:
        row: its label, network and augmentation.
        source: name of the rendered set.
        per_class: so many images of each class of it.
        changes: options of the sampler in place of the study's.
    """

    row: Row
    source: str
    per_class: int
    changes: Mapping[str, Any] = field(default_factory=dict, hash=False)


def trainings_of(
    study: str,
    preset: Mapping[str, Any],
    given: Mapping[str, Any],
    settings: Mapping[str, Any],
    classes: int,
) -> tuple[Training, ...]:
    """All rows of a study.

    Args:
        study: "rendered", "factors", "capacity" or "quantity".
        preset: as `load_presets` returns it.
        given: the study's keywords, of which those that were given.
        settings: of all trainings.
        classes: how many there are.

    Raises:
        GendataError: the preset has nothing for the study, or no number of images or iterations.
    """
    if study not in preset:
        raise GendataError(
            f"the preset '{preset['preset']}' has nothing for {study}",
            do="choose another preset, for example rendered",
        )
    make = {
        "rendered": _repetition,
        "factors": _factors,
        "capacity": _capacity,
        "quantity": _quantity,
    }[study]
    sizes = Sizes(_per_class({**preset, **preset[study]}, given), settings, classes)
    return tuple(make(preset[study], given, sizes))


@dataclass(frozen=True)
class Sizes:
    """How many images trainings need.

    Attributes:
        per_class: of each class, in a fixed set; several for the study of quantity.
        settings: of all trainings.
        classes: how many there are.
    """

    per_class: tuple[int, ...]
    settings: Mapping[str, Any]
    classes: int

    @property
    def fixed(self) -> int:
        """Of each class in the fixed set: the largest number that was given."""
        return max(self.per_class)

    @property
    def once(self) -> int:
        """Of each class, so that none comes twice in all iterations."""
        iterations, batch = self.settings.get("iterations"), self.settings.get("batch_size", 128)
        if not isinstance(iterations, int):
            raise GendataError(
                "a training on images that never come again needs a number of updates",
                found=repr(iterations),
                do="give iterations=…",
            )
        return math.ceil(iterations * batch / self.classes)


def _per_class(preset: Mapping[str, Any], given: Mapping[str, Any]) -> tuple[int, ...]:
    numbers = listed(given.get("per_class", preset.get("per_class", ())))
    if not numbers or not all(isinstance(each, int) and each > 0 for each in numbers):
        raise GendataError(
            "the number of images of each class is out of range",
            found=", ".join(map(repr, numbers)) or "none",
            expected="one or more whole numbers of at least 1",
        )
    return tuple(dict.fromkeys(numbers))


def _chosen(table: Mapping[str, Any], given: Mapping[str, Any], name: str) -> list[Any]:
    """The values of a table of the preset, in whose place others can be given."""
    values = listed(given.get(name, table.get(name, ())))
    if not values:
        raise GendataError(f"there are no {name} to train with", do=f"give {name}=…")
    if name == "augment":
        for each in values:
            check_augmentation(each)
    return values


def _row(label: str, baseline: str | None, **options: Any) -> Row:
    return Row(label, label, METHOD, baseline=baseline, options=options)


def _repetition(
    table: Mapping[str, Any], given: Mapping[str, Any], sizes: Sizes
) -> Sequence[Training]:
    """Fixed and never repeated images, by augmentation, by network."""
    both = listed(table.get("repeat", [True, False]))
    return [
        Training(
            _row(
                f"{network}, {FIXED if repeat else ONCE}, {augment}",
                None if repeat or True not in both else f"{network}, {FIXED}, {augment}",
                network=network,
                augment=augment,
                repeat=repeat,
            ),
            RANDOM,
            sizes.fixed if repeat else sizes.once,
        )
        for network in _chosen(table, given, "networks")
        for augment in _chosen(table, given, "augment")
        for repeat in both
    ]


def _factors(
    table: Mapping[str, Any], given: Mapping[str, Any], sizes: Sizes
) -> Sequence[Training]:
    """Everything random, then one factor fixed at a time."""
    own = {
        "network": _chosen(table, given, "networks")[0],
        "augment": _chosen(table, given, "augment")[0],
    }
    found = [Training(_row(RANDOM, None, **own), RANDOM, sizes.fixed)]
    rows = [each for each in _fixings(table) if each[0] != FULL]
    wanted = listed(given.get("only", ()))
    known = dict.fromkeys(factor for factor, _, _ in rows)
    for each in wanted:
        if each not in known:
            raise GendataError(
                f"no factor is called '{each}'", expected=f"some of {', '.join(known)}"
            )
    for factor, value, changes in rows:
        if not wanted or factor in wanted:
            name = f"{factor}: {value}"
            found.append(Training(_row(name, RANDOM, **own), name, sizes.fixed, changes))
    return found


def _fixings(table: Mapping[str, Any]) -> list[tuple[str, str, Mapping[str, Any]]]:
    """Factor, value and the sampler's options: the preset's own, or those of the paper."""
    if "rows" not in table:
        return [(each.factor, each.value, each.changes) for each in fixings()]
    found = []
    for row in table["rows"]:
        if not isinstance(row, Mapping) or row.keys() != {"factor", "value", "options"}:
            raise GendataError(
                "a row of the factors is not written as it should be",
                found=repr(row),
                expected="factor, value and options",
            )
        found.append((str(row["factor"]), str(row["value"]), row["options"]))
    return found


def _capacity(
    table: Mapping[str, Any], given: Mapping[str, Any], sizes: Sizes
) -> Sequence[Training]:
    """Networks of several sizes, on images that never come again."""
    augment = _chosen(table, given, "augment")[0]
    return [
        Training(_row(network, None, network=network, augment=augment, repeat=False), RANDOM, n)
        for network in _chosen(table, given, "networks")
        for n in (sizes.once,)
    ]


def _quantity(
    table: Mapping[str, Any], given: Mapping[str, Any], sizes: Sizes
) -> Sequence[Training]:
    """Fixed sets of several sizes and images that never come again, at equal iterations."""
    network = _chosen(table, given, "networks")[0]
    augment = _chosen(table, given, "augment")[0]
    most = sizes.once
    found = [
        Training(_row(f"{n:,} a class", None, network=network, augment=augment), RANDOM, n)
        for n in sorted(sizes.per_class)
        if n < most
    ]
    once = _row(f"{most:,} a class", None, network=network, augment=augment, repeat=False)
    return [*found, Training(once, RANDOM, most)]
