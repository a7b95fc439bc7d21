"""How a file appears in a clone's folder: whole, or not at all."""

from __future__ import annotations

import errno
import os
import re
import socket
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from gendata.errors import GendataError

__all__ = ["is_temporary", "publish", "remove_abandoned"]

_TEMPORARY = re.compile(r"\.(?P<name>.+)\.(?P<host>[^.]+)\.(?P<process>\d+)\.tmp")


def publish(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Writes a file under a temporary name beside it and renames it when it is on the disk.

    The temporary name carries the host and the process, so that two processes writing the same
    file never touch each other's; the last rename wins, and both wrote the same bytes.

    Raises:
        GendataError: the disk is full. The temporary file is gone, all else is as it was.
    """
    temporary = path.with_name(f".{path.name}.{_host()}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException as error:
        temporary.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise GendataError(
                f"the disk is full: {path} could not be written",
                do="make room and run the same command again; what is finished is kept",
            ) from error
        raise


def is_temporary(path: Path) -> bool:
    """Says whether a file is one that `publish` has not finished."""
    return _TEMPORARY.fullmatch(path.name) is not None


def remove_abandoned(folder: Path) -> None:
    """Removes the temporary files of killed processes.

    Those of other hosts, and of living processes on this one, may still grow: they stay, unless
    the file that they were to become is there.
    """
    for path in folder.glob(".*.tmp"):
        match = _TEMPORARY.fullmatch(path.name)
        if match is None:
            continue
        mine = match["host"] == _host() and int(match["process"]) == os.getpid()
        dead = match["host"] == _host() and not _alive(int(match["process"]))
        if dead or (not mine and path.with_name(match["name"]).exists()):
            path.unlink(missing_ok=True)


def _host() -> str:
    return re.sub(r"[^A-Za-z0-9-]", "-", socket.gethostname()) or "host"


def _alive(process: int) -> bool:
    if os.name == "nt":
        return True  # there, signal 0 would end it
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
