"""The whole story on one page: draw, filter, measure the gap, train with guidance, compare.

Offline on two CPU cores in minutes, with few images and enough epochs: guidance acts only after
the synthetic accuracy has saturated. The teacher sees four fixed views of each image, once.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from gendata.benchmarks.quickstart_page import quickstart_page
from gendata.benchmarks.tables import StudyResult, Table
from gendata.clone import ConfidenceFilter, draw_clone
from gendata.errors import GendataError
from gendata.files import write_json
from gendata.gap import measure_gap
from gendata.gap.page import write_page
from gendata.images import balanced_split, balanced_subset, open_images
from gendata.models import load_classifier
from gendata.registry import studies
from gendata.samplers import load_sampler
from gendata.training import train
from gendata.types import Images, Sampler

__all__ = ["METHODS", "MethodRow", "Outcome", "quickstart"]

DATA, TEST = "fashion-mnist:train", "fashion-mnist:test"
SAMPLERS = ("embedded:fashion-diffusion", "embedded:fashion-gan")
FILTER = "embedded:fashion-classifier"
BATCH = 64
VIEWS = 4  # fixed augmentations of an image: the teacher sees each of them once


@dataclass(frozen=True)
class MethodRow:
    """One row of the results: a method of `gendata.train` and what it is called here.

    Args:
        method: the registered name.
        title: as the table shows it.
        setting: "zero-shot" (no real image) or "few-shot".
        guided: whether a pretrained teacher takes part.
    """

    method: str
    title: str
    setting: str
    guided: bool = False


METHODS = (
    MethodRow("fake", "synthetic only (baseline)", "zero-shot"),
    MethodRow("pg", "Pretrained Guidance", "zero-shot", guided=True),
    MethodRow("real", "few real only", "few-shot"),
    MethodRow("aug", "both mixed (Aug.)", "few-shot"),
    MethodRow("rg", "Real Guidance", "few-shot"),
    MethodRow("pg+rg", "Pretrained + Real Guidance", "few-shot", guided=True),
)


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
    gap: Any
    results: Mapping[str, Sequence[float]]
    counts: Mapping[str, int]
    seconds: float
    command: str


@studies.register("quickstart")
def quickstart(
    *,
    out: Path,
    data: str = DATA,
    test: str | None = None,
    samplers: Sequence[str] = (),
    filter: str | None = None,
    per_class: int = 100,
    shots: int = 10,
    epochs: int = 40,
    size: int | None = None,
    seeds: int = 2,
    seed: int = 0,
    device: str = "auto",
) -> StudyResult:
    """Draws filtered clones, measures their gap, trains with and without guidance, reports.

    Args:
        out: folder for clones, runs, `quickstart.json` and `report.html`; run again to continue.
        data: real training images; `shots` of each class are what the few-shot methods may see.
        test: real test images; where none is given, a fifth of the data is held out.
        samplers: references; the embedded ones where the data are the embedded ones.
        filter: classifier whose confidence filters the clones; None keeps every image.
        per_class: images of each class in a clone.
        shots: real images of each class for the few-shot methods.
        epochs: passes over the clone.
        size: side that images are trained at, pixels; None for the first sampler's resolution.
        seeds: trainings of each method.
        seed: of the clones, the subsets and the first training.
        device: "auto", "cpu", "cuda", …

    Raises:
        GendataError: data of one's own without a sampler, or classes that differ.
    """
    started = time.perf_counter()
    out = Path(out)
    if data == DATA:
        test, filter = test or TEST, filter or FILTER
        samplers = samplers or SAMPLERS
    elif not samplers:
        raise GendataError(
            "images of your own need a sampler of their classes",
            do="add --sampler diffusers:PATH, torchscript:PATH or folder:PATH",
        )
    real, unseen = real_sets(data, test, seed)
    loaded = {name_of(reference): load_sampler(reference, device=device) for reference in samplers}
    say(1, f"drawing {len(loaded)} clones of {per_class} images a class")
    classifier = load_classifier(filter, device=device) if filter else None
    accept = ConfidenceFilter(classifier, 0.8) if classifier else None
    clones = {
        name: draw_clone(sampler, per_class=per_class, out=out / name, filter=accept, seed=seed)
        for name, sampler in loaded.items()
    }
    say(2, "measuring the gap between the real images and the clones")
    size = size or next(iter(loaded.values())).resolution
    common: dict[str, Any] = {"size": size, "device": device}
    gap = measure_gap(
        real,
        clones,
        out=out / "gap",
        test=unseen,
        per_class=per_class,
        seeds=2,
        epochs=12,
        batch_size=32,
        **common,
    )
    say(3, f"training {len(METHODS)} classifiers on {next(iter(clones))}")
    few, clone = balanced_subset(real, shots, seed), next(iter(clones.values()))
    results = train_all(
        clone, few, unseen, range(seed, seed + seeds), out / "runs", epochs=epochs, **common
    )
    outcome = Outcome(
        samplers=loaded,
        clones=clones,
        folders={name: out / name for name in clones},
        gap=gap,
        results=results,
        counts={
            "clone": len(clone),
            "few": len(few),
            "test": len(unseen),
            "epochs": epochs,
            "seeds": seeds,
        },
        seconds=time.perf_counter() - started,
        command=f"gendata quickstart --data {data} --per-class {per_class} --shots {shots} "
        f"--epochs {epochs} --seeds {seeds} --seed {seed}",
    )
    say(4, "writing the report")
    write_page(quickstart_page(outcome, METHODS, classifier), out / "report.html")
    table = results_table(outcome)
    record = {"results": results, "counts": outcome.counts, "seconds": outcome.seconds}
    write_json(out / "quickstart.json", record)
    return StudyResult(record, [table])


def say(step: int, what: str) -> None:
    """Names the step on stderr."""
    click.echo(f"[{step}/4] {what}", err=True)


def name_of(reference: str) -> str:
    """A clone's short name: `embedded:fashion-gan` -> `fashion-gan`."""
    return Path(reference.partition(":")[2]).stem or reference


