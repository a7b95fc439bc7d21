"""The whole story on one page: draw, filter, measure the gap, train with guidance, compare.

Offline on two CPU cores in minutes, with few images and enough epochs: guidance acts only after
the synthetic accuracy has saturated. The teacher sees four fixed views of each image, once.
"""

from __future__ import annotations

import re
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import click

from gendata.benchmarks.command_line import command_line
from gendata.benchmarks.quickstart_page import quickstart_page
from gendata.benchmarks.tables import StudyResult, Table
from gendata.clone import ConfidenceFilter, draw_clone
from gendata.errors import GendataError
from gendata.files import write_json
from gendata.gap import GapReport, measure_gap
from gendata.gap.inputs.opened import REAL, REAL_TEST
from gendata.images import balanced_split, balanced_subset, open_images
from gendata.models import load_classifier
from gendata.page import write_page
from gendata.samplers import load_sampler
from gendata.training import train
from gendata.types import Classifier, Images, Sampler

__all__ = ["METHODS", "MethodRow", "Outcome", "quickstart"]

DATA, TEST = "fashion-mnist:train", "fashion-mnist:test"
SAMPLERS = ("embedded:fashion-diffusion", "embedded:fashion-gan")
FILTER = "embedded:fashion-classifier"
BATCH = 64
THRESHOLD = 0.8  # of the filter's confidence
VIEWS = 4  # fixed augmentations of an image: the teacher sees each of them once


@dataclass(frozen=True)
class MethodRow:
    """One row of the results: a method of `gendata.train` and what it is called here.

    Args:
        method: the registered name.
        title: as the table shows it.
        setting: "zero-shot" (no real image) or "few-shot".
    """

    method: str
    title: str
    setting: str


METHODS = (
    MethodRow("fake", "synthetic only (baseline)", "zero-shot"),
    MethodRow("pg", "Pretrained Guidance", "zero-shot"),
    MethodRow("real", "few real only", "few-shot"),
    MethodRow("aug", "both mixed (Aug.)", "few-shot"),
    MethodRow("rg", "Real Guidance", "few-shot"),
    MethodRow("pg+rg", "Pretrained + Real Guidance", "few-shot"),
)


@dataclass(frozen=True)
class Settings:
    """The arguments of `quickstart`, as given or resolved."""

    out: Path
    data: str
    test: str | None
    samplers: Sequence[str]
    sampler_options: Mapping[str, Any]
    filter: str | None
    per_class: int
    shots: int
    epochs: int
    size: int | None
    seeds: int
    seed: int
    device: str
    download: bool
    strict: bool


@dataclass(frozen=True)
class Outcome:
    """Everything the page shows.

    Args:
        samplers: by clone name.
        clones: by clone name.
        folders: where the clones are, by name.
        gap: what `measure_gap` returned.
        results: test accuracy between 0 and 1 by method, one value a seed.
        counts: images of the clone, of the few and of the test set; epochs and seeds.
        seconds: wall-clock time.
        command: what a person would type to repeat it.
    """

    samplers: Mapping[str, Sampler]
    clones: Mapping[str, Images]
    folders: Mapping[str, Path]
    gap: GapReport
    results: Mapping[str, Sequence[float]]
    counts: Mapping[str, int]
    seconds: float
    command: str


