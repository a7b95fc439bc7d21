"""Workers that render: as many as there are cores, replaced when they crash, hang or grow.

Each answer is matched to its request, so neither the number of workers nor what happens to them
changes which image is which. An image that costs two workers is given up, with the reason.
"""

from __future__ import annotations

import time
import weakref
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import wait
from typing import Any

import numpy as np

from gendata.render.blender import explain_failure
from gendata.render.connection import BrokenMessage
from gendata.render.placement import Place
from gendata.render.worker_process import Job, Start, Worker

__all__ = ["CRASH", "HANG", "Limits", "Pool", "Result"]

CRASH, HANG = "crash", "hang"
ATTEMPTS = 2  # workers that one image may cost
AHEAD = 3  # jobs that a worker holds: it need not wait while its last image is taken
MOST_LOSSES = 8  # workers lost one after another, without an image between them


@dataclass(frozen=True)
class Limits:
    """When a worker is replaced.

    Attributes:
        images: after that many.
        growth: when it holds that many bytes more than at its start.
        seconds: when it takes longer for one image.
        start_seconds: when it takes longer until it is ready.
    """

    images: int = 1000
    growth: int = 2 * 2**30
    seconds: float = 300.0
    start_seconds: float = 300.0


@dataclass(frozen=True)
class Result:
    """What became of one request.

    Attributes:
        status: "ok", or why there is no image, in one word.
        header: what else the worker said.
        arrays: pixels and maps, where there is an image.
    """

    status: str
    header: Mapping[str, Any] = field(default_factory=dict)
    arrays: Mapping[str, np.ndarray] = field(default_factory=dict)


