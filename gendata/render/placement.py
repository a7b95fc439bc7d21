"""Where workers run: each on cores of its own, or each on an accelerator.

Of several ranks on one machine (LOCAL_RANK, LOCAL_WORLD_SIZE), each takes its share first.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

import torch

from gendata.errors import GendataError

__all__ = ["Place", "find_places"]


@dataclass(frozen=True)
class Place:
    """Where one worker runs.

    Attributes:
        threads: that it may use.
        cores: that it is pinned to; empty: any.
        accelerator: its number among those of the kind; None: all of them, where it uses any.
    """

    threads: int = 1
    cores: tuple[int, ...] = ()
    accelerator: int | None = None


def find_places(device: str, workers: int | None = None) -> list[Place]:
    """Divides the cores, or the accelerators, that this process may use among its workers.

    Args:
        device: "cpu", or a kind of accelerator as Cycles calls it, perhaps with the number of
            one: "optix", "cuda:1".
        workers: their number; None: one for each core, or one for each accelerator.

    Raises:
        GendataError: fewer than one worker.
    """
    if workers is not None and workers < 1:
        raise GendataError("bad option workers", found=workers, expected="at least 1")
    kind, _, number = device.partition(":")
    if kind == "cpu":
        return _on_cores(workers)
    return _on_accelerators([int(number)] if number else _accelerators(kind), workers)


def _on_cores(workers: int | None) -> list[Place]:
    """One worker beside the other; none is pinned where the system cannot."""
    if not hasattr(os, "sched_getaffinity"):
        every = os.cpu_count() or 1
        count = workers or every
        return [Place(max(1, every // count))] * count
    cores = _own_share(sorted(os.sched_getaffinity(0)))
    count = workers or len(cores)
    shares = [tuple(cores[place::count]) or (cores[place % len(cores)],) for place in range(count)]
    return [Place(len(own), own) for own in shares]


def _on_accelerators(numbers: list[int], workers: int | None) -> list[Place]:
    """In turns, where there are more workers; all share the cores."""
    count = workers or len(numbers) or 1
    threads = max(1, (os.cpu_count() or 1) // (count * _ranks()[1]))
    return [
        Place(threads, accelerator=numbers[place % len(numbers)] if numbers else None)
        for place in range(count)
    ]


def _accelerators(kind: str) -> list[int]:
    """Numbers of this rank's; none where they cannot be counted."""
    if kind in ("cuda", "optix", "hip"):
        return _own_share(list(range(torch.cuda.device_count())))
    if kind == "oneapi":
        return _own_share(list(range(torch.xpu.device_count())))
    return []


def _own_share(every: list[int]) -> list[int]:
    """What this rank takes of all; where there are more ranks than that, some share one."""
    rank, ranks = _ranks()
    return every[rank::ranks] or every[rank % max(1, len(every)) :][:1]


def _ranks() -> tuple[int, int]:
    rank, ranks = (int(os.environ.get(name) or 0) for name in ("LOCAL_RANK", "LOCAL_WORLD_SIZE"))
    return rank, max(1, ranks)
