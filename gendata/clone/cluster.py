"""Drawing a clone on a Ray cluster: every part is a task, done by whichever node is there.

A worker gets references, not networks: it loads sampler and filter itself, checks that they are
the run's, and writes its part into the folder, which all nodes share. What a lost node had under
way is given to another, so nothing but the folder has to last.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import platform
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Any

from tqdm import tqdm

from gendata.allocator import keep_freed_memory
from gendata.clone.assembly import assemble_shards
from gendata.clone.attempts import fill_shards
from gendata.clone.identity import identity_difference
from gendata.clone.plan import Plan
from gendata.clone.prepare import prepare
from gendata.clone.ranks import Share
from gendata.clone.run_file import Run
from gendata.clone.source import Source
from gendata.clone.stream import DRAWS, Tally, draw_range
from gendata.clone.threads import cpu_threads
from gendata.clone.work import DrawingSettings, Work, begin_work, warn_of_other_versions
from gendata.clone.writer import BackgroundWriter
from gendata.errors import GendataError
from gendata.files import remove_abandoned
from gendata.types import Sampler

__all__ = ["draw_parts"]

MOST_RETRIES = 20  # of one part, when its worker or node was lost
MOST_SUBMITTED = 1000  # parts that wait in the cluster at a time
LONGEST_DELAY = 60.0  # seconds until a file of another node must be seen here


@dataclass(frozen=True)
class Order:
    """What a worker is told.

    Attributes:
        source: sampler and filter, by reference.
        run: the run's settings, as the folder has them.
        classes: those chosen.
        folder: the clone's, the same path on every node.
        short: leave classes short that cannot be filled.
        directory: where relative paths begin.
    """

    source: Source
    run: Run
    classes: tuple[str | int, ...] | None
    folder: Path
    short: bool
    directory: Path


def draw_parts(
    source: Source | Sampler,
    per_class: int,
    folder: Path,
    settings: DrawingSettings,
    cluster: str | None,
    shard: tuple[int, int] | None,
    progress: bool,
) -> tuple[Sampler, DrawingSettings]:
    """Draws every part of a clone on a cluster; the images are those of a single process.

    The cluster is the one that runs on this machine or that RAY_ADDRESS names; where there is
    none, one of this machine alone is started and stopped again.

    Args:
        source: sampler and filter, by references that are good on every node.
        per_class: images of each class.
        folder: one that every node sees under the same path.
        settings: those of `draw_clone`, its defaults filled in.
        cluster: "ray".
        shard: None: a cluster draws all of a clone.
        progress: show a bar on stderr, where that is a terminal.

    Returns:
        The sampler and the settings with which one process closes the clone, or says what cannot
        be filled.

    Raises:
        GendataError: ray is not installed, or what `draw_clone` raises.
    """
    _check_place(source, settings, cluster, shard)
    assert isinstance(source, Source), "checked"
    ray = _import_ray()
    sampler, settings = source.load(settings)
    work = begin_work(sampler, per_class, folder, Share(), settings)
    if not work.finished:
        classes = settings["classes"]
        chosen = tuple(classes) if classes is not None else None
        order = Order(source, work.run, chosen, folder, work.short, Path.cwd())
        with _connected(ray):
            _draw_parts(Cluster(ray, order), work, progress)
    return sampler, settings


def _check_place(
    source: Source | Sampler,
    settings: DrawingSettings,
    cluster: str | None,
    shard: tuple[int, int] | None,
) -> None:
    """Refuses what cannot be drawn on a cluster."""
    if cluster != "ray":
        raise GendataError("no cluster of that kind", found=cluster, expected="ray")
    if not isinstance(source, Source) or settings["filter"] is not None:
        raise GendataError(
            "a cluster loads sampler and filter on its nodes",
            found="one that is loaded",
            expected="a Source, which names both",
        )
    if shard is not None:
        raise GendataError("a cluster draws all of a clone", found=f"the share {shard}")


def _draw_parts(cluster: Cluster, work: Work, progress: bool) -> None:
    """Has every missing part made."""
    shards, folder = work.plan.shards(), work.folder
    work.drop_short(shards)
    for part in (folder, folder / DRAWS):
        remove_abandoned(part)
    sizes = {shard.number: shard.end - shard.first for shard in work.missing(shards)}
    bar = tqdm(
        total=work.plan.slots,
        initial=work.plan.slots - sum(sizes.values()),
        desc=f"draw {folder.name}",
        unit=" images",
        disable=None if progress else True,
    )
    with bar:
        if not work.subject.by_attempts:
            _draw_ranges_and_deal(cluster, work, list(sizes), bar)
            return
        for number in cluster.make("slots", iter(sizes), MOST_SUBMITTED):
            bar.update(sizes[number])


def _draw_ranges_and_deal(cluster: Cluster, work: Work, shards: list[int], bar: tqdm) -> None:
    """Has draws made until they fill the slots, and then the files dealt from them."""
    (work.folder / DRAWS).mkdir(exist_ok=True)
    tally = Tally(work.draw_run())
    for _ in cluster.make("draws", _missing_ranges(work, tally), cluster.width(work)):
        bar.update(max(0, tally.absorb(work.folder).filled_slots - bar.n))
    if not tally.short_classes() or work.short:
        deque(cluster.make("deal", iter(shards), MOST_SUBMITTED), maxlen=0)


def _missing_ranges(work: Work, tally: Tally) -> Iterator[int]:
    """Lists ranges of draws that are not there, until those before are enough."""
    run, number = tally.run, 0
    while not tally.absorb(work.folder).done:
        if run.order is not None and number * run.range_size >= len(run.order):
            return
        if not run.path(work.folder, number).exists():
            yield number
        number += 1


class Cluster:
    """Hands parts to the nodes.

    Args:
        ray: the module, connected.
        order: what the workers are told.
    """

    def __init__(self, ray: Any, order: Order) -> None:
        self.ray, self.order = ray, order
        self.needs = _needs(ray, order)
        device = order.source.device
        if self.needs.get("num_gpus") and device.startswith("cuda"):
            device = "cuda"  # a task sees its own accelerator alone, whatever its number
        told = replace(order, source=replace(order.source, device=device))
        self.told = ray.put(pickle.dumps(told))
        # A worker is used again (max_calls=0), with the sampler that it has loaded.
        self.task = ray.remote(
            max_retries=MOST_RETRIES, max_calls=0, scheduling_strategy="SPREAD", **self.needs
        )(make_part)

    def width(self, work: Work) -> int:
        """Number of parts that are made at the same time."""
        present = self.ray.cluster_resources()
        kinds = {"CPU": "num_cpus", "GPU": "num_gpus"}
        fits = [
            int(present.get(kind, 0) / self.needs[need])
            for kind, need in kinds.items()
            if self.needs.get(need)
        ]
        return max(1, min([len(work.plan.shards()), *fits]))

    def make(self, kind: str, numbers: Iterator[int], width: int) -> Iterator[int]:
        """Has parts made, up to `width` under way; yields each number when its file is here."""
        pending: dict[Any, int] = {}
        try:
            while True:
                for number in islice(numbers, width - len(pending)):
                    pending[self.task.remote(self.told, kind, number)] = number
                if not pending:
                    return
                done, _ = self.ray.wait(list(pending), num_returns=1)
                number = pending.pop(done[0])
                self._check(done[0])
                yield number
        finally:
            for reference in pending:
                self.ray.cancel(reference)

    def _check(self, reference: Any) -> None:
        """Raises what stopped a part, and waits until its file is seen here."""
        try:
            path = Path(self.ray.get(reference))
        except self.ray.exceptions.RayTaskError as error:
            raise error.cause from None
        except self.ray.exceptions.RayError as error:
            raise GendataError(
                f"a part was lost with its worker, {MOST_RETRIES} times over",
                found=type(error).__name__,
                do="look at the nodes' memory and logs; the same command goes on",
            ) from error
        deadline = time.monotonic() + LONGEST_DELAY
        while not path.exists():
            if time.monotonic() > deadline:
                raise GendataError(
                    "what another node wrote cannot be seen here",
                    found=f"no {path}",
                    do="choose an --out that every node shares under the same path",
                )
            time.sleep(0.5)


def make_part(told: bytes, kind: str, number: int) -> str:
    """Makes one part, on a worker; returns the file's path."""
    work = _load_work(told)
    with cpu_threads(work.run.threads), keep_freed_memory(), BackgroundWriter() as writer:
        if kind == "draws":
            return str(_make_draws(work, number, writer))
        shard = work.plan.shards()[number]
        if kind == "slots":
            missing = work.missing([shard])
            deque(fill_shards(work.attempt_run(), missing, work.folder, writer), maxlen=0)
        else:
            tally = _load_tally(told)
            assemble_shards(tally.run, tally, [shard], work.folder, writer)
        return str(work.folder / shard.file_name)