class Pool:
    """Some workers, started when they are first needed. Close it, or use it in a `with` block.

    Args:
        command: what starts a worker.
        environment: its variables.
        settings: of `RenderSettings`, as JSON.
        places: one for each worker.
        limits: when a worker is replaced.

    Attributes:
        seconds: where the workers' time went, summed over all images.
        started: workers started so far.
        version: Blender's, once a worker was ready.
    """

    def __init__(
        self,
        command: Sequence[str],
        environment: Mapping[str, str],
        settings: Mapping[str, Any],
        places: Sequence[Place],
        limits: Limits | None = None,
    ) -> None:
        self.limits = limits or Limits()
        self._starts = [
            Start(
                command,
                environment,
                {
                    "settings": dict(settings),
                    "threads": place.threads,
                    "accelerator": place.accelerator,
                    "seconds": self.limits.seconds,
                },
                place.cores,
                self.limits.start_seconds,
            )
            for place in places
        ]
        self._workers: dict[int, Worker] = {}  # by the number of its place
        self._next, self._losses = 0, 0
        self.seconds: Counter[str] = Counter()
        self.started, self.version = 0, ""
        self._close = weakref.finalize(self, _kill_all, self._workers)

    def __enter__(self) -> Pool:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Ends all workers."""
        for worker in self._workers.values():
            worker.connection.close()  # all at once; what follows waits for each
        for place in list(self._workers):
            worker = self._workers.pop(place)
            if worker.jobs or not worker.ready:
                worker.kill()
            else:
                worker.dismiss()

    def render(
        self, requests: Sequence[Callable[[], Mapping[str, Any]]]
    ) -> Iterator[tuple[int, Result]]:
        """Renders some images.

        Args:
            requests: each makes the `parameters` and `sources` of an image. It is called when a
                worker is given the image, while others render; and again if that worker is lost.

        Yields:
            Row of the request, and its result, in the order in which they are done.

        Raises:
            GendataError: no worker can be started, or all of them fail.
        """
        waiting = deque(self._job(row, request) for row, request in enumerate(requests))
        open_jobs = len(waiting)
        try:
            while open_jobs:
                self._hand_out(waiting)
                for row, result in self._take(waiting):
                    open_jobs -= 1
                    yield row, result
        finally:
            self._forget_open_jobs()

    def _job(self, row: int, request: Callable[[], Mapping[str, Any]]) -> Job:
        self._next += 1
        return Job(self._next, row, request)

    def _hand_out(self, waiting: deque[Job]) -> None:
        """Gives each worker a job, and then each a further one while there are enough."""
        for ahead in range(AHEAD):
            for place in range(len(self._starts)):
                if len(waiting) <= ahead * len(self._starts):
                    return
                worker = self._worker(place, len(waiting))
                if worker is None:
                    continue
                if worker.ready and len(worker.jobs) == ahead and not self._is_used_up(worker):
                    worker.give(waiting.popleft(), self.limits.seconds)

    def _worker(self, place: int, wanted: int) -> Worker | None:
        """The worker of a place; a new one where it is used up, or is missing and wanted."""
        worker = self._workers.get(place)
        if worker is not None and self._is_used_up(worker) and not worker.jobs:
            self._workers.pop(place).dismiss()
            worker = None
        if worker is None and sum(not each.ready for each in self._workers.values()) < wanted:
            worker = self._workers[place] = Worker(self._starts[place])
            self.started += 1
        return worker

    def _is_used_up(self, worker: Worker) -> bool:
        grown = worker.memory - worker.memory_at_first > self.limits.growth
        return grown or worker.done + len(worker.jobs) >= self.limits.images

    def _take(self, waiting: deque[Job]) -> Iterator[tuple[int, Result]]:
        """Waits for answers, and sees to the workers that give none."""
        busy = {
            worker.connection: place
            for place, worker in self._workers.items()
            if worker.jobs or not worker.ready
        }
        soonest = min(self._workers[place].deadline for place in busy.values())
        ready = wait(list(busy), max(0.0, soonest - time.monotonic()))
        for connection in ready:
            yield from self._listen(busy[connection], waiting)  # type: ignore[index]
        for connection, place in busy.items():
            worker = self._workers.get(place)
            if connection in ready or worker is None or time.monotonic() < worker.deadline:
                continue
            yield from self._lose(place, HANG, waiting)

    def _listen(self, place: int, waiting: deque[Job]) -> Iterator[tuple[int, Result]]:
        worker = self._workers[place]
        try:
            header, arrays = worker.receive()
            if "failed" in header:
                raise explain_failure("Blender cannot render here", str(header["failed"]))
            if "ready" in header:
                worker.ready, worker.version = True, str(header["ready"])
                worker.memory_at_first, self.version = int(header["memory"]), worker.version
                return
            if not worker.jobs or header["number"] != worker.jobs[0].number:
                raise BrokenMessage("an answer to another question")
            status, memory = str(header["status"]), int(header["memory"])
            self.seconds.update(header["seconds"])
        except (EOFError, OSError, BrokenMessage, KeyError, TypeError, ValueError):
            yield from self._lose(place, CRASH, waiting)
            return
        self._losses = 0
        job = worker.answered(memory, self.limits.seconds)
        yield job.row, Result(status, header, arrays)

    def _lose(self, place: int, why: str, waiting: deque[Job]) -> Iterator[tuple[int, Result]]:
        """Replaces a worker; its present job gets another chance, or is given up."""
        worker = self._workers.pop(place)
        worker.kill()
        self._losses += 1
        words = worker.last_words()
        if not worker.ready and (self._losses >= ATTEMPTS or why == HANG):
            raise explain_failure("Blender does not start", words)
        if self._losses >= MOST_LOSSES:
            raise explain_failure("rendering fails again and again", words)
        jobs = list(worker.jobs)
        given_up = None
        if jobs:
            jobs[0].losses += 1
            if jobs[0].losses >= ATTEMPTS:
                given_up = jobs.pop(0)
        waiting.extendleft(reversed(jobs))
        if given_up is not None:
            yield given_up.row, Result(why, {"why": words})

    def _forget_open_jobs(self) -> None:
        """Ends workers whose answers nobody waits for any more."""
        for place, worker in list(self._workers.items()):
            if worker.jobs:
                self._workers.pop(place).kill()


def _kill_all(workers: dict[int, Worker]) -> None:
    for worker in workers.values():
        worker.kill()
