"""Checks a run before it starts: everything that would stop it, and what it will take."""

from __future__ import annotations

import math
import os
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch

from gendata.clone.filter import ConfidenceFilter
from gendata.clone.identity import identity_difference
from gendata.clone.machine import (
    available_memory,
    busy,
    describe_device,
    free_disk,
    peak_memory,
    refusal_to_write,
    size_of,
)
from gendata.clone.plan import Plan
from gendata.clone.prepare import Subject, check_supply, prepare
from gendata.clone.rejects import describe_outcomes, reject_report
from gendata.clone.remote import Store, staging_folder
from gendata.clone.run_file import Run, read_run
from gendata.clone.source import Source
from gendata.clone.threads import dividing_threads
from gendata.clone.trial import Trial, draw_trial, expected_acceptance, expected_draws
from gendata.clone.units import byte_size, duration, short
from gendata.clone.work import wanted_run
from gendata.errors import GendataError
from gendata.files import is_temporary
from gendata.images.class_names import match_names
from gendata.images.places import is_url
from gendata.models.device import resolve_device
from gendata.types import Card, FiniteSampler, Sampler

__all__ = ["LEVELS", "Finding", "Wish", "examine_run"]

OK, WARNING, PROBLEM = LEVELS = ("ok", "warning", "problem")
HELD_SHARDS = 4  # two being filled, one being written, and that one's table


@dataclass(frozen=True)
class Wish:
    """The run that is asked for; names as in `draw_clone`.

    Attributes:
        source: sampler and filter.
        jobs: number of processes that an estimate is made for.
        trial: images of the trial draw, in whole batches.
    """

    source: Source
    per_class: int
    out: Path | str | None = None
    classes: Sequence[str | int] | None = None
    seed: int = 0
    batch_size: int = 64
    shard_size: int = 2048
    attempts: int = 100
    short: bool = False
    extend: bool = False
    jobs: int = 8
    trial: int = 1024


@dataclass(frozen=True)
class Finding:
    """One line of the result: what was checked, how it stands, and the figures behind it."""

    check: str
    level: str
    text: str
    figures: dict[str, Any] = field(default_factory=dict)


def examine_run(wish: Wish) -> dict[str, Any]:
    """Checks a run, and draws a few batches of it that are not kept. Nothing is written.

    Returns:
        `ok`, whether there is no problem; `problems` and `warnings`, their numbers; `checks`, the
        findings.
    """
    findings = list(_findings(wish))
    levels = [finding.level for finding in findings]
    return {
        "ok": PROBLEM not in levels,
        "problems": levels.count(PROBLEM),
        "warnings": levels.count(WARNING),
        "checks": [asdict(finding) for finding in findings],
    }


def _findings(wish: Wish) -> Iterator[Finding]:
    yield _device(wish)
    sampler, found = _load("sampler", wish.source.reference, wish.source.sampler)
    yield found
    if (engine := getattr(sampler, "engine", None)) is not None:
        yield Finding("engine", OK, engine)
    judge: ConfidenceFilter | None = None
    if wish.source.judge is not None:
        judge, found = _load("filter", wish.source.judge, wish.source.filter)
        yield found
    subject = None
    if sampler is not None and (judge is not None or wish.source.judge is None):
        subject, found = _classes(wish, sampler, judge)
        yield found
    if wish.out is not None:
        yield _output(wish, wish.out, subject)
    if subject is None:
        return
    try:
        trial = draw_trial(subject, wish.seed, wish.batch_size, wish.trial)
    except (GendataError, RuntimeError, OSError) as error:
        yield Finding("trial", PROBLEM, f"a batch of {wish.batch_size} fails: {_line(error)}")
        return
    yield _acceptance(wish, subject, trial)
    yield _memory(wish, trial)
    yield _time(wish, subject, trial)
    yield _disk(wish, subject, trial)


def _device(wish: Wish) -> Finding:
    figures: dict[str, Any] = {
        "torch": torch.__version__,
        "cuda": torch.version.cuda,
        "accelerators": torch.cuda.device_count(),
        "threads": torch.get_num_threads(),
        "processors": os.cpu_count(),
    }
    try:
        device = resolve_device(wish.source.device)
    except GendataError as error:
        return Finding("device", PROBLEM, str(error), figures)
    text = f"{describe_device(device)}; torch {torch.__version__}"
    figures["device"] = str(device)
    if device.type != "cpu":
        return Finding("device", OK, text, figures)
    threads = dividing_threads(wish.batch_size)
    text += f", {threads} threads"
    if torch.cuda.is_available():
        return Finding("device", WARNING, f"{text}; this machine has CUDA: --device cuda", figures)
    if threads < torch.get_num_threads():
        text += f" of {torch.get_num_threads()}: choose a batch size that they divide"
        return Finding("device", WARNING, text, figures)
    return Finding("device", OK, text, figures)


