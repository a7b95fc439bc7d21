"""Runs in several processes of one machine, which divide its cores or its accelerators."""

from __future__ import annotations

import multiprocessing
import os
import threading
import traceback
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from multiprocessing.connection import wait as wait_for_process
from pathlib import Path
from typing import Any

import torch

from gendata.benchmarks.protocol.arguments import Protocol
from gendata.benchmarks.protocol.runs import Run, perform
from gendata.benchmarks.protocol.sources import Bank
from gendata.errors import GendataError

__all__ = ["attempt", "check_jobs", "in_workers", "threads_each"]

Task = tuple[Bank, Run, str]
LOST = "the worker process ended (killed, or out of memory)"

_number = 0  # of this worker
_banks: dict[int, Bank] = {}  # its own, by the number of the protocol


def check_jobs(jobs: int, device: str) -> None:
    """Refuses more processes than there are cores to train on.

    Raises:
        GendataError: there are fewer cores.
    """
    on_cpu = device == "cpu" or not torch.cuda.is_available()
    if jobs < 1 or (on_cpu and jobs > cores()):
        raise GendataError(
            "jobs is out of range", found=jobs, expected=f"1 to {cores()} (this machine's cores)"
        )


def cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def threads_each(jobs: int) -> int:
    """Threads of each of several processes, all of which together fit the cores."""
    return max(1, min(torch.get_num_threads(), cores() // jobs))


def attempt(bank: Bank, run: Run, key: str) -> dict[str, Any] | str:
    """A run's numbers, or its error with the trace, of which the last line says it all."""
    try:
        return perform(bank, run, key)
    except GendataError as error:
        return str(error)
    except Exception as error:  # one run's fault must not stop the others
        return f"{traceback.format_exc()}\n{type(error).__name__}: {' '.join(str(error).split())}"


def in_workers(tasks: Sequence[Task], jobs: int) -> Iterator[tuple[int, dict[str, Any] | str]]:
    """Yields each task's number and outcome, as they end.

    A process that is killed takes the tasks in flight with it; the others go on in new ones.
    """
    banks = list({id(bank): bank for bank, _, _ in tasks}.values())
    order = {id(bank): number for number, bank in enumerate(banks)}
    waiting = [(number, (order[id(b)], run, key)) for number, (b, run, key) in enumerate(tasks)]
    waiting.reverse()
    while waiting:
        with _pool(banks, jobs) as pool:
            flying: dict[Future[Any], int] = {}
            try:
                while waiting or flying:
                    while waiting and len(flying) < jobs:
                        number, task = waiting[-1]
                        flying[pool.submit(_perform, *task)] = number
                        waiting.pop()
                    for future in wait(flying, return_when=FIRST_COMPLETED).done:
                        outcome = future.result()  # a broken pool shows here: still in flight
                        yield flying.pop(future), outcome
            except BrokenProcessPool:
                yield from ((number, LOST) for number in flying.values())
            except GeneratorExit:
                pool.shutdown(wait=False, cancel_futures=True)
                raise


def _pool(banks: Sequence[Bank], jobs: int) -> ProcessPoolExecutor:
    context = multiprocessing.get_context("spawn")  # threads and CUDA do not survive a fork
    recipes = [(type(bank), bank.protocol, bank.out) for bank in banks]
    counter = context.Value("i", 0)
    return ProcessPoolExecutor(
        jobs,
        mp_context=context,
        initializer=_start,
        initargs=(recipes, counter, threads_each(jobs)),
    )


def _start(
    recipes: Sequence[tuple[type[Bank], Protocol, Path]], counter: Any, threads: int
) -> None:
    """Prepares a worker: its threads, its device, its image sets, and its end with its parent."""
    global _number
    with counter.get_lock():
        _number = counter.value
        counter.value += 1
    torch.set_num_threads(threads)
    for number, (kind, protocol, out) in enumerate(recipes):
        _banks[number] = kind(replace(protocol, device=_device(protocol.device)), out)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _device(device: str) -> str:
    """Gives each worker an accelerator of its own, as far as they go."""
    if device == "auto" and torch.cuda.is_available():
        return f"cuda:{_number % torch.cuda.device_count()}"
    return device


def _end_with_parent() -> None:
    """A killed study leaves no trainings behind."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait_for_process([parent.sentinel])
        os._exit(1)


def _perform(bank: int, run: Run, key: str) -> dict[str, Any] | str:
    return attempt(_banks[bank], run, key)
