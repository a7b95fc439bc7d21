"""Zip archives as torch.save writes them: parts that lie in the file as they are."""

from __future__ import annotations

import codecs
import io
import mmap
import zipfile
from pathlib import Path
from typing import Any

from gendata.errors import GendataError
from gendata.samplers.records import Refused, brief

__all__ = ["Content", "Unchanged", "archive_parts", "file_content"]

Content = bytes | mmap.mmap  # a file's: in memory, or mapped into it
ZIP = b"PK"

MOST_PARTS = 100_000
codecs.lookup("cp437")  # of names in archives: imported now, and not when a file asks for it


def file_content(path: Path) -> Content:
    """Opens a file's content: an archive is mapped, so that what is not looked at is not read.

    The map is the reader's own: to write into it changes no file. Anything else is read whole,
    and so is an archive where the system has no room for a map.
    """
    with path.open("rb") as file:
        if file.read(len(ZIP)) == ZIP:
            try:
                return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
            except (OSError, ValueError):  # a file system without maps, or too little memory
                pass
        file.seek(0)
        return file.read()


class Unchanged:
    """A file that must stay as it is while a map of it is in use.

    To read beyond the end of a file that was cut short kills the process (SIGBUS), and of one that
    is written over a part is old and a part new. A training that saves over its own checkpoint
    does both.
    """

    def __init__(self, path: Path) -> None:
        self.path, self._before = path, _state(path)

    def check(self) -> None:
        """Raises a GendataError if the file is another one now."""
        if _state(self.path) != self._before:
            raise GendataError(
                f"{self.path} changed while it was read",
                do="wait until the program that writes it is done, or read a copy",
            )


def _state(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns


class _Directory:
    """An archive as `zipfile` reads it, which takes its list of parts in one piece."""

    def __init__(self, content: Content) -> None:
        self.content, self.position = content, 0

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        starts = {io.SEEK_SET: 0, io.SEEK_CUR: self.position, io.SEEK_END: len(self.content)}
        if starts[whence] + offset < 0:
            raise OSError("a place before the file")
        self.position = starts[whence] + offset
        return self.position

    def tell(self) -> int:
        return self.position

    def read(self, count: int = -1) -> bytes:
        """Reads on, but no list of more parts than a checkpoint has."""
        end = len(self.content) if count < 0 else self.position + count
        taken = self.content[self.position : end]
        if taken.count(b"PK\x01\x02") > MOST_PARTS:
            raise Refused(f"an archive of more than {MOST_PARTS:,} parts")
        self.position += len(taken)
        return taken


def archive_parts(content: Content) -> dict[str, tuple[int, int]]:
    """Finds where in an archive each part's bytes start and end; compressed ones are empty."""
    directory: Any = _Directory(content)
    with zipfile.ZipFile(directory) as archive:
        entries = sorted(archive.infolist(), key=lambda entry: entry.header_offset)
    parts: dict[str, tuple[int, int]] = {}
    free = 0
    for entry in entries:
        header = content[entry.header_offset : entry.header_offset + 30]
        names = int.from_bytes(header[26:28], "little") + int.from_bytes(header[28:30], "little")
        start = entry.header_offset + 30 + names
        end = start + entry.compress_size
        if entry.header_offset < free or end > len(content) or header[:4] != b"PK\x03\x04":
            raise Refused("an archive whose parts overlap")
        if entry.filename in parts:
            raise Refused(f"an archive with two parts {brief(entry.filename)}")
        is_stored = entry.compress_type == zipfile.ZIP_STORED and not entry.flag_bits & 1
        parts[entry.filename], free = (start, end if is_stored else start), end
    return parts