def _load(kind: str, reference: str, load: Any) -> tuple[Any, Finding]:
    try:
        loaded = load()
    except (GendataError, OSError) as error:
        return None, Finding(kind, PROBLEM, _line(error))
    card: Card = loaded.card if kind == "sampler" else loaded.classifier.card
    figures: dict[str, Any] = {"reference": reference, "sha256": card.sha256}
    figures["licence"] = card.licence
    text = f"{reference}, licence {card.licence}"
    path = Path(reference if Path(reference).exists() else reference.partition(":")[2])
    if path.name and path.exists():
        figures["bytes"] = size_of(path)
        text += f", {byte_size(size_of(path))}"
    if not card.sha256:
        text += ", no digest: another file in its place would not be noticed"
        return loaded, Finding(kind, WARNING, text, figures)
    return loaded, Finding(kind, OK, f"{text}, sha256 {card.sha256[:16]}…", figures)


def _classes(
    wish: Wish, sampler: Sampler, judge: ConfidenceFilter | None
) -> tuple[Subject | None, Finding]:
    try:
        subject = prepare(sampler, judge, wish.classes, wish.source.options)
        if not wish.short:
            check_supply(subject, wish.per_class)
    except (GendataError, RuntimeError) as error:
        return None, Finding("classes", PROBLEM, _line(error))
    names, label = subject.classes.chosen_names, subject.drawer.judge.label
    shown = ", ".join(names[:3]) + (", …" if len(names) > 3 else "")
    text = f"{len(names)} of {len(subject.classes.names)} ({shown})"
    figures = {"chosen": names, "sampler": sampler.classes is not None, "label": label}
    if judge is None:
        return subject, Finding("classes", OK, f"{text}, labelled as asked for", figures)
    text += f", label policy {label}"
    theirs = judge.classifier.classes
    matched = sampler.classes is None or match_names(sampler.classes, theirs or ()) is not None
    if not matched:
        text += "; the filter's outputs are taken in order, because one side has no names"
    return subject, Finding("classes", OK if matched else WARNING, text, figures)


def _output(wish: Wish, out: Path | str, subject: Subject | None) -> Finding:
    if is_url(out):
        with tempfile.TemporaryDirectory() as folder:
            try:
                Store(str(out), Path(folder)).outline()
            except GendataError as error:
                return Finding("output", PROBLEM, str(error))
            return _content(wish, Path(folder), str(out), subject)
    if refusal := refusal_to_write(Path(out)):
        return Finding("output", PROBLEM, f"cannot write to {out}: {refusal}")
    return _content(wish, Path(out), str(out), subject)


def _content(wish: Wish, folder: Path, name: str, subject: Subject | None) -> Finding:
    """Says whether the run can begin or go on in a folder with this content."""
    if not folder.exists() or all(map(is_temporary, folder.iterdir())):
        return Finding("output", OK, f"{name} is new")
    try:
        present = read_run(folder)
    except GendataError as error:
        return Finding("output", PROBLEM, str(error).replace(str(folder), name))
    if subject is None:
        return Finding("output", WARNING, f"{name} holds a clone; not compared with this run")
    there = present.extents[-1]
    difference = identity_difference(present.settings, _wanted(wish, subject).settings)
    if difference and not any(folder.rglob("*.parquet")):
        return Finding("output", OK, f"{name} holds a run that kept nothing; it begins anew")
    if difference:
        text = f"{name} was drawn with other settings: {difference}"
        return Finding("output", PROBLEM, text)
    if wish.per_class < there:
        return Finding("output", PROBLEM, f"{name} already holds {there} per class")
    if wish.per_class > there and not wish.extend:
        text = f"{name} was drawn with {there} per class: pass --extend for more"
        return Finding("output", PROBLEM, text)
    return _continued(wish, folder, name, present)


def _continued(wish: Wish, folder: Path, name: str, present: Run) -> Finding:
    extents = present.extents
    if wish.per_class > extents[-1]:
        extents = (*extents, wish.per_class)
    plan = Plan(len(present.settings["classes"]["chosen"]), extents, wish.shard_size)
    shards = plan.shards()
    done = sum((folder / shard.file_name).exists() for shard in shards)
    text = f"{name} continues: {done} of {len(shards)} shards are there"
    return Finding("output", OK, text, {"shards_there": done, "shards": len(shards)})


def _acceptance(wish: Wish, subject: Subject, trial: Trial) -> Finding:
    report = reject_report(trial.outcomes, subject.classes, wish.per_class)
    figures = {"drawn": trial.drawn, "accepted": trial.accepted, "rejects": report["rejects"]}
    keys = ("label", "name", "attempts", "accepted")
    figures["classes"] = [{key: entry[key] for key in keys} for entry in report["classes"]]
    text = f"{trial.accepted} of {trial.drawn} images of the trial accepted"
    if subject.drawer.judge.filter is not None or trial.accepted < trial.drawn:
        text += f"; fewest: {describe_outcomes(trial.outcomes, subject.classes)}"
    if not trial.accepted:
        return Finding("acceptance", PROBLEM, text, figures)
    hard = [label for label in subject.classes.chosen if _is_hard(wish, subject, trial, label)]
    if hard:
        names = ", ".join(f"'{subject.classes.names[label]}'" for label in hard[:5])
        text += f"; {len(hard)} may not be filled in {wish.attempts} attempts an image ({names})"
        return Finding("acceptance", WARNING, text, figures)
    return Finding("acceptance", OK, text, figures)


