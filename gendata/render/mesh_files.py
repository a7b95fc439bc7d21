"""What can be told of an object's file before Blender reads it, and a reader for .off.

Blender's importers stop at some damaged files with pages of traceback, and take others without a
word. This module needs nothing but Python and NumPy, because Blender's own interpreter imports
it too.
"""

from __future__ import annotations

import json
import os
import re
import struct
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np

__all__ = ["BadFile", "announced_faces", "check_mesh_file", "obj_libraries", "read_off"]

CHUNK = 2**22  # bytes of a text file looked at together
HEADER = 2**16  # bytes in which a header must end
LEAST_WORDS = {b"v": 4, b"vn": 4, b"vt": 2, b"f": 4}  # of a line of .obj
TRIANGLES = 4  # glTF's number of that kind of primitive


class BadFile(Exception):
    """A file that holds no usable object; its text says why."""


def check_mesh_file(path: str, kind: str, most_faces: int) -> None:
    """Checks that a file is there, is what its suffix says, and is not too large.

    Args:
        path: the file.
        kind: "obj", "glb", "gltf", "ply", "stl", "fbx", "blend" or "off".
        most_faces: the most it may announce; of fbx and blend the faces are counted only when
            they are loaded.

    Raises:
        BadFile: it cannot be used.
    """
    try:
        if os.path.getsize(path) == 0:
            raise BadFile("the file is empty")
        faces = announced_faces(path, kind)
    except OSError as error:
        raise BadFile(f"the file cannot be read: {error.strerror}") from error
    if faces is not None and faces > most_faces:
        raise BadFile(f"it has {faces} faces, more than the {most_faces} allowed")
    if faces == 0:
        raise BadFile("it has no faces")


def announced_faces(path: str, kind: str) -> int | None:
    """Returns the number of faces that a file says it has, without reading them.

    Returns:
        None for fbx and blend, which say nothing.

    Raises:
        BadFile: it does not begin as such a file does.
    """
    return _READERS[kind](Path(path), os.path.getsize(path))


def obj_libraries(path: Path) -> list[str]:
    """Lists the material libraries that an .obj file names and that are not beside it."""
    named = {
        match.group(1).decode(errors="replace").strip()
        for lines in _text(path)
        for match in re.finditer(rb"\nmtllib[ \t]+([^\r\n]+)", lines)
    }
    return sorted(name for name in named if not (path.parent / name).is_file())


def _text(path: Path) -> Iterator[bytes]:
    """Yields a text file in pieces that begin with a line's end, each line in one piece whole."""
    with path.open("rb") as file:
        rest = b"\n"
        while piece := file.read(CHUNK):
            whole, end, last = (rest + piece).rpartition(b"\n")
            yield whole
            rest = end + last
        yield rest


def _obj(path: Path, size: int) -> int:
    faces = 0
    for lines in _text(path):
        faces += len(re.findall(rb"\n[ \t]*f[ \t]", lines))
    last = lines.rpartition(b"\n")[2].split()
    if last and len(last) < LEAST_WORDS.get(last[0], 0):
        raise BadFile(
            f"it is cut off: its last line is '{b' '.join(last).decode(errors='replace')}'"
        )
    return faces


def _glb(path: Path, size: int) -> int:
    with path.open("rb") as file:
        header = file.read(20)
        if len(header) < 20 or header[:4] != b"glTF":
            raise BadFile("it does not begin as a .glb file does")
        version, length, json_length = struct.unpack("<III", header[4:16])
        if length > size or json_length > size:
            raise BadFile(f"it is cut off: {size} of {length} bytes")
        if version != 2:
            raise BadFile(f"it is glTF {version}, not 2")
        return _gltf_faces(file.read(json_length))


def _gltf(path: Path, size: int) -> int:
    content = path.read_bytes()
    faces = _gltf_faces(content)
    for buffer in json.loads(content).get("buffers", []):
        uri = buffer.get("uri", "data:")
        if not uri.startswith("data:") and not (path.parent / unquote(uri)).is_file():
            raise BadFile(f"its data file '{uri}' is missing")
    return faces


