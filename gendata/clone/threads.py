"""How many CPU threads draw a clone, so that an image's place in its batch changes nothing.

On the CPU, torch splits a batch over its threads. Where two threads share an image, its last bits
depend on its place in the batch, and they may depend on the number of threads at any rate. So a
run takes a number of threads that divides the batch, records it, and keeps it when it continues.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch

__all__ = ["cpu_threads", "dividing_threads"]


def dividing_threads(batch_size: int) -> int:
    """The most threads, up to torch's present number, that divide the batch evenly."""
    present = torch.get_num_threads()
    return max(threads for threads in range(1, present + 1) if batch_size % threads == 0)


@contextlib.contextmanager
def cpu_threads(threads: int) -> Iterator[None]:
    """Runs a block with this many torch threads."""
    present = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(present)
