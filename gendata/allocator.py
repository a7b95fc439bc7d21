"""How freed memory stays with the process while a loop asks for the same blocks again and again.

glibc gives a freed block of some 32 MiB back to the system at once, which hands it out anew page
by page, each cleared first. On a CPU that is a third of the time of a training step.
"""

from __future__ import annotations

import contextlib
import ctypes
from collections.abc import Iterator
from functools import cache

__all__ = ["keep_freed_memory"]

# Numbers of mallopt's settings in malloc.h.
TRIM_THRESHOLD, MMAP_THRESHOLD, MMAP_MAX = -1, -3, -4

NEVER_GIVE_BACK = {TRIM_THRESHOLD: -1, MMAP_MAX: 0}
# What glibc's own adjustment ends at in a process that uses large blocks.
USUAL = {TRIM_THRESHOLD: 64 << 20, MMAP_THRESHOLD: 32 << 20, MMAP_MAX: 65536}


@contextlib.contextmanager
def keep_freed_memory() -> Iterator[None]:
    """Runs a block in which freed memory is used again, and gives it back to the system after it.

    Without glibc (macOS, Windows, musl) it does nothing.
    """
    libc = _glibc()
    if libc is None:
        yield
        return
    _set(libc, NEVER_GIVE_BACK)
    try:
        yield
    finally:
        _set(libc, USUAL)
        libc.malloc_trim(0)


def _set(libc: ctypes.CDLL, settings: dict[int, int]) -> None:
    for setting, value in settings.items():
        libc.mallopt(setting, value)


@cache
def _glibc() -> ctypes.CDLL | None:
    try:
        libc = ctypes.CDLL(None)
        libc.gnu_get_libc_version  # noqa: B018  (other libraries have a mallopt of their own)
    except (OSError, TypeError, AttributeError):
        return None
    return libc
