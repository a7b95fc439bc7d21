"""Zip archives as torch.save writes them: parts that lie in the file as they are."""

from __future__ import annotations

import codecs
import io
import zipfile

from gendata.samplers.records import Refused, brief

__all__ = ["archive_parts"]

MOST_PARTS = 100_000
codecs.lookup("cp437")  # of names in archives: imported now, and not when a file asks for it


def archive_parts(content: bytes) -> dict[str, tuple[int, int]]:
    """Finds where in an archive each part's bytes start and end; compressed ones are empty."""
    if content.count(b"PK\x01\x02") > MOST_PARTS:
        raise Refused(f"an archive of more than {MOST_PARTS:,} parts")
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
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
