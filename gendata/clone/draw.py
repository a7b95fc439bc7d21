"""Drawing a clone: the function that ties the parts together."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, overload

import pyarrow.parquet as pq
from tqdm import tqdm

from gendata.allocator import keep_freed_memory
from gendata.clone.assembly import assemble_shards, drop_used_candidates
from gendata.clone.attempts import AttemptRun, fill_shards
from gendata.clone.card import dataset_card
from gendata.clone.filter import ConfidenceFilter
from gendata.clone.plan import Plan, Shard
from gendata.clone.prepare import Subject, check_supply, prepare
from gendata.clone.ranks import Share, find_share
from gendata.clone.rejects import Outcomes, describe_outcomes, reject_report
from gendata.clone.remote import draw_to_url, is_url
from gendata.clone.rows import read_note
from gendata.clone.run_file import Run, open_run, versions
from gendata.clone.stream import DRAWS, DrawRun, count_outcomes, draw_until_filled
from gendata.clone.threads import cpu_threads, dividing_threads
from gendata.clone.writer import BackgroundWriter
from gendata.errors import GendataError
from gendata.files import publish, remove_abandoned, write_json
from gendata.images import open_images
from gendata.types import Images, Sampler

__all__ = [
    "README",
    "REJECTS",
    "Work",
    "begin_work",
    "draw_clone",
    "plan_clone",
    "wanted_run",
    "warn_of_other_versions",
]

REJECTS, README = "rejects.json", "README.md"


@overload
def draw_clone(
    sampler: Sampler,
    per_class: int,
    out: str | Path,
    *,
    filter: ConfidenceFilter | None = ...,
    seed: int = ...,
    batch_size: int = ...,
    shard_size: int = ...,
    attempts: int = ...,
    short: bool = ...,
    extend: bool = ...,
    classes: Sequence[str | int] | None = ...,
    shard: None = ...,
    progress: bool = ...,
    sampler_options: Mapping[str, Any] | None = ...,
) -> Images: ...


@overload
def draw_clone(
    sampler: Sampler,
    per_class: int,
    out: str | Path,
    *,
    filter: ConfidenceFilter | None = ...,
    seed: int = ...,
    batch_size: int = ...,
    shard_size: int = ...,
    attempts: int = ...,
    short: bool = ...,
    extend: bool = ...,
    classes: Sequence[str | int] | None = ...,
    shard: tuple[int, int] | None,
    progress: bool = ...,
    sampler_options: Mapping[str, Any] | None = ...,
) -> Images | None: ...


def draw_clone(
    sampler: Sampler,
    per_class: int,
    out: str | Path,
    *,
    filter: ConfidenceFilter | None = None,
    seed: int = 0,
    batch_size: int = 64,
    shard_size: int = 2048,
    attempts: int = 100,
    short: bool = False,
    extend: bool = False,
    classes: Sequence[str | int] | None = None,
    shard: tuple[int, int] | None = None,
    progress: bool = True,
    sampler_options: Mapping[str, Any] | None = None,
) -> Images | None:
    """Draws a balanced, labelled clone of a generator into a folder, or continues one.

    Args:
        sampler: where images come from.
        per_class: images of each class.
        out: the clone's folder: new, empty, or one that the same call made before; or a URL that
            fsspec knows.
        filter: which images are kept; None keeps all.
        seed: seed of the run, 0 or more.
        batch_size: images a batch; another one changes the last bits of rounding.
        shard_size: images a file, about.
        attempts: most attempts per image. A sampler that is not asked for classes gives a class
            up after `attempts` times as many draws as there are classes without one of it.
        short: leave a class short that cannot be filled, rather than stop.
        extend: allow more per class than the folder was drawn with; what is there stays.
        classes: names or labels of the sampler's classes; None: all.
        shard: (i, n) draws the i-th of n shares, i from 0; None: all, or the share of this rank
            under `accelerate launch` or `torchrun`.
        progress: show a bar on stderr, where that is a terminal.
        sampler_options: what the sampler was loaded with, recorded to load it again.

    Returns:
        The clone; None where `shard` is given and other shares are not done yet.

    Raises:
        GendataError: arguments that do not fit each other or the folder, a class that cannot be
            filled, a full disk.
    """
    settings: dict[str, Any] = {
        "filter": filter,
        "seed": seed,
        "batch_size": batch_size,
        "shard_size": shard_size,
        "attempts": attempts,
        "short": short,
        "extend": extend,
        "classes": classes,
        "sampler_options": sampler_options,
    }
    if is_url(out):
        into = partial(draw_clone, sampler, per_class, shard=shard, progress=progress, **settings)
        return draw_to_url(into, str(out), shard)
    work = begin_work(sampler, per_class, Path(out), find_share(shard), **settings)
    if not work.finished:
        warn_of_other_versions(work.run)
        with cpu_threads(work.run.threads), keep_freed_memory():
            if not work.draw(progress):
                return None
    work.refuse_short(json.loads((work.folder / REJECTS).read_text(encoding="utf-8")))
    return open_images(work.folder)


def begin_work(
    sampler: Sampler,
    per_class: int,
    folder: Path,
    share: Share,
    *,
    filter: ConfidenceFilter | None,
    seed: int,
    batch_size: int,
    shard_size: int,
    attempts: int,
    short: bool,
    extend: bool,
    classes: Sequence[str | int] | None,
    sampler_options: Mapping[str, Any] | None,
) -> Work:
    """Resolves the arguments of `draw_clone`, and starts or continues the run of its folder."""
    _check_counts(
        per_class=per_class, batch_size=batch_size, shard_size=shard_size, attempts=attempts
    )
    subject = prepare(sampler, filter, classes, sampler_options or {})
    if not short:
        check_supply(subject, per_class)
    wanted = wanted_run(subject, per_class, seed, batch_size, shard_size, attempts)
    run = open_run(folder, wanted, extend)
    plan = Plan(len(subject.classes.chosen), run.extents, shard_size)
    return Work(subject, run, plan, share, folder, short)


def wanted_run(
    subject: Subject, per_class: int, seed: int, batch_size: int, shard_size: int, attempts: int
) -> Run:
    """What `run.json` says of a new clone."""
    settings = {"seed": seed, "batch_size": batch_size, "shard_size": shard_size}
    return Run(
        settings={**subject.settings, **settings},
        extents=(per_class,),
        attempts=attempts,
        threads=dividing_threads(batch_size),
        cards=subject.cards,
        versions=versions(),
    )


def plan_clone(
    sampler: Sampler,
    per_class: int,
    *,
    filter: ConfidenceFilter | None = None,
    classes: Sequence[str | int] | None = None,
    shard_size: int = 2048,
) -> dict[str, Any]:
    """Says what `draw_clone` would draw, and finds the mistakes that it would find at once."""
    subject = prepare(sampler, filter, classes, {})
    plan = Plan(len(subject.classes.chosen), (per_class,), shard_size)
    return {
        "sampler": sampler.name,
        "classes": subject.classes.chosen_names,
        "per_class": per_class,
        "images": plan.slots,
        "shards": len(plan.shards()),
        "filter": subject.settings["filter"],
    }


@dataclass(frozen=True)
class Work:
    """One process's part of a run."""

    subject: Subject
    run: Run
    plan: Plan
    share: Share
    folder: Path
    short: bool

    @property
    def finished(self) -> bool:
        """Whether all was written, and still is there."""
        return self.run.finished and not self.missing(self.plan.shards())

    def missing(self, shards: Iterable[Shard]) -> list[Shard]:
        """Lists the shards that are not there."""
        return [shard for shard in shards if not (self.folder / shard.file_name).exists()]

    def draw(self, progress: bool) -> bool:
        """Draws what is this process's; says whether the clone is complete, and then closes it."""
        for part in (self.folder, self.folder / DRAWS):
            remove_abandoned(part)
        shards = self.plan.shards()
        self.drop_short(shards)
        present = self.plan.slots - sum(shard.end - shard.first for shard in self.missing(shards))
        bar = tqdm(
            total=self.plan.slots,
            initial=present,
            desc=f"draw {self.folder.name}",
            unit=" images",
            disable=None if progress else True,
        )
        with bar, BackgroundWriter() as writer:
            fill = self._fill_by_attempts if self.subject.by_attempts else self._fill_by_draws
            outcomes = fill(shards, writer, bar)
        if outcomes is None:
            return False
        report = reject_report(outcomes, self.subject.classes, self.plan.per_class)
        write_json(self.folder / REJECTS, report)
        self.refuse_short(report)
        card = dataset_card(self.run, report)
        publish(self.folder / README, lambda file: file.write(card.encode()))
        replace(self.run, finished=True).write(self.folder)
        return True

    def refuse_short(self, report: dict[str, Any]) -> None:
        """Stops where a class is short and may not be."""
        lacking = [entry for entry in report["classes"] if entry["missing"]]
        if lacking and not self.short:
            raise GendataError(
                f"class '{lacking[0]['name']}' is short",
                found=f"{lacking[0]['accepted']} images",
                expected=self.plan.per_class,
                do="allow more attempts, or leave classes short (--short)",
            )

    def _fill_by_attempts(
        self, shards: list[Shard], writer: BackgroundWriter, bar: tqdm
    ) -> Outcomes | None:
        mine = [shard for shard in self.missing(shards) if self.share.owns(shard.number)]
        for closed in fill_shards(self.attempt_run(), mine, self.folder, writer):
            bar.update(closed)
        writer.wait()
        if not self.share.wait_for(lambda: not self.missing(shards)):
            return None
        outcomes = Outcomes()
        for shard in shards:
            note = read_note(self.folder / shard.file_name)
            outcomes.merge(Outcomes.from_note(note["outcomes"]))
        return outcomes

    def _fill_by_draws(
        self, shards: list[Shard], writer: BackgroundWriter, bar: tqdm
    ) -> Outcomes | None:
        run = self.draw_run()
        for tally in draw_until_filled(run, self.folder, self.share, writer):
            bar.update(max(0, tally.filled_slots - bar.n))
        if not tally.done:
            return None
        outcomes = count_outcomes(run, tally, self.folder)
        if tally.short_classes() and not self.short:
            raise self._unfilled(tally.short_classes()[0], outcomes)
        own_first = sorted(shards, key=lambda shard: not self.share.owns(shard.number))
        assemble_shards(run, tally, own_first, self.folder, writer)
        self.share.wait_for(lambda: not self.missing(shards))
        drop_used_candidates(run, tally, self.folder)
        return outcomes

    def attempt_run(self) -> AttemptRun:
        """What fills the slots of a sampler that is asked for classes."""
        settings = self.run.settings
        return AttemptRun(
            self.subject.drawer,
            self.subject.classes,
            settings["seed"],
            settings["batch_size"],
            self.run.attempts,
            self.short,
        )

    def draw_run(self) -> DrawRun:
        """What makes draws, of one that is not."""
        settings, classes = self.run.settings, self.subject.classes
        batch, slots = settings["batch_size"], self.run.extents[0] * self.plan.classes
        range_size = min(settings["shard_size"], -(-slots // 4))  # a small clone wants small steps
        return DrawRun(
            drawer=self.subject.drawer,
            classes=classes,
            seed=settings["seed"],
            batch_size=batch,
            per_class=self.plan.per_class,
            attempts=self.run.attempts,
            range_size=-(-range_size // batch) * batch,
        )

    def drop_short(self, shards: list[Shard]) -> None:
        """Removes shards with empty slots that had fewer attempts than are allowed now."""
        for shard in shards:
            path = self.folder / shard.file_name
            if not path.exists() or pq.read_metadata(path).num_rows == shard.end - shard.first:
                continue
            if read_note(path)["attempts"] < self.run.attempts:
                path.unlink(missing_ok=True)

    def _unfilled(self, label: int, outcomes: Outcomes) -> GendataError:
        classes = self.subject.classes
        return GendataError(
            f"class '{classes.names[label]}' cannot be filled",
            found=f"accepted by class, fewest first: {describe_outcomes(outcomes, classes)}",
            expected=f"{self.plan.per_class} of each class",
            do="lower the threshold, allow more attempts, or leave classes short (--short)",
        )


def _check_counts(**counts: int) -> None:
    for name, count in counts.items():
        if count < 1:
            raise GendataError(f"{name} is out of range", found=count, expected="at least 1")


def warn_of_other_versions(run: Run) -> None:
    """Warns where the run was begun with packages that are not those of now."""
    now = versions()
    changed = [
        f"{name} {there} there, {now.get(name)} now"
        for name, there in run.versions.items()
        if now.get(name) != there
    ]
    if changed:
        warnings.warn(
            f"this clone was begun with other versions ({', '.join(changed)}): the last bits of "
            "new images may differ",
            stacklevel=3,
        )