def _make_draws(work: Work, number: int, writer: BackgroundWriter) -> Path:
    run = work.draw_run()
    path = run.path(work.folder, number)
    if not path.exists():
        draw_range(run, work.folder, number, writer)
    return path


@lru_cache(maxsize=1)
def _load_tally(told: bytes) -> Tally:
    """Reads which draw fills which slot, once all draws are there."""
    work = _load_work(told)
    return Tally(work.draw_run()).absorb(work.folder)


@lru_cache(maxsize=1)
def _load_work(told: bytes) -> Work:
    """Loads sampler and filter on a worker, once.

    Raises:
        GendataError: they are not those of the run: another file, or other class names.
    """
    order: Order = pickle.loads(told)
    if order.directory.is_dir():
        os.chdir(order.directory)
    source, run = order.source, order.run
    subject = prepare(source.sampler(), source.filter(), order.classes, source.options)
    theirs = {name: run.settings[name] for name in subject.settings}
    if difference := identity_difference(theirs, subject.settings):
        raise GendataError(
            f"a node ({platform.node()}) does not have what the run began with",
            found=difference,
            do="put the same files on every node",
        )
    warn_of_other_versions(run)
    chosen = len(subject.classes.chosen)
    plan = Plan(chosen, run.extents, run.settings["shard_size"])
    return Work(subject, run, plan, Share(), order.folder, order.short)