def quickstart(
    *,
    out: Path,
    data: str = DATA,
    test: str | None = None,
    samplers: str | Sequence[str] = (),
    sampler_options: Mapping[str, Any] | None = None,
    filter: str | None = None,
    per_class: int = 100,
    shots: int = 10,
    epochs: int = 40,
    size: int | None = None,
    seeds: int = 3,
    seed: int = 0,
    device: str = "auto",
    download: bool = False,
    strict: bool = False,
) -> StudyResult:
    """Draws filtered clones, measures their gap, trains with and without guidance, reports.

    Args:
        out: folder for clones, runs, `quickstart.json` and `report.html`; run again to continue.
        data: real training images; `shots` of each class are what the few-shot methods may see.
        test: real test images; where none is given, a fifth of the data is held out.
        samplers: one reference or several; the embedded ones where the data are the embedded ones.
        sampler_options: options that every sampler is loaded with.
        filter: classifier whose confidence filters the clones; None keeps every image.
        per_class: images of each class in a clone.
        shots: real images of each class for the few-shot methods.
        epochs: passes over the clone.
        size: side that images are trained at, pixels; None for the first sampler's resolution.
        seeds: trainings of each method.
        seed: of the clones, the subsets and the first training.
        device: "auto", "cpu", "cuda", …
        download: fetch images, samplers and classifiers that are not on this machine.
        strict: stop at damaged images, which are else left out and counted.

    Raises:
        GendataError: data of one's own without a sampler, or classes that differ.
    """
    samplers = (samplers,) if isinstance(samplers, str) else tuple(samplers)
    given = Settings(**locals())
    started = time.perf_counter()
    settings = resolved(given)
    real, unseen = real_sets(settings)
    samplers_by_name = load_samplers(settings)
    first = next(iter(samplers_by_name))
    settings = replace(settings, size=settings.size or samplers_by_name[first].resolution)
    classifier = None
    if settings.filter is not None:
        classifier = load_classifier(settings.filter, device=device, download=download)
    say(1, f"drawing {len(samplers_by_name)} clones of {per_class} images a class")
    clones = draw_clones(settings, samplers_by_name, classifier)
    say(2, "measuring the gap between the real images and the clones")
    gap = gap_of(settings, real, clones, unseen)
    say(3, f"training {len(METHODS)} classifiers on {first}")
    few = balanced_subset(real, shots, seed)
    results = train_all(settings, clones[first], few, unseen)
    say(4, "writing the report")
    outcome = Outcome(
        samplers=samplers_by_name,
        clones=clones,
        folders={name: clone_folder(settings, name) for name in clones},
        gap=gap,
        results=results,
        counts={
            "clone": len(clones[first]),
            "few": len(few),
            "test": len(unseen),
            "epochs": epochs,
            "seeds": seeds,
        },
        seconds=time.perf_counter() - started,
        command=command_line("quickstart", quickstart, vars(given), {"samplers": "--sampler"}),
    )
    return write_report(settings, outcome, classifier)


def resolved(given: Settings) -> Settings:
    """Fills in what belongs to the embedded data.

    Raises:
        GendataError: data of one's own without a sampler.
    """
    own = given.data != DATA
    if own and not given.samplers:
        raise GendataError(
            "images of your own need a sampler of their classes",
            do="add --sampler diffusers:PATH, torchscript:PATH or folder:PATH",
        )
    return replace(
        given,
        out=Path(given.out),
        test=given.test or (None if own else TEST),
        samplers=given.samplers or SAMPLERS,
        sampler_options=dict(given.sampler_options or {}),
        filter=given.filter or (None if own else FILTER),
    )


def load_samplers(settings: Settings) -> dict[str, Sampler]:
    """Loads every sampler with the same options, by the name of its clone."""
    access = {"device": settings.device, "download": settings.download}
    return {
        name: load_sampler(reference, **access, **settings.sampler_options)
        for name, reference in zip(clone_names(settings.samplers), settings.samplers, strict=True)
    }


def clone_names(references: Sequence[str]) -> list[str]:
    """Short names that differ: `embedded:fashion-gan` -> `fashion-gan`, the next `fashion-gan-2`.

    None is a path, nor what the gap calls the real images.
    """
    names: list[str] = []
    for reference in references:
        stem = Path(reference.partition(":")[2] or reference).stem
        plain = re.sub(r"[^\w.-]+", "-", stem).strip(".-") or "clone"
        name, number = plain, 2
        while name in (REAL, REAL_TEST, *names):
            name, number = f"{plain}-{number}", number + 1
        names.append(name)
    return names


def clone_folder(settings: Settings, name: str) -> Path:
    """Where a clone is."""
    return settings.out / "clones" / name


def draw_clones(
    settings: Settings, samplers: Mapping[str, Sampler], classifier: Classifier | None
) -> dict[str, Images]:
    """Draws a clone from each sampler, filtered where there is a classifier."""
    accept = None if classifier is None else ConfidenceFilter(classifier, THRESHOLD)
    return {
        name: draw_clone(
            sampler,
            settings.per_class,
            clone_folder(settings, name),
            filter=accept,
            seed=settings.seed,
            sampler_options=settings.sampler_options,
        )
        for name, sampler in samplers.items()
    }