def _gltf_faces(content: bytes) -> int:
    """Counts triangles: of every primitive a third of its indices, or of its points."""
    try:
        described = json.loads(content)
        accessors = described.get("accessors", [])
        return sum(
            accessors[_counted(primitive)]["count"] // 3
            for mesh in described.get("meshes", [])
            for primitive in mesh["primitives"]
            if primitive.get("mode", TRIANGLES) >= TRIANGLES
        )
    except (ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
        raise BadFile("its description is not glTF") from error


def _counted(primitive: Mapping[str, Any]) -> int:
    return primitive["indices"] if "indices" in primitive else primitive["attributes"]["POSITION"]


def _ply(path: Path, size: int) -> int:
    with path.open("rb") as file:
        start = file.read(HEADER)
    header, end, _ = start.partition(b"end_header")
    if not start.startswith(b"ply") or not end:
        raise BadFile("it does not begin as a .ply file does")
    counts = dict(re.findall(rb"element\s+(vertex|face)\s+(\d+)", header))
    vertices, faces = (int(counts.get(name, 0)) for name in (b"vertex", b"face"))
    if vertices + faces > size:  # each takes a byte at least; Blender would ask for memory
        raise BadFile(f"it is cut off: {size} bytes, with {vertices} vertices and {faces} faces")
    return faces


def _stl(path: Path, size: int) -> int | None:
    with path.open("rb") as file:
        start = file.read(512)
    if len(start) >= 84:
        (faces,) = struct.unpack("<I", start[80:84])
        if size == 84 + 50 * faces:
            return faces
    if start.lstrip().startswith(b"solid") and b"facet" in start:
        words = Counter(
            word
            for lines in _text(path)
            for word in re.findall(rb"\b(facet(?=\s+normal)|endfacet|endsolid)\b", lines)
        )
        begun, whole = words[b"facet"], words[b"endfacet"]
        if begun != whole or not words[b"endsolid"]:
            raise BadFile(f"it is cut off: {whole} of {begun} faces are whole")
        return whole
    raise BadFile("it is neither a text .stl nor as long as a binary one says, or it is cut off")


def _off(path: Path, size: int) -> int:
    with path.open("rb") as file:
        start = file.read(HEADER)
    return _off_counts(_off_lines(start)[:2])[1]


def _fbx(path: Path, size: int) -> None:
    with path.open("rb") as file:
        start = file.read(4096)
    if not start.startswith(b"Kaydara FBX Binary") and b"FBX" not in start:
        raise BadFile("it does not begin as an .fbx file does")


def _blend(path: Path, size: int) -> None:
    with path.open("rb") as file:
        start = file.read(7)
    packed = (b"\x28\xb5\x2f\xfd", b"\x1f\x8b")  # Zstandard, gzip
    if not start.startswith((b"BLENDER", *packed)):
        raise BadFile("it does not begin as a .blend file does")


_READERS: Mapping[str, Callable[[Path, int], int | None]] = {
    "obj": _obj,
    "glb": _glb,
    "gltf": _gltf,
    "ply": _ply,
    "stl": _stl,
    "off": _off,
    "fbx": _fbx,
    "blend": _blend,
}


def read_off(path: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Reads an .off file (Object File Format, text), colours left out.

    ModelNet writes the counts behind the word OFF on the same line in some of its files.

    Returns:
        vertices float64 (V, 3), the faces' vertex numbers int64 (sum of the corners,), and the
        number of corners of each face int64 (F,).

    Raises:
        BadFile: it is not such a file, is cut off, or a face refers to a vertex that is not
            there.
    """
    lines = _off_lines(Path(path).read_bytes())
    points, faces, used = _off_counts(lines[:2])
    body = lines[used:]
    if len(body) < points + faces:
        raise BadFile(f"it is cut off: {len(body)} of {points + faces} lines")
    try:
        vertices = _table(body[:points], 3)
        if vertices is None:
            vertices = np.array([line.split()[:3] for line in body[:points]], np.float64)
        corners, counts = _off_faces(body[points : points + faces])
    except ValueError as error:
        raise BadFile("a line of it does not hold the numbers that it should") from error
    if len(vertices) and vertices.shape[1] != 3:
        raise BadFile("its vertices do not have three coordinates")
    if len(corners) and not (corners.min() >= 0 and corners.max() < points):
        wrong = int(((corners < 0) | (corners >= points)).sum())
        raise BadFile(f"{wrong} corners of faces refer to vertices out of range (it has {points})")
    return vertices, corners, counts


def _off_lines(content: bytes) -> list[bytes]:
    """Lists the lines that say something: comments and empty ones are left out."""
    stripped = (line.partition(b"#")[0].strip() for line in content.splitlines())
    return [line for line in stripped if line]


def _off_counts(lines: list[bytes]) -> tuple[int, int, int]:
    """Returns the numbers of vertices and of faces, and how many lines said so."""
    match = re.match(rb"(?:ST)?(?:C)?(?:N)?OFF(?![A-Za-z])\s*(.*)", lines[0] if lines else b"")
    if match is None or b"BINARY" in match.group(1):
        raise BadFile("it does not begin as a text .off file does")
    counts, used = (match.group(1), 1) if match.group(1) else (b"".join(lines[1:2]), 2)
    numbers = counts.split()
    if len(numbers) < 2 or not all(number.isdigit() for number in numbers[:2]):
        raise BadFile("it does not say how many vertices and faces it has")
    return int(numbers[0]), int(numbers[1]), used


def _off_faces(lines: list[bytes]) -> tuple[np.ndarray, np.ndarray]:
    """Reads "3 0 1 2 ..." per face; what follows the corners is a colour."""
    triangles = _table(lines, 4)
    if triangles is not None and (triangles[:, 0] == 3).all():
        return triangles[:, 1:].astype(np.int64).ravel(), np.full(len(lines), 3)
    rows = [line.split() for line in lines]
    counts = np.array([row[0] for row in rows], np.int64)
    if len(counts) and counts.min() < 3:
        raise BadFile(f"{int((counts < 3).sum())} of its faces have fewer than three corners")
    if any(len(row) <= count for row, count in zip(rows, counts, strict=True)):
        raise BadFile("one of its faces has fewer corners than it says")
    corners = [row[1 : count + 1] for row, count in zip(rows, counts, strict=True)]
    return np.array([each for row in corners for each in row], np.int64), counts


def _table(lines: list[bytes], width: int) -> np.ndarray | None:
    """Reads lines of as many numbers each, fast, or says that they are not such."""
    if not lines or any(len(line.split()) != width for line in (lines[0], lines[-1])):
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # at what is no number it stops
        values = np.fromstring(b" ".join(lines), np.float64, sep=" ")
    return values.reshape(-1, width) if len(values) == width * len(lines) else None
