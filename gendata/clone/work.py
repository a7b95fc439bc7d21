"""One process's part of a run: which files are missing, and how they are made."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypedDict

import pyarrow.parquet as pq
from tqdm import tqdm

from gendata.clone.assembly import assemble_shards, drop_used_candidates
from gendata.clone.attempts import AttemptRun, fill_shards
from gendata.clone.card import dataset_card
from gendata.clone.filter import ConfidenceFilter
from gendata.clone.plan import Plan, Shard
from gendata.clone.prepare import Subject, check_supply, prepare
from gendata.clone.ranks import Share
from gendata.clone.rejects import Outcomes, describe_outcomes, reject_report, ways_to_fill
from gendata.clone.rows import read_note
from gendata.clone.run_file import Run, open_run, versions
from gendata.clone.stream import DRAWS, DrawRun, count_outcomes, draw_until_filled
from gendata.clone.threads import dividing_threads
from gendata.clone.writer import BackgroundWriter
from gendata.errors import GendataError
from gendata.files import publish, remove_abandoned, write_json
from gendata.types import Sampler

__all__ = [
    "README",
    "REJECTS",
    "DrawingSettings",
    "Work",
    "begin_work",
    "wanted_run",
    "warn_of_other_versions",
]

REJECTS, README = "rejects.json", "README.md"


class DrawingSettings(TypedDict, total=False):
    """What decides a clone besides its sampler and size, as `draw_clone` describes it."""

    filter: ConfidenceFilter | None
    seed: int
    batch_size: int
    shard_size: int
    attempts: int
    short: bool
    extend: bool
    classes: Sequence[str | int] | None
    sampler_options: Mapping[str, Any] | None


def begin_work(
    sampler: Sampler, per_class: int, folder: Path, share: Share, settings: DrawingSettings
) -> Work:
    """Resolves the arguments of `draw_clone`, and starts or continues the run of its folder."""
    seed, attempts = settings["seed"], settings["attempts"]
    batch_size, shard_size = settings["batch_size"], settings["shard_size"]
    _check_counts(
        per_class=per_class, batch_size=batch_size, shard_size=shard_size, attempts=attempts
    )
    subject = prepare(
        sampler, settings["filter"], settings["classes"], settings["sampler_options"] or {}
    )
    if not settings["short"]:
        check_supply(subject, per_class)
    wanted = wanted_run(subject, per_class, seed, batch_size, shard_size, attempts)
    run = open_run(folder, wanted, settings["extend"])
    plan = Plan(len(subject.classes.chosen), run.extents, shard_size)
    return Work(subject, run, plan, share, folder, settings["short"])


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
            do=ways_to_fill(self.subject.drawer.judge.filter is not None),
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
