"""Drawing a clone: the function that ties the parts together."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Unpack, overload

from gendata.allocator import keep_freed_memory
from gendata.clone.filter import ConfidenceFilter
from gendata.clone.plan import Plan
from gendata.clone.prepare import prepare
from gendata.clone.ranks import find_share
from gendata.clone.remote import draw_to_url
from gendata.clone.source import Source
from gendata.clone.threads import cpu_threads
from gendata.clone.work import REJECTS, DrawingSettings, begin_work, warn_of_other_versions
from gendata.errors import GendataError
from gendata.images import open_images
from gendata.images.places import is_url
from gendata.types import Images, Sampler

__all__ = ["draw_clone", "plan_clone"]


@overload
def draw_clone(
    sampler: Sampler | Source,
    per_class: int,
    out: str | Path,
    *,
    shard: None = ...,
    progress: bool = ...,
    cluster: str | None = ...,
    **settings: Unpack[DrawingSettings],
) -> Images: ...


@overload
def draw_clone(
    sampler: Sampler | Source,
    per_class: int,
    out: str | Path,
    *,
    shard: tuple[int, int] | None,
    progress: bool = ...,
    cluster: str | None = ...,
    **settings: Unpack[DrawingSettings],
) -> Images | None: ...


def draw_clone(
    sampler: Sampler | Source,
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
    cluster: str | None = None,
) -> Images | None:
    """Draws a balanced, labelled clone of a generator into a folder, or continues one.

    Args:
        sampler: where images come from; a `gendata.clone.source.Source`, as a cluster needs, names
            sampler and filter.
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
        cluster: "ray" draws on a Ray cluster, whose nodes all see the folder under one path.

    Returns:
        The clone; None where `shard` is given and other shares are not done yet.

    Raises:
        GendataError: arguments that do not fit each other or the folder, a class that cannot be
            filled, a full disk.
    """
    settings: DrawingSettings = {
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
    if cluster is not None:
        from gendata.clone.cluster import draw_parts

        if is_url(out):
            raise GendataError(
                "the nodes of a cluster share a folder", found=out, do="give an --out that all see"
            )
        out = Path(out).absolute()
        sampler, settings = draw_parts(sampler, per_class, out, settings, cluster, shard, progress)
        shard = (0, 1)  # all parts are there: what follows closes the clone
    elif isinstance(sampler, Source):
        sampler, settings = sampler.load(settings)
    if is_url(out):
        into = partial(draw_clone, sampler, per_class, shard=shard, progress=progress, **settings)
        return draw_to_url(into, str(out), shard)
    work = begin_work(sampler, per_class, Path(out), find_share(shard), settings)
    if not work.finished:
        warn_of_other_versions(work.run)
        with cpu_threads(work.run.threads), keep_freed_memory():
            if not work.draw(progress):
                return None
    work.refuse_short(json.loads((work.folder / REJECTS).read_text(encoding="utf-8")))
    return open_images(work.folder)


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
