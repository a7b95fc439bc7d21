"""Freed memory stays while it is wanted, and goes back after."""

import ctypes
import resource
import subprocess
import sys

import pytest

from gendata import allocator
from gendata.allocator import keep_freed_memory

TOUCH_AGAIN = """
import resource, sys
from contextlib import nullcontext
import numpy as np
from gendata.allocator import keep_freed_memory

def touch():
    np.ones(64 << 17)  # 64 MiB

def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

with keep_freed_memory() if sys.argv[1] == "keep" else nullcontext():
    touch()
    before = faults()
    touch()
    print(faults() - before)
with open("/proc/self/statm") as file:
    print(int(file.read().split()[1]) * resource.getpagesize() >> 20)
"""

glibc = pytest.mark.skipif(allocator._glibc() is None, reason="needs glibc")


def run(mode):
    result = subprocess.run(
        [sys.executable, "-c", TOUCH_AGAIN, mode], capture_output=True, text=True, check=True
    )
    faults, resident = map(int, result.stdout.split())
    return faults, resident


@glibc
def test_a_block_is_used_again_without_new_pages():
    kept, after = run("keep")
    usual, usual_after = run("usual")
    assert 10 * kept < usual
    assert after < usual_after + 32, "MiB: it went back to the system"


@glibc
def test_the_usual_settings_return_after_an_error():
    libc = ctypes.CDLL(None)
    with pytest.raises(KeyError), keep_freed_memory():
        raise KeyError
    size = 256 << 20
    libc.malloc.restype = libc.memset.restype = ctypes.c_void_p
    libc.free.argtypes = [ctypes.c_void_p]
    libc.memset.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t]
    block = libc.malloc(ctypes.c_size_t(size))
    libc.memset(block, 1, size)
    before = resident()
    libc.free(block)
    assert before - resident() > size * 0.9


def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize()


def test_other_systems_run_the_block_as_it_is(monkeypatch):
    monkeypatch.setattr(allocator, "_glibc", lambda: None)
    with keep_freed_memory():
        pass
