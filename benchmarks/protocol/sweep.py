"""Doing the runs that are not done: one after the other, in worker processes, or over ranks.

Each process trains its runs alone. Under `torchrun` or `accelerate launch` rank r of n takes every
n-th run of the plan, beginning with its r-th, and all of them wait for each other at the end.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

import click
import torch

from gendata.benchmarks.protocol.arguments import Protocol
from gendata.benchmarks.protocol.pace import Kind, Pace
from gendata.benchmarks.protocol.runs import Ledger, Run, identity, key_of, record_of
from gendata.benchmarks.protocol.sources import Bank, NotDrawn
from gendata.benchmarks.protocol.workers import attempt, in_workers
from gendata.errors import GendataError
from gendata.files import write_text
from gendata.models.device import resolve_device
from gendata.training.settings import Settings

__all__ = ["Planned", "Sweep", "all_ranks", "in_runs", "in_words"]

REASONS = 3  # that a message tells; the folder of failures has all

P = TypeVar("P", bound=Protocol)

LAUNCHER = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE")


@dataclass(frozen=True)
class Planned:
    """A run with its protocol; its key is None where its clone is not drawn yet."""

    bank: Bank
    run: Run
    key: str | None

    @property
    def title(self) -> str:
        """What people are told of it."""
        return f"{self.bank.protocol.name}, {self.run}"


class Sweep:
    """The runs of a study and the folder that holds them.

    Args:
        out: the study's folder.
        command: what would repeat the study, for the records.
        jobs: worker processes.
        limit: most runs that are trained now; None for no limit.
    """

    def __init__(
        self, out: Path, command: str, *, jobs: int = 1, limit: int | None = None
    ) -> None:
        self.out, self.command, self.jobs, self.limit = out, command, jobs, limit
        self.ledger = Ledger(out)
        self.failures: dict[str, str] = {}
        rank, ranks = _rank()
        self._who = f"rank {rank}: " if ranks > 1 else ""

    @property
    def writes(self) -> bool:
        """Whether this process writes what all ranks know."""
        return _rank()[0] == 0

    def failed(self, each: Planned) -> bool:
        """Whether a run failed just now."""
        return each.title in self.failures

    def plan(self, bank: Bank, runs: Sequence[Run]) -> list[Planned]:
        """Gives each run its key; two rows that ask for one training get one key."""
        return [Planned(bank, run, _key(bank, run)) for run in runs]

    def finished(self) -> dict[str, dict[str, Any]]:
        """The numbers of every finished run by its key, whichever study it was for."""
        return {record["key"]: record for record in self.ledger.read()}

    def do(self, planned: Sequence[Planned]) -> list[dict[str, Any]]:
        """Trains what is not finished, and returns the records of all that then are.

        A run that fails is noted in `failures`, and the others go on.
        """
        once = {each.key: each for each in planned if each.key is not None}
        done = self.finished()
        rank, ranks = _rank()
        mine = list(once.values())[rank::ranks]
        missing = [each for each in mine if each.key not in done]
        if self.limit is not None:
            missing = missing[: self.limit]
            self.limit -= len(missing)
        numbers = {key: record for key, record in done.items() if key in once}
        pace, left = Pace(done.values()), _by_kind(missing)
        if missing:
            self.say(f"training {in_runs(len(missing))}{self._remaining(pace, left)}")
        with _alone():
            for count, (number, found) in enumerate(self._train(missing), start=1):
                each = missing[number]
                outcome = self._note(each, found)
                left[_kind(each)] -= 1
                if isinstance(found, dict):
                    numbers[str(each.key)] = found
                    pace.add(_kind(each), found["seconds"])
                remaining = self._remaining(pace, left) if count < len(missing) else ""
                self.say(f"[{count}/{len(missing)}] {each.title}: {outcome}{remaining}")
        self._join_failures()
        numbers |= {key: found for key, found in self.finished().items() if key in once}
        return self._records(planned, numbers)

    def wait(self) -> None:
        """Waits for the other ranks: a launcher ends all of them with the first that fails."""
        if torch.distributed.is_initialized():
            torch.distributed.barrier()

    def stop_if_failed(self) -> None:
        """Ends a study some of whose runs failed.

        Raises:
            GendataError: which ones, and why; runs that failed for one reason are told together.
        """
        if not self.failures:
            return
        by_reason: dict[str, list[str]] = {}
        for run, why in self.failures.items():
            by_reason.setdefault(why, []).append(run)
        named = [
            f"{runs[0]}{f' and {len(runs) - 1} more' if len(runs) > 1 else ''}: {why}"
            for why, runs in by_reason.items()
        ]
        others = len(named) - REASONS
        raise GendataError(
            f"{in_runs(len(self.failures))} failed",
            found="; ".join(named[:REASONS] + ([f"{others} other reasons"] if others > 0 else [])),
            do=f"see {self.out / 'failures'}; the same command tries them again",
        )

    def _train(self, missing: Sequence[Planned]) -> Iterator[tuple[int, dict[str, Any] | str]]:
        """Yields the number and the outcome of each run, as they end."""
        tasks = [(each.bank, each.run, str(each.key)) for each in missing]
        if self.jobs > 1 and len(tasks) > 1:
            yield from in_workers(tasks, self.jobs)
        else:
            yield from ((number, attempt(*task)) for number, task in enumerate(tasks))

    def _note(self, each: Planned, found: dict[str, Any] | str) -> str:
        """Keeps a result on the disk, or why there is none, and says it in words."""
        if isinstance(found, str):
            reason = found.strip().splitlines()[-1]
            self.failures[each.title] = reason.replace(str(each.key), "…")  # one for all runs
            write_text(self.out / "failures" / f"{each.key}.txt", f"{each.title}\n\n{found}")
            return f"failed: {self.failures[each.title]}"
        record = record_of(each.bank.protocol, each.run, str(each.key), found, self.command)
        self.ledger.append(record)
        (self.out / "failures" / f"{each.key}.txt").unlink(missing_ok=True)
        accuracy = f"{record['accuracy']:.2%} ({record['select']}, on {record['judge']} images)"
        return f"{accuracy}, {in_words(record['seconds'])}"

    def say(self, what: str) -> None:
        """Tells people how far it is; each of several ranks tells of its own runs."""
        click.echo(f"{self._who}{what}", err=True)

    def _remaining(self, pace: Pace, left: Mapping[Kind, int]) -> str:
        """How long so many runs of each kind may take, as the end of a sentence."""
        estimate = pace.estimate(left)
        return "" if estimate is None else f"; about {in_words(estimate / self.jobs)} left"

    def _records(
        self, planned: Sequence[Planned], numbers: Mapping[str, dict[str, Any]]
    ) -> list[dict[str, Any]]:
        """The study's own record of every finished run, some of which other studies trained."""
        there = {identity(record): record for record in self.ledger.read()}
        records: dict[tuple[Any, ...], dict[str, Any]] = {}
        for each in planned:
            if each.key is None or each.key not in numbers:
                continue
            found, protocol = numbers[each.key], each.bank.protocol
            record = record_of(protocol, each.run, each.key, found, self.command)
            name = identity(record)
            if name not in there and self.writes:
                self.ledger.append(record)
            records.setdefault(name, {**record, **there.get(name, {})})
        return list(records.values())

    def _join_failures(self) -> None:
        """Waits for the other ranks and learns which of their runs failed."""
        if torch.distributed.is_initialized():
            every: list[Any] = [None] * torch.distributed.get_world_size()
            torch.distributed.all_gather_object(every, self.failures)
            self.failures = {run: why for each in every for run, why in each.items()}

    def outlook(self, planned: Sequence[Planned]) -> dict[str, Any]:
        """What is finished, what is left, and how long that may take: seconds, or None."""
        done = self.finished()
        unknown = [each for each in planned if each.key is None]
        keyed = {each.key: each for each in planned if each.key is not None}
        missing = [each for key, each in keyed.items() if key not in done]
        left = [*missing, *unknown]
        estimate = Pace(done.values()).estimate(_by_kind(left))
        return {
            "runs": len(keyed) + len(unknown),
            "finished": len(keyed) - len(missing),
            "left": len(left),
            "estimate_seconds": None if estimate is None else round(estimate / self.jobs, 1),
            "list": [
                {"key": each.key, "run": each.title} | {"finished": each.key in done}
                for each in planned
            ],
        }


