"""What this machine has: memory, disk, processors, accelerators."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import tempfile
from pathlib import Path

import torch

__all__ = [
    "available_memory",
    "busy",
    "describe_device",
    "free_disk",
    "peak_memory",
    "refusal_to_write",
    "size_of",
]

GROUP = Path("/sys/fs/cgroup")


def available_memory() -> int | None:
    """Bytes that this process may still take; None where the system does not say."""
    limits = []
    with contextlib.suppress(OSError, ValueError, StopIteration):
        lines = Path("/proc/meminfo").read_text(encoding="utf-8").splitlines()
        line = next(line for line in lines if line.startswith("MemAvailable:"))
        limits.append(1024 * int(line.split()[1]))
    with contextlib.suppress(OSError, ValueError):  # a container's own limit; "max" is none
        limit = int((GROUP / "memory.max").read_text(encoding="ascii"))
        limits.append(limit - int((GROUP / "memory.current").read_text(encoding="ascii")))
    return max(0, min(limits)) if limits else None


def peak_memory() -> int | None:
    """The most bytes this process ever held; None where the system does not say."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else 1024 * most


def busy() -> float | None:
    """The load of the last minute where it is more than the processors; None else."""
    try:
        load = os.getloadavg()[0]
    except (AttributeError, OSError):  # Windows
        return None
    return load if load > 1.25 * (os.cpu_count() or 1) else None


def nearest_folder(path: Path) -> Path:
    """The path itself or the first of its parents that is there."""
    return next(each for each in (path, *path.absolute().parents) if os.path.lexists(each))


def free_disk(path: Path) -> int:
    """Bytes that are free where a folder is or would be."""
    return shutil.disk_usage(nearest_folder(path)).free


def refusal_to_write(path: Path) -> str | None:
    """Says why a folder cannot be made or written, by trying; None where it can."""
    present = nearest_folder(path)
    if not present.is_dir():
        return f"{present} is a file"
    try:
        with tempfile.TemporaryFile(dir=present):
            return None
    except OSError as error:
        return f"{present}: {error.strerror}"


def size_of(path: Path) -> int:
    """Bytes of a file, or of all files in a folder."""
    if path.is_file():
        return path.stat().st_size
    return sum(each.stat().st_size for each in path.rglob("*") if each.is_file())


def describe_device(device: torch.device) -> str:
    """Names a device and its memory."""
    if device.type != "cuda":
        return str(device)
    free, total = torch.cuda.mem_get_info(device)
    name = torch.cuda.get_device_name(device)
    return f"{device}, {name}, {free / 2**30:.0f} of {total / 2**30:.0f} GiB free"
