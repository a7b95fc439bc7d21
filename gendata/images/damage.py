"""Images that cannot be read: how they are found, listed and counted. None is ever replaced."""

from __future__ import annotations

import logging
import zlib
from collections.abc import Iterable, Sequence
from typing import BinaryIO, NamedTuple

from PIL import Image

from gendata.errors import GendataError

__all__ = ["Damage", "DamagedImage", "Damages", "looks_whole", "report_damages"]

SHOWN = 5
PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"


class Damage(NamedTuple):
    """One image that was left out: where it lies and what the decoder said."""

    place: str
    reason: str


Damages = Sequence[Damage]


class DamagedImage(GendataError):
    """One image cannot be decoded."""

    def __init__(self, damage: Damage) -> None:
        super().__init__(
            f"{damage.place} is damaged", found=damage.reason, do="repair or remove this image"
        )
        self.damage = damage

    def __reduce__(self) -> tuple[type[DamagedImage], tuple[Damage]]:
        """Travels between processes, which GendataError's keywords would not."""
        return type(self), (self.damage,)


def report_damages(name: str, errors: Iterable[DamagedImage], strict: bool = False) -> Damages:
    """Counts and lists damaged images on the log, or stops.

    Raises:
        GendataError: strict, and there is at least one.
    """
    damages = tuple(error.damage for error in errors)
    if not damages:
        return damages
    listed = ", ".join(f"{place} ({reason})" for place, reason in damages[:SHOWN])
    more = f" and {len(damages) - SHOWN} more" if len(damages) > SHOWN else ""
    count = f"{len(damages)} damaged image{'s' if len(damages) > 1 else ''}"
    if strict:
        raise GendataError(
            f"'{name}' holds {count}",
            found=listed + more,
            do="repair or remove them, or leave out strict to go on without them",
        )
    logging.getLogger("gendata").warning("left out %s of '%s': %s%s", count, name, listed, more)
    return damages


def looks_whole(file: BinaryIO) -> bool:
    """Tells cheaply whether a file seems an undamaged PNG, JPEG or WebP; when in doubt, no.

    A PNG must have right checksums up to its end chunk, a JPEG a readable header and its end
    marker, a WebP its whole length. Whatever fails, and every other format, has to be decoded to
    know.
    """
    start = file.read(12)
    file.seek(0)
    if start.startswith(PNG_SIGNATURE):
        return _png_is_whole(file.read())
    if start.startswith(b"\xff\xd8\xff"):
        return _jpeg_is_whole(file)
    if start.startswith(b"RIFF") and start.endswith(b"WEBP"):
        return file.seek(0, 2) >= 8 + int.from_bytes(start[4:8], "little")
    return False


def _png_is_whole(content: bytes) -> bool:
    position = len(PNG_SIGNATURE)
    while position + 12 <= len(content):
        length = int.from_bytes(content[position : position + 4], "big")
        end = position + 8 + length
        checksum = content[end : end + 4]
        if zlib.crc32(content[position + 4 : end]).to_bytes(4, "big") != checksum:
            return False
        if content[position + 4 : position + 8] == b"IEND":
            return True
        position = end + 4
    return False


def _jpeg_is_whole(file: BinaryIO) -> bool:
    try:
        Image.open(file)  # reads the header only
    except Exception:  # a hostile header may raise anything; the decoder will say what
        return False
    file.seek(-2, 2)
    return file.read(2) == b"\xff\xd9"