def gap_of(
    settings: Settings, real: Images, clones: Mapping[str, Images], unseen: Images
) -> GapReport:
    """Measures the gap with few, short trainings."""
    return measure_gap(
        real,
        clones,
        out=settings.out / "gap",
        test=unseen,
        parts=["cross-source"],
        per_class=settings.per_class,
        seeds=2,
        epochs=12,
        batch_size=32,
        size=settings.size,
        device=settings.device,
    )


def write_report(
    settings: Settings, outcome: Outcome, classifier: Classifier | None
) -> StudyResult:
    """Writes the page and the record."""
    write_page(quickstart_page(outcome, METHODS, classifier), settings.out / "report.html")
    record = {
        "results": outcome.results,
        "counts": outcome.counts,
        "seconds": outcome.seconds,
        "settings": {**asdict(settings), "out": str(settings.out)},
        "command": outcome.command,
    }
    write_json(settings.out / "quickstart.json", record)
    return StudyResult(record, [results_table(outcome)])


def say(step: int, what: str) -> None:
    """Names the step on stderr."""
    click.echo(f"[{step}/4] {what}", err=True)


def real_sets(settings: Settings) -> tuple[Images, Images]:
    """Opens training and test images; without a test set a fifth of each class is held out.

    Two at least, which is what the gap compares.
    """
    access = {"download": settings.download, "strict": settings.strict}
    real = open_images(settings.data, **access)
    if settings.test is not None:
        return real, open_images(settings.test, **access)
    held_out = max(2, len(real) // len(real.classes) // 5)
    unseen, rest = balanced_split(real, held_out, settings.seed)
    return rest, unseen


def train_all(
    settings: Settings, clone: Images, few: Images, test: Images
) -> dict[str, list[float]]:
    """Trains every method with every seed; a finished run is not repeated."""
    results: dict[str, list[float]] = {}
    for row in METHODS:
        for seed in range(settings.seed, settings.seed + settings.seeds):
            result = train(
                synthetic=clone if row.method != "real" else None,
                real=few if row.setting == "few-shot" else None,
                test=test,
                method=row.method,
                # An epoch of the few real images alone is a tenth of the steps of the others.
                epochs=settings.epochs if row.method != "real" else 5 * settings.epochs,
                batch_size=BATCH,
                views=VIEWS,
                size=settings.size,
                seed=seed,
                device=settings.device,
                out=settings.out / "runs" / f"{row.method}-{seed}",
                **own_options(row.method, settings.size),
            )
            results.setdefault(row.method, []).append(result.test_accuracy)
            click.echo(f"      {row.title}, seed {seed}: {result.test_accuracy:.1%}", err=True)
    return results


def own_options(method: str, size: int | None) -> dict[str, Any]:
    """A method's weights and its teacher's input, chosen on real images that judge nothing here.

    With a weight of 1 the few real images would be learnt by heart.
    """
    options: dict[str, Any] = {}
    if "pg" in method:
        options |= {"teacher_size": min(224, max(64, size or 0)), "pg_weight": 1.0}
    if "rg" in method:
        options["lambda1"] = 0.1
    return options


def results_table(outcome: Outcome) -> Table:
    """The table that the command prints."""
    rows = [
        (
            row.setting,
            row.title,
            spread(outcome.results[row.method]),
            "  ".join(f"{value:.1%}" for value in outcome.results[row.method]),
        )
        for row in METHODS
    ]
    caption = (
        f"Accuracy on {outcome.counts['test']:,} real test images after the last of "
        f"{outcome.counts['epochs']} epochs; few-shot: {outcome.counts['few']} real images. "
        "Mean ± standard deviation over the seeds, and each seed."
    )
    return Table(("setting", "method", "accuracy", "by seed"), rows, caption)


def spread(values: Sequence[float]) -> str:
    """Mean ± sample standard deviation in percent; one value alone has none."""
    if len(values) == 1:
        return f"{values[0]:.1%}"
    return f"{statistics.mean(values):.1%} ± {statistics.stdev(values):.1%}"
