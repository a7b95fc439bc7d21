"""A few batches of a run, drawn to learn what the whole will take; nothing of them is kept."""

from __future__ import annotations

import io
import time
from dataclasses import dataclass

import numpy as np

from gendata.allocator import keep_freed_memory
from gendata.clone.filter import KEPT
from gendata.clone.prepare import Subject
from gendata.clone.rejects import Outcomes
from gendata.clone.rows import RowGroup, Rows, write_table
from gendata.clone.stream import DrawRun, draw_key
from gendata.clone.threads import cpu_threads, dividing_threads
from gendata.clone.writer import BackgroundWriter
from gendata.seeds import hash_seed
from gendata.types import FiniteSampler

__all__ = ["Trial", "draw_trial", "expected_acceptance", "expected_draws"]


@dataclass(frozen=True)
class Trial:
    """What the first batches of a run showed.

    Attributes:
        outcomes: what became of each image.
        drawn: images drawn.
        timed: those of them that the rate counts; the first batch warms up, if there are more.
        seconds: the time those took, filter and encoding included.
        row_bytes: an image's share of a file, with its row.
        file_bytes: an empty file.
        held_bytes: what an image takes in memory until its file is written.
    """

    outcomes: Outcomes
    drawn: int
    timed: int
    seconds: float
    row_bytes: float
    file_bytes: int
    held_bytes: float

    @property
    def rate(self) -> float:
        """Images drawn, judged and encoded per second."""
        return self.timed / self.seconds

    def kept(self, label: int) -> tuple[int, int]:
        """Images of a class that would be kept, and all of that class."""
        reasons = self.outcomes.by_reason(label)
        return reasons.get(KEPT, 0), sum(reasons.values())

    @property
    def accepted(self) -> int:
        """Images that would be kept."""
        return self.outcomes.by_reason().get(KEPT, 0)


def draw_trial(
    subject: Subject, seed: int, batch_size: int, images: int, longest: float = 30.0
) -> Trial:
    """Draws the first batches of a run.

    Args:
        subject: what is drawn.
        seed: the run's.
        batch_size: images a batch, as in the run.
        images: how many at least, in whole batches.
        longest: seconds after which no further batch is begun.

    Raises:
        GendataError: the sampler or the classifier fails.
    """
    groups: list[RowGroup] = []
    outcomes, begun = Outcomes(), time.perf_counter()
    warm = begun  # when the first batch was done
    threads = cpu_threads(dividing_threads(batch_size))
    with threads, keep_freed_memory(), BackgroundWriter() as writer:
        while not groups or (
            len(groups) * batch_size < images and time.perf_counter() - begun < longest
        ):
            groups.append(_draw(subject, seed, len(groups), batch_size, outcomes, writer))
            if len(groups) == 1:
                groups[0].encoded.result()
                warm = time.perf_counter()
        held = sum(len(file) for group in groups for file in group.encoded.result()[0])
        ended = time.perf_counter()
    drawn = len(groups) * batch_size
    timed, seconds = drawn - batch_size, ended - warm
    if not timed:
        timed, seconds = drawn, ended - begun
    file_bytes = _file_size(subject, [])
    row_bytes = (_file_size(subject, groups) - file_bytes) / drawn
    return Trial(outcomes, drawn, timed, seconds, row_bytes, file_bytes, held / drawn)


def expected_acceptance(trial: Trial, label: int) -> float:
    """Chance that an attempt at a class is kept; one without draws is taken for an average one."""
    overall = max(trial.accepted, 0.5) / trial.drawn
    kept, drawn = trial.kept(label)
    return (kept + overall) / (drawn + 1)


def expected_draws(trial: Trial, subject: Subject, per_class: int) -> float:
    """Images to draw until every class has enough."""
    chosen = subject.classes.chosen
    if subject.by_attempts:
        return sum(per_class / expected_acceptance(trial, label) for label in chosen)
    overall = max(trial.accepted, 0.5) / trial.drawn
    # Shares of the kept images with one more of each class: a rare one may not have come yet.
    kept = [trial.kept(label)[0] + 1 for label in chosen]
    draws = per_class / (overall * min(kept) / sum(kept))
    sampler = subject.drawer.sampler
    return min(draws, len(sampler.labels)) if isinstance(sampler, FiniteSampler) else draws


def _draw(
    subject: Subject,
    seed: int,
    number: int,
    batch_size: int,
    outcomes: Outcomes,
    writer: BackgroundWriter,
) -> RowGroup:
    """Draws one batch, counts its outcomes and starts to encode it."""
    draws = np.arange(number * batch_size, (number + 1) * batch_size)
    asked, seeds = _ask(subject, seed, draws)
    drawn = subject.drawer.draw(asked, seeds)
    verdicts = drawn.verdicts
    for label, reason in zip(verdicts.labels.tolist(), verdicts.reasons, strict=True):
        outcomes.add(label, reason)
    return RowGroup(
        order=draws,
        keys=[draw_key(draw) for draw in draws.tolist()],
        labels=np.zeros(batch_size, np.int64),
        seeds=seeds,
        asked=asked,
        confidence=verdicts.confidence,
        probabilities=verdicts.probabilities,
        encoded=writer.encode(drawn.pixels),
        described=drawn.columns,
    )


def _ask(subject: Subject, seed: int, numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The run's own first attempts, or draws: labels asked for and seeds, int64 (B,) each."""
    classes = subject.classes
    if not subject.by_attempts:
        return DrawRun(subject.drawer, classes, seed, len(numbers), 1, 1, len(numbers)).ask(
            numbers
        )
    ordinals, positions = np.divmod(numbers, len(classes.chosen))
    asked = np.array(classes.chosen, dtype=np.int64)[positions]
    pairs = zip(asked.tolist(), ordinals.tolist(), strict=True)
    seeds = [hash_seed(seed, label, ordinal, 0) for label, ordinal in pairs]
    return asked, np.array(seeds, dtype=np.int64)


def _file_size(subject: Subject, groups: list[RowGroup]) -> int:
    rows, file = Rows(subject.classes.chosen_names, subject.drawer.columns), io.BytesIO()
    for group in groups:
        rows.add(group)
    write_table(file, rows.table(), {})
    return len(file.getvalue())
