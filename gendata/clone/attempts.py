"""How a sampler that knows classes fills the slots: each by its own attempts 0, 1, 2 and on.

The seed of an attempt depends on the run's seed, the class, the ordinal and the attempt alone, so
no shard waits for another. Every batch has the same size, because kernels round differently for
other shapes: where too few slots are open, it is filled up with attempts that are only needed if
the ones before them fail. (Not so for a sampler whose images do not depend on their batch.) An
attempt after the accepted one is never counted.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import cycle, islice
from pathlib import Path

import numpy as np

from gendata.clone.drawing import Drawer, Drawn
from gendata.clone.filter import KEPT
from gendata.clone.plan import ClassTable, Shard
from gendata.clone.rejects import Outcomes, describe_outcomes, ways_to_fill
from gendata.clone.rows import RowGroup, Rows
from gendata.clone.writer import BackgroundWriter
from gendata.errors import GendataError
from gendata.seeds import hash_seed

__all__ = ["AttemptRun", "fill_shards"]

OPEN_SHARDS = 2  # a slow slot may hold one shard open while the next is drawn; no more in memory


@dataclass(frozen=True)
class AttemptRun:
    """What fills the slots.

    Attributes:
        drawer: draws and judges.
        classes: the clone's classes.
        seed: the run's seed.
        batch_size: images a batch.
        attempts: most attempts per slot.
        short: leave a slot empty that reached them, rather than stop.
    """

    drawer: Drawer
    classes: ClassTable
    seed: int
    batch_size: int
    attempts: int
    short: bool


@dataclass(eq=False)
class OpenShard:
    """A shard whose slots are being filled."""

    shard: Shard
    rows: Rows
    outcomes: Outcomes = field(default_factory=Outcomes)
    open_slots: int = 0


@dataclass(eq=False, slots=True)
class Slot:
    """A slot that waits for an image."""

    number: int
    label: int
    position: int
    ordinal: int
    home: OpenShard
    drawn: int = 0
    closed: bool = False


class Queue:
    """Hands out attempts, oldest slots first, in batches of one size."""

    def __init__(self, shards: Sequence[Shard], run: AttemptRun) -> None:
        self.shards = deque(shards)
        self.classes, self.drawer = run.classes, run.drawer
        self.batch_size = run.batch_size
        self.waiting: deque[Slot] = deque()
        self.open: list[OpenShard] = []

    def take(self) -> list[tuple[Slot, int]]:
        """Returns the next attempts, as slot and attempt number; none when all is filled."""
        while len(self.waiting) < self.batch_size and self.shards and len(self.open) < OPEN_SHARDS:
            self._open(self.shards.popleft())
        count = min(self.batch_size, len(self.waiting))
        slots = [self.waiting.popleft() for _ in range(count)]
        batch = []
        size = self.batch_size if self.drawer.fills_batches else count
        for slot in islice(cycle(slots), size):
            batch.append((slot, slot.drawn))
            slot.drawn += 1
        return batch

    def give_back(self, batch: list[tuple[Slot, int]]) -> list[OpenShard]:
        """Puts open slots back in their order; returns the shards that are now complete."""
        still_open = {slot: None for slot, _ in batch if not slot.closed}
        self.waiting.extendleft(reversed(still_open))
        complete = [home for home in self.open if not home.open_slots]
        self.open = [home for home in self.open if home.open_slots]
        return complete

    def _open(self, shard: Shard) -> None:
        home = OpenShard(
            shard,
            Rows(self.classes.chosen_names, self.drawer.columns),
            open_slots=shard.end - shard.first,
        )
        self.open.append(home)
        for number in range(shard.first, shard.end):
            ordinal, position = divmod(number, len(self.classes.chosen))
            self.waiting.append(
                Slot(number, self.classes.chosen[position], position, ordinal, home)
            )


def fill_shards(
    run: AttemptRun, shards: Sequence[Shard], folder: Path, writer: BackgroundWriter
) -> Iterator[int]:
    """Fills and writes shards; yields how many slots each batch closed.

    Raises:
        GendataError: a slot had no accepted attempt, and the run may not leave it empty.
    """
    queue = Queue(shards, run)
    while batch := queue.take():
        asked = np.array([slot.label for slot, _ in batch], dtype=np.int64)
        seeds = np.array(
            [hash_seed(run.seed, slot.label, slot.ordinal, attempt) for slot, attempt in batch],
            dtype=np.int64,
        )
        drawn = run.drawer.draw(asked, seeds)
        kept, closed = _settle(run, batch, drawn)
        _gather(run.classes, batch, kept, seeds, drawn, writer)
        for home in queue.give_back(batch):
            note = {"attempts": run.attempts, "outcomes": home.outcomes.to_note()}
            writer.write(folder / home.shard.file_name, home.rows, note)
        yield closed


def _settle(run: AttemptRun, batch: list[tuple[Slot, int]], drawn: Drawn) -> tuple[list[int], int]:
    """Closes slots whose attempt was kept, or was the last; returns kept rows, slots closed."""
    kept, closed = [], 0
    for row, ((slot, attempt), reason) in enumerate(
        zip(batch, drawn.verdicts.reasons, strict=True)
    ):
        if slot.closed:
            continue
        slot.home.outcomes.add(slot.label, reason)
        if reason == KEPT:
            kept.append(row)
        elif attempt + 1 < run.attempts:
            continue
        elif not run.short:
            raise _unfilled(run, slot)
        slot.closed = True
        slot.home.open_slots -= 1
        closed += 1
    return kept, closed


def _gather(
    classes: ClassTable,
    batch: list[tuple[Slot, int]],
    kept: list[int],
    seeds: np.ndarray,
    drawn: Drawn,
    writer: BackgroundWriter,
) -> None:
    """Gives the kept rows to their shards and their pixels to the encoder."""
    by_home: dict[OpenShard, list[int]] = {}
    for row in kept:
        by_home.setdefault(batch[row][0].home, []).append(row)
    for home, rows in by_home.items():
        slots = [batch[row][0] for row in rows]
        home.rows.add(
            RowGroup(
                order=np.array([slot.number for slot in slots], dtype=np.int64),
                keys=[classes.key(slot.label, slot.ordinal) for slot in slots],
                labels=np.array([slot.position for slot in slots], dtype=np.int64),
                seeds=seeds[rows],
                asked=np.array([slot.label for slot in slots], dtype=np.int64),
                confidence=drawn.verdicts.confidence[rows],
                probabilities=drawn.verdicts.probabilities[rows],
                encoded=writer.encode(drawn.pixels[rows]),
                described=drawn.described(rows),
            )
        )


def _unfilled(run: AttemptRun, slot: Slot) -> GendataError:
    name = run.classes.names[slot.label]
    rates = describe_outcomes(slot.home.outcomes, run.classes)
    return GendataError(
        f"class '{name}' cannot be filled: image {slot.ordinal} had no accepted attempt",
        found=f"accepted by class, fewest first: {rates}",
        expected=f"one in {run.attempts} attempts",
        do=ways_to_fill(run.drawer.judge.filter is not None),
    )
