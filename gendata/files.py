"""How a file of results appears: whole, or not at all."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import shutil
import socket
import time
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

from gendata.errors import GendataError

__all__ = [
    "is_temporary",
    "publish",
    "publish_folder",
    "remove_abandoned",
    "write_json",
    "write_text",
]

T = TypeVar("T")
LONGEST_WRITE = 24 * 3600.0  # seconds since the last byte, after which a writer is gone
_TEMPORARY = re.compile(r"\..+\.(?P<host>[^.]+)\.(?P<process>\d+)\.tmp")


def publish(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Writes a file under a temporary name beside it and renames it when it is on the disk.

    The temporary name carries the host and the process, so that two processes writing the same
    file never touch each other's; the last rename wins, and both wrote the same bytes.

    Raises:
        GendataError: it cannot be written, for example because the disk is full. The temporary
            file is gone, all else is as it was.
    """
    temporary = path.with_name(f".{path.name}.{_host()}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException as error:
        with contextlib.suppress(OSError):  # its folder may be a file
            temporary.unlink()
        # torch.save and safetensors report what the operating system said as a RuntimeError.
        cause = error if isinstance(error, OSError) else error.__context__
        if not isinstance(cause, OSError):
            raise
        full = cause.errno in (errno.ENOSPC, errno.EDQUOT)
        raise GendataError(
            f"the disk is full: {path} could not be written" if full else f"cannot write {path}",
            found=None if full else cause.strerror,
            do="make room or choose another folder; what is finished is kept, and the same "
            "command goes on",
        ) from error


def publish_folder(folder: Path, write: Callable[[Path], T]) -> T:
    """Fills a folder under a temporary name beside it and renames it when it is whole.

    Args:
        folder: one that does not exist or is empty.
        write: fills the folder that it is given.

    Returns:
        What `write` returned.

    Raises:
        OSError: it cannot be written, or is there with content. Nothing of it is left behind.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    partial = folder.with_name(f".{folder.name}-{uuid.uuid4().hex[:8]}")
    partial.mkdir()
    try:
        result = write(partial)
        os.rename(partial, folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return result


def write_text(path: Path, text: str) -> None:
    """Writes UTF-8 text whole, or not at all."""
    publish(path, lambda file: file.write(text.encode()))


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Writes a JSON file whole, or not at all."""
    write_text(path, json.dumps(content, indent=2, ensure_ascii=False, default=str) + "\n")


def is_temporary(path: Path) -> bool:
    """Says whether a file is one that `publish` has not finished."""
    return _TEMPORARY.fullmatch(path.name) is not None


def remove_abandoned(folder: Path) -> None:
    """Removes the temporary files of killed processes.

    Those of living processes stay; of a process on another host, its file's age must tell.
    """
    for path in folder.glob(".*.tmp"):
        match = _TEMPORARY.fullmatch(path.name)
        if match is None:
            continue
        if match["host"] == _host():
            abandoned = not _alive(int(match["process"]))
        else:
            abandoned = _age(path) > LONGEST_WRITE
        if abandoned:
            path.unlink(missing_ok=True)


def _host() -> str:
    return re.sub(r"[^A-Za-z0-9-]", "-", socket.gethostname()) or "host"


def _age(path: Path) -> float:
    try:
        return time.time() - path.stat().st_mtime
    except FileNotFoundError:
        return 0.0


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
