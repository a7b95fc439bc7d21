"""Which part of a clone this process draws, and how it learns that the others are done.

Processes speak through the folder alone: a file that is there is done.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from gendata.errors import GendataError

__all__ = ["Share", "find_share", "parse_share"]

LONGEST_PAUSE = 2.0  # seconds between two looks at the folder


@dataclass(frozen=True)
class Share:
    """One of `count` processes, which owns the shards whose number leaves `index`.

    Attributes:
        index: 0 to count - 1.
        count: number of processes or jobs.
        waits: whether to stay until the others are done (ranks of one launch), or to leave (jobs
            that may run at any time).
    """

    index: int = 0
    count: int = 1
    waits: bool = False

    def owns(self, number: int) -> bool:
        """Says whether a shard is this process's to draw."""
        return number % self.count == self.index

    def wait_for(self, done: Callable[[], bool]) -> bool:
        """Waits until `done` says so, if this share waits; returns what it says at the end."""
        pause = 0.05
        while not done():
            if not self.waits:
                return False
            time.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)
        return True


def find_share(
    shard: tuple[int, int] | None, environment: Mapping[str, str] = os.environ
) -> Share:
    """Takes the share asked for, else the rank that `accelerate launch` or `torchrun` set.

    Raises:
        GendataError: an index outside 0 to n - 1.
    """
    if shard is not None:
        index, count = shard
    else:
        index, count = int(environment.get("RANK", 0)), int(environment.get("WORLD_SIZE", 1))
    if not 0 <= index < count:
        raise GendataError(
            "no such share of the shards",
            found=f"{index}/{count}",
            expected="i/n, i from 0 to n - 1",
        )
    return Share(index, count, waits=shard is None and count > 1)


def parse_share(text: str | None) -> tuple[int, int] | None:
    """Reads "i/n"."""
    if text is None:
        return None
    index, _, count = text.partition("/")
    if not (index.isdecimal() and count.isdecimal()):
        raise GendataError(
            "a share is not of the form i/n", found=f"'{text}'", expected="0/4, …, 3/4"
        )
    return int(index), int(count)