def real_sets(data: str, test: str | None, seed: int) -> tuple[Images, Images]:
    """Opens training and test images; without a test set a fifth of each class is held out."""
    real = open_images(data)
    if test is not None:
        return real, open_images(test)
    held_out = max(1, len(real) // len(real.classes) // 5)
    unseen, rest = balanced_split(real, held_out, seed)
    return rest, unseen


def train_all(
    clone: Images,
    few: Images,
    test: Images,
    seeds: range,
    out: Path,
    *,
    epochs: int,
    **common: Any,
) -> dict[str, list[float]]:
    """Trains every method with every seed; a finished run is not repeated."""
    results: dict[str, list[float]] = {}
    for row in METHODS:
        for seed in seeds:
            result = train(
                synthetic=clone if row.method != "real" else None,
                real=few if row.setting == "few-shot" else None,
                test=test,
                method=row.method,
                # An epoch of the few real images alone is a tenth of the steps of the others.
                epochs=epochs if row.method != "real" else 5 * epochs,
                batch_size=BATCH,
                views=VIEWS,
                seed=seed,
                out=out / f"{row.method}-{seed}",
                **(guidance_options(common["size"]) if row.guided else {}),
                **common,
            )
            results.setdefault(row.method, []).append(result.test_accuracy)
            click.echo(f"      {row.title}, seed {seed}: {result.test_accuracy:.1%}", err=True)
    return results


def guidance_options(size: int) -> dict[str, Any]:
    """The teacher's input and the weight, chosen on real training images, never on test images."""
    return {"teacher_size": min(224, max(64, size)), "pg_weight": 1.0}


def results_table(outcome: Outcome) -> Table:
    """The table that the command prints."""
    rows = [
        (
            row.setting,
            row.title,
            "  ".join(f"{value:.1%}" for value in outcome.results[row.method]),
        )
        for row in METHODS
    ]
    caption = (
        f"Accuracy on {outcome.counts['test']:,} real test images after the last of "
        f"{outcome.counts['epochs']} epochs; few-shot: {outcome.counts['few']} real images."
    )
    return Table(("setting", "method", "accuracy"), rows, caption)