def _needs(ray: Any, order: Order) -> dict[str, float]:
    """What a part asks of its node: the run's threads, as far as nodes have them, or a GPU."""
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    device = order.source.device
    with_gpu = [node for node in nodes if node.get("GPU", 0) >= 1]
    if with_gpu and (device == "auto" or device.startswith("cuda")):
        share = min(node.get("CPU", 0) / node["GPU"] for node in with_gpu)
        return {"num_cpus": min(order.run.threads, int(share)), "num_gpus": 1}
    processors = [int(node["CPU"]) for node in nodes if node.get("CPU", 0) >= 1]
    return {"num_cpus": min([order.run.threads, *processors])}


@contextlib.contextmanager
def _connected(ray: Any) -> Iterator[None]:
    """Joins the cluster that is there, or starts one of this machine."""
    if ray.is_initialized():
        yield
        return
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    quiet = {"logging_level": "ERROR", "log_to_driver": False}
    try:
        ray.init(address="auto", **quiet)
    except ConnectionError:
        ray.init(include_dashboard=False, **quiet)
    try:
        yield
    finally:
        ray.shutdown()


def _import_ray() -> Any:
    try:
        import ray
    except ImportError as error:
        raise GendataError(
            "drawing on a cluster needs ray", do="pip install 'gendata[cluster]'"
        ) from error
    return ray
