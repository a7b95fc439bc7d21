"""Filtering images that are there: a clone by its columns, any other set by a classifier."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gendata.clone.card import dataset_card
from gendata.clone.draw import draw_clone
from gendata.clone.filter import KEPT, ConfidenceFilter, check_threshold
from gendata.clone.plan import ClassTable, Plan
from gendata.clone.rejects import Outcomes, reject_report
from gendata.clone.rows import read_note, write_table
from gendata.clone.run_file import Run, open_run, read_run
from gendata.clone.work import README, REJECTS
from gendata.errors import GendataError
from gendata.files import publish, write_json
from gendata.images import open_images
from gendata.images.places import Place, place_of
from gendata.images.row_groups import open_parquet
from gendata.samplers import load_sampler
from gendata.types import Images

__all__ = ["filter_clone", "filter_images"]


def filter_clone(clone: str | Place, threshold: float, out: str | Path) -> Images:
    """Writes the rows of a finished clone whose confidence lies above a stricter threshold.

    Keys stay, so that classes become short. A dropped image counts as rejected for low
    confidence, as if it had been refused when it was drawn.

    Args:
        clone: a clone drawn with a filter: a folder, or a URL that fsspec knows.
        threshold: strictly above the clone's own, and below 1.
        out: folder of the new clone.

    Raises:
        GendataError: the clone is unfinished, has no probabilities, or had a stricter filter.
    """
    check_threshold(threshold)
    source, folder = place_of(clone), Path(out)
    parent = read_run(source)
    _check_parent(source, parent, threshold)
    settings = parent.settings["filter"]
    stricter = {**settings, "threshold": threshold, "drawn_above": settings["threshold"]}
    wanted = replace(parent, settings={**parent.settings, "filter": stricter}, finished=False)
    run = open_run(folder, wanted, extend=False)
    classes = ClassTable(
        tuple(run.settings["classes"]["names"]), tuple(run.settings["classes"]["chosen"])
    )
    dropped: Counter[int] = Counter()
    for shard in Plan(len(classes.chosen), run.extents, run.settings["shard_size"]).shards():
        dropped.update(_filter_shard(source / shard.file_name, threshold, folder))
    _finish(source, folder, run, classes, dropped)
    return open_images(folder)


def filter_images(
    images: str | Path,
    filter: ConfidenceFilter,
    out: str | Path,
    *,
    per_class: int | None = None,
    seed: int = 0,
    batch_size: int = 64,
    download: bool = False,
    **options: Any,
) -> Images:
    """Draws a clone from an image set, in a random order, each image at most once.

    Args:
        images: any reference that `gendata.open_images` takes.
        filter: which images are kept.
        out: the clone's folder.
        per_class: most images of a class; None: as many as the set's largest class has.
        seed: seed of the order.
        batch_size: images a batch.
        download: fetch a known set that is not on this machine.
        **options: those of the `folder:` sampler, such as resolution.
    """
    sampler: Any = load_sampler(f"folder:{images}", device="cpu", download=download, **options)
    largest = int(np.bincount(sampler.labels).max())
    return draw_clone(
        sampler,
        per_class or largest,
        out,
        filter=filter,
        seed=seed,
        batch_size=batch_size,
        short=True,
        sampler_options=options,
    )


def _filter_shard(path: Place, threshold: float, folder: Path) -> list[int]:
    """Writes one shard's sure rows; returns the labels of the others."""
    try:
        table = open_parquet(path).read()
    except (pa.ArrowException, OSError) as error:
        raise GendataError(
            f"{path} cannot be read", found=error, do="look at the clone with gendata verify"
        ) from error
    sure = pc.greater(table["confidence"], pa.scalar(threshold, pa.float32()))
    note, kept = read_note(path), table.filter(sure)
    publish(folder / path.name, lambda file: write_table(file, kept, note))
    return table.filter(pc.invert(sure))["label"].to_pylist()


def _finish(
    source: Place, folder: Path, run: Run, classes: ClassTable, dropped: Counter[int]
) -> None:
    outcomes = Outcomes.from_report(json.loads((source / REJECTS).read_text(encoding="utf-8")))
    for position, count in dropped.items():
        outcomes.counts[classes.chosen[position], KEPT] -= count
        outcomes.counts[classes.chosen[position], "low-confidence"] += count
    report = reject_report(outcomes, classes, run.extents[-1])
    card = dataset_card(run, report)
    write_json(folder / REJECTS, report)
    publish(folder / README, lambda file: file.write(card.encode()))
    replace(run, finished=True).write(folder)


def _check_parent(folder: Place, run: Run, threshold: float) -> None:
    if not run.finished:
        raise GendataError(
            f"the clone {folder} is not finished", do="run its gendata sample command again"
        )
    settings = run.settings["filter"]
    if settings is None:
        raise GendataError(
            f"the clone {folder} was drawn without a filter and stores no probabilities",
            do="name a classifier: gendata filter CLONE --filter CLASSIFIER",
        )
    if threshold <= settings["threshold"]:
        raise GendataError(
            "the threshold is no stricter than the clone's own",
            found=threshold,
            expected=f"more than {settings['threshold']}",
            do="draw another clone for a lower threshold",
        )
