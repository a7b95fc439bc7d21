"""How a sampler that is not asked for classes fills the slots: by draws 0, 1, 2 and on.

Whatever the order in which ranges of draws are made, and by whom, the first kept images of each
class in order of the draws fill its slots. A range of draws is one file of candidates in the
folder `draws`, with what became of each of its draws in the footer.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from gendata.clone.drawing import Drawer, knows_conditions
from gendata.clone.filter import KEPT
from gendata.clone.plan import ClassTable
from gendata.clone.ranks import Share
from gendata.clone.rejects import FULL, Outcomes
from gendata.clone.rows import RowGroup, Rows, read_note
from gendata.clone.writer import BackgroundWriter
from gendata.seeds import hash_seed
from gendata.types import FiniteSampler

__all__ = [
    "DRAWS",
    "DrawRun",
    "Tally",
    "count_outcomes",
    "draw_key",
    "draw_range",
    "draw_until_filled",
]

DRAWS = "draws"


@dataclass(frozen=True)
class DrawRun:
    """What makes draws.

    Attributes:
        drawer: draws and judges.
        classes: the clone's classes.
        seed: the run's seed.
        batch_size: images a batch.
        per_class: images wanted of each class.
        attempts: a class is given up after that many times as many draws as there are classes
            without a kept image of it.
        range_size: draws a file, a multiple of the batch size.
    """

    drawer: Drawer
    classes: ClassTable
    seed: int
    batch_size: int
    per_class: int
    attempts: int
    range_size: int

    def path(self, folder: Path, number: int) -> Path:
        """File of a range's candidates."""
        return folder / DRAWS / f"range-{number:05d}.parquet"

    @cached_property
    def order(self) -> np.ndarray | None:
        """Rows of a finite set in the order they are drawn, each once; None for a generator."""
        if not isinstance(self.drawer.sampler, FiniteSampler):
            return None
        return np.random.default_rng(self.seed).permutation(len(self.drawer.sampler.labels))

    @property
    def patience(self) -> int | None:
        """Draws without an image of a class until it is given up; a finite set ends by itself."""
        return None if self.order is not None else self.attempts * len(self.classes.chosen)

    def ask(self, draws: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Returns the sampler's labels asked for and the seeds of some draws, int64 (B,) each."""
        sampler = self.drawer.sampler
        if self.order is not None:
            rows = self.order[draws % len(self.order)]  # past the end only to fill a batch
            return np.asarray(sampler.labels, dtype=np.int64)[rows], rows.astype(np.int64)  # type: ignore[attr-defined]
        seeds = np.array([hash_seed(self.seed, int(draw)) for draw in draws], dtype=np.int64)
        if knows_conditions(sampler):
            return np.array(self.classes.chosen, dtype=np.int64)[
                draws % len(self.classes.chosen)
            ], seeds
        return np.full(len(draws), -1, dtype=np.int64), seeds


class Tally:
    """Gives the draws, in their order, to the slots.

    Attributes:
        filled: by the sampler's label, the draws whose images fill ordinals 0, 1, 2, …
        closed: by label, the draw at which the class was full, or was given up.
        drawn: draws seen so far.
        ranges: ranges seen so far.
    """

    def __init__(self, run: DrawRun) -> None:
        self.run = run
        self.filled = {label: array("q") for label in run.classes.chosen}
        self.closed: dict[int, int] = {}
        self.drawn = 0
        self.ranges = 0

    @property
    def done(self) -> bool:
        """Whether no more draws are needed."""
        return len(self.closed) == len(self.filled)

    @property
    def used_draws(self) -> int:
        """Draws needed: those after are as if they had never been."""
        return max(self.closed.values()) + 1

    @property
    def filled_slots(self) -> int:
        """Slots that have a draw."""
        return sum(map(len, self.filled.values()))

    def short_classes(self) -> list[int]:
        """The sampler's labels of the classes that were given up."""
        return [label for label, draws in self.filled.items() if len(draws) < self.run.per_class]

    def used_in(self, number: int) -> np.ndarray:
        """Draws of a range that fill slots, ascending."""
        used = np.sort(np.concatenate([np.array(draws) for draws in self.filled.values()]))
        bounds = np.array([number, number + 1]) * self.run.range_size
        return used[slice(*np.searchsorted(used, bounds))]

    def absorb(self, folder: Path) -> Tally:
        """Adds the ranges that are there, up to the first that is not, and returns itself."""
        while not self.done and (path := self.run.path(folder, self.ranges)).exists():
            self.add(read_note(path))
        return self

    def add(self, note: dict[str, Any]) -> None:
        """Adds the next range."""
        for draw, (label, reason) in enumerate(
            zip(note["labels"], note["reasons"], strict=True), start=self.drawn
        ):
            if reason == KEPT and label not in self.closed and not self._gave_up(label, draw - 1):
                self.filled[label].append(draw)
                if len(self.filled[label]) == self.run.per_class:
                    self.closed[label] = draw
        self.drawn += len(note["labels"])
        self.ranges += 1
        for label in self.filled.keys() - self.closed.keys():
            self._gave_up(label, self.drawn - 1)
            if self.run.order is not None and self.drawn >= len(self.run.order):
                self.closed.setdefault(label, self.drawn - 1)

    def _gave_up(self, label: int, draw: int) -> bool:
        """Closes a class that had no kept image for too long, up to and including a draw."""
        if self.run.patience is None:
            return False
        last = self.filled[label][-1] if self.filled[label] else -1
        if draw - last < self.run.patience:
            return False
        self.closed[label] = last + self.run.patience
        return True


def draw_until_filled(
    run: DrawRun, folder: Path, share: Share, writer: BackgroundWriter
) -> Iterator[Tally]:
    """Makes this process's ranges until the clone can be filled; yields the tally after each."""
    (folder / DRAWS).mkdir(exist_ok=True)
    tally = Tally(run).absorb(folder)
    number = share.index
    while _is_needed(run, tally, folder, number):
        if not run.path(folder, number).exists():
            draw_range(run, folder, number, writer)
        tally.absorb(folder)
        yield tally
        number += share.count
    share.wait_for(lambda: tally.absorb(folder).done)
    yield tally


def draw_range(run: DrawRun, folder: Path, number: int, writer: BackgroundWriter) -> None:
    """Makes one range of draws and writes it."""
    first, end = number * run.range_size, (number + 1) * run.range_size
    if run.order is not None:
        end = min(end, len(run.order))
    rows = Rows(run.classes.chosen_names, run.drawer.columns)
    note: dict[str, Any] = {"range": number, "labels": [], "reasons": []}
    positions = {label: position for position, label in enumerate(run.classes.chosen)}
    for start in range(first, end, run.batch_size):
        draws = np.arange(start, start + run.batch_size)
        asked, seeds = run.ask(draws)
        drawn = run.drawer.draw(asked, seeds)
        verdicts = drawn.verdicts
        kept = np.flatnonzero((verdicts.reasons == KEPT) & (draws < end))
        note["labels"] += verdicts.labels[: end - start].tolist()
        note["reasons"] += verdicts.reasons[: end - start].tolist()
        rows.add(
            RowGroup(
                order=draws[kept],
                keys=[draw_key(draw) for draw in draws[kept]],
                labels=np.array(
                    [positions[label] for label in verdicts.labels[kept].tolist()], np.int64
                ),
                seeds=seeds[kept],
                asked=asked[kept],
                confidence=verdicts.confidence[kept],
                probabilities=verdicts.probabilities[kept],
                encoded=writer.encode(drawn.pixels[kept]),
                described=drawn.described(kept),
            )
        )
    writer.write(run.path(folder, number), rows, note)
    writer.wait()


def draw_key(draw: int) -> str:
    """Names a candidate until it has a slot."""
    return f"draw-{draw:09d}"


def count_outcomes(run: DrawRun, tally: Tally, folder: Path) -> Outcomes:
    """Counts what became of the draws that were needed; kept ones too many are FULL."""
    outcomes = Outcomes()
    for number in range(tally.ranges):
        used = set(tally.used_in(number).tolist())
        note = read_note(run.path(folder, number))
        draws = range(number * run.range_size, tally.used_draws)
        for draw, label, reason in zip(draws, note["labels"], note["reasons"], strict=False):
            spare = reason == KEPT and draw not in used
            outcomes.add(label, FULL if spare else reason)
    return outcomes


def _is_needed(run: DrawRun, tally: Tally, folder: Path, number: int) -> bool:
    """Says whether the ranges before this one, as far as they are there, leave a class open."""
    if tally.done or (run.order is not None and number * run.range_size >= len(run.order)):
        return False
    lacking = {
        label: run.per_class - len(draws)
        for label, draws in tally.filled.items()
        if label not in tally.closed
    }
    for other in range(tally.ranges, number):
        if (path := run.path(folder, other)).exists():
            note = read_note(path)
            for label, reason in zip(note["labels"], note["reasons"], strict=True):
                if reason == KEPT and label in lacking:
                    lacking[label] -= 1
    return any(count > 0 for count in lacking.values())
