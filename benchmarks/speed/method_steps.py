"""Does a step of any training method cost more than the passes that its equations ask for?"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from gendata.allocator import keep_freed_memory
from gendata.benchmarks.speed.measurement import Measurement, median_ratio, seconds
from gendata.benchmarks.speed.method_parts import PARTS, Bare, long_tailed_by_loop
from gendata.benchmarks.speed.one_step import learner_and_batch
from gendata.models import build_network
from gendata.models.weights import save_weights
from gendata.registry import methods
from gendata.types import Batch

__all__ = ["measure", "prepared"]

NETWORK, SIDE, BATCH = "small-cnn", 28, 128
SECONDS = 2.5  # that a row's pairs may take
FEWEST_PAIRS = 7
LOOP_PAIRS = 1
PROGRESS = 0.9


@keep_freed_memory()
def measure() -> list[Measurement]:
    """Times a step of every method's last stage beside its parts, with memory kept as in training.

    The other stages of methods that have several are those of `fake`.
    """
    rows = [compare(name) for name in PARTS]
    rows += [compare(name, views=1) for name, parts in PARTS.items() if parts.keeps]
    return [*rows, loop_over_examples()]


def compare(
    name: str, *, views: int = 0, batch_size: int = BATCH, pairs: int | None = None
) -> Measurement:
    """Times whole steps and their parts in turn.

    Args:
        name: of the method.
        views: fixed ones of each image, which a frozen network need not see again; or 0.
        batch_size: images of each source.
        pairs: of a step and its parts; None for as many as fit into 2.5 seconds, at least 7.
    """
    parts = PARTS[name]
    with prepared(name, views=views, batch_size=batch_size) as (method, batch, bare):

        def whole() -> float:
            return seconds(lambda: method.step(batch, PROGRESS))

        def passes() -> float:
            return seconds(lambda: parts.run(bare))

        pairs = pairs or max(FEWEST_PAIRS, round(SECONDS / (whole() + passes())))
        ratio, step, sum_of_parts = median_ratio(whole, passes, pairs)
    says = "the same without the frozen network's pass" if views else parts.says
    how = f"{1000 * step:.1f} against {1000 * sum_of_parts:.1f} ms, {pairs} pairs: {says}"
    title = f"{name} step / its parts{', fixed views' if views else ''}"
    return Measurement(title, "<= 1.15", f"{ratio:.2f}", ratio, how)


def loop_over_examples() -> Measurement:
    """How much longer LTDA's step takes where each image has a backward pass of its own."""
    with prepared("ltda") as (method, batch, bare):
        ratio, loop, step = median_ratio(
            lambda: seconds(lambda: long_tailed_by_loop(bare)),
            lambda: seconds(lambda: method.step(batch, PROGRESS)),
            LOOP_PAIRS,
        )
    how = f"{1000 * loop:.0f} against {1000 * step:.1f} ms, batch {BATCH}, {LOOP_PAIRS} pair"
    return Measurement("ltda step by a loop over examples / ours", "", f"{ratio:.0f}", ratio, how)


@contextmanager
def prepared(
    name: str, *, batch_size: int = BATCH, views: int = 0
) -> Iterator[tuple[Any, Batch, Bare]]:
    """Lends a method in its last stage, a batch, and its bare parts; each has made one step."""
    with tempfile.TemporaryDirectory() as folder:
        options = dict(PARTS[name].options)
        if name == "csg":
            options["teacher"] = f"{NETWORK}:{_save_teacher(Path(folder))}"
        method: Any = methods.get(name)(**options)
        learner, batch = learner_and_batch(
            NETWORK, SIDE, batch_size, sources=method.stages[-1].sources, views=views
        )
        method.prepare(learner)
        last = len(method.stages) - 1
        if last and hasattr(method, "begin_stage"):
            method.begin_stage(last)
        bare = Bare(method, learner, batch)
        PARTS[name].run(bare)
        method.step(batch, PROGRESS)
        yield method, batch, bare


def _save_teacher(folder: Path) -> Path:
    path = folder / "teacher.safetensors"
    save_weights(build_network(NETWORK, 2).backbone, path)
    return path