def _by_kind(planned: Iterable[Planned]) -> Counter[Kind]:
    """How many of the runs there are of each kind."""
    return Counter(map(_kind, planned))


def _kind(planned: Planned) -> Kind:
    row = planned.run.row
    options = planned.bank.protocol.options_for(row)
    return row.method, options.get("network", Settings().network)


def in_runs(number: int) -> str:
    """`1 run`, `2 runs`."""
    return f"{number} run{'' if number == 1 else 's'}"


def in_words(seconds: float) -> str:
    """`40 s`, `12 min`, `3.5 h`."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


@contextmanager
def all_ranks(protocols: Sequence[P]) -> Iterator[list[P]]:
    """Joins the ranks of a launch, so that they can wait for each other; each takes its device."""
    if int(os.environ.get("WORLD_SIZE", 1)) == 1:
        yield list(protocols)
        return
    own = [replace(each, device=str(resolve_device(each.device))) for each in protocols]
    torch.distributed.init_process_group("gloo", timeout=timedelta(days=30))
    try:
        yield own
    finally:
        torch.distributed.destroy_process_group()


def _rank() -> tuple[int, int]:
    return int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))


@contextmanager
def _alone() -> Iterator[None]:
    """Hides the launcher: each rank trains its runs by itself."""
    kept = {name: os.environ.pop(name) for name in LAUNCHER if name in os.environ}
    try:
        yield
    finally:
        os.environ.update(kept)


def _key(bank: Bank, run: Run) -> str | None:
    try:
        return key_of(bank, run)
    except NotDrawn:
        return None
