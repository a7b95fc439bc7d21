"""Doing the same to every row in threads, with a progress bar once it takes a while."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from tqdm import tqdm

__all__ = ["in_threads"]

T = TypeVar("T")
ROWS_PER_TASK = 64  # small pictures decode faster than a thread can be asked for one


def in_threads(work: Callable[[int], T], count: int, title: str) -> Iterator[T]:
    """Yields the results for rows 0 to count - 1, in order; few are held at any time."""
    threads = os.cpu_count() or 1

    def task(start: int) -> list[T]:
        return [work(row) for row in range(start, min(start + ROWS_PER_TASK, count))]

    waiting: deque[Future[list[T]]] = deque()
    bar = tqdm(total=count, desc=title, delay=2, leave=False, disable=None)
    with bar, ThreadPoolExecutor(threads) as pool:
        for start in range(0, count, ROWS_PER_TASK):
            waiting.append(pool.submit(task, start))
            if len(waiting) > 2 * threads:
                yield from _next(waiting, bar)
        while waiting:
            yield from _next(waiting, bar)


def _next(waiting: deque[Future[list[T]]], bar: tqdm) -> list[T]:
    results = waiting.popleft().result()
    bar.update(len(results))
    return results