def _is_hard(wish: Wish, subject: Subject, trial: Trial, label: int) -> bool:
    """Whether some image of a class is likely to have no accepted attempt."""
    chance = expected_acceptance(trial, label)
    if not subject.by_attempts:
        if isinstance(subject.drawer.sampler, FiniteSampler):
            return False  # no attempts: each image is drawn once
        classes = len(subject.classes.chosen)
        kept, total = trial.kept(label)[0] + 1, trial.accepted + classes
        chance = min(1.0, classes * kept / total * trial.accepted / trial.drawn)
    return wish.per_class * (1 - chance) ** wish.attempts > 0.5


def _memory(wish: Wish, trial: Trial) -> Finding:
    free, peak = available_memory(), peak_memory()
    shards = int(HELD_SHARDS * wish.shard_size * trial.held_bytes)
    figures = {"available": free, "peak_so_far": peak, "shards": shards}
    text = f"{byte_size(shards)} for open shards"
    text += f", {byte_size(peak)} at the trial's peak" if peak is not None else ""
    text += f", {byte_size(free)} available" if free is not None else ""
    if torch.cuda.is_available():
        figures["accelerator_peak"] = torch.cuda.max_memory_allocated()
        text += f"; {byte_size(torch.cuda.max_memory_allocated())} on the accelerator"
    if free is not None and shards > 0.8 * free:
        text += ": choose a smaller --shard-size"
        return Finding("memory", PROBLEM if shards > free else WARNING, text, figures)
    return Finding("memory", OK, text, figures)


def _time(wish: Wish, subject: Subject, trial: Trial) -> Finding:
    plan = _plan(wish, subject)
    draws = expected_draws(trial, subject, wish.per_class)
    seconds, shards = draws / trial.rate, len(plan.shards())
    shared = seconds * math.ceil(shards / wish.jobs) / shards
    figures = {
        "images": plan.slots,
        "draws": round(draws),
        "images_per_second": trial.rate,
        "timed": trial.timed,
        "seconds": seconds,
        "jobs": wish.jobs,
        "seconds_with_jobs": shared,
        "shards": shards,
    }
    text = (
        f"{plan.slots:,} images from about {draws:,.0f} draws at {short(trial.rate)} a second "
        f"({trial.timed} timed): {duration(seconds)} on one machine like this, "
        f"{duration(shared)} on {wish.jobs}"
    )
    if (load := busy()) is not None:
        figures["load"] = load
        text += f"; other work runs here (load {load:.1f}), alone it would be faster"
    if shards < wish.jobs and seconds > 60:
        text += f"; only {shards} shards: a smaller --shard-size keeps all busy"
        return Finding("time", WARNING, text, figures)
    return Finding("time", OK, text, figures)


def _disk(wish: Wish, subject: Subject, trial: Trial) -> Finding:
    plan = _plan(wish, subject)
    folder = Path(wish.out or Path.cwd())
    if is_url(wish.out or ""):  # what goes to a URL is kept here too
        folder = staging_folder(str(wish.out), None)
    size = plan.slots * trial.row_bytes + len(plan.shards()) * trial.file_bytes
    peak = size
    if not subject.by_attempts:  # candidates lie beside the shards until these are written
        draws = expected_draws(trial, subject, wish.per_class)
        peak += draws * trial.accepted / trial.drawn * trial.row_bytes
    there = size_of(folder) if wish.out and folder.is_dir() else 0
    free, needed = free_disk(folder), max(0.0, peak - there)
    figures = {"bytes": round(size), "needed": round(needed), "free": free}
    text = f"{byte_size(size)} in {len(plan.shards()):,} files"
    text += f" ({byte_size(trial.row_bytes)} an image)"
    text += f", {byte_size(peak)} while it is drawn" if peak > size else ""
    text += f"; {byte_size(free)} free at {folder}"
    level = PROBLEM if needed > free else WARNING if needed > 0.8 * free else OK
    return Finding("disk", level, text, figures)


def _plan(wish: Wish, subject: Subject) -> Plan:
    return Plan(len(subject.classes.chosen), (wish.per_class,), wish.shard_size)


def _wanted(wish: Wish, subject: Subject) -> Run:
    return wanted_run(
        subject, wish.per_class, wish.seed, wish.batch_size, wish.shard_size, wish.attempts
    )


def _line(error: Exception) -> str:
    """An error in one line."""
    return " ".join(str(error).split()) or type(error).__name__
