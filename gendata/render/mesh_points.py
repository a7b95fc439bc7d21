"""Vertices as they stand in .ply and glTF files.

Blender's importers of those two put 0 in place of what is no number, so that a damaged object
would look like another one. This module needs nothing but Python and NumPy, because Blender's own
interpreter imports it too.
"""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np

__all__ = ["count_not_finite"]

FLOAT32 = 5126  # glTF's number of that type
PLY_TYPES = {
    **dict.fromkeys(("char", "int8"), "i1"),
    **dict.fromkeys(("uchar", "uint8"), "u1"),
    **dict.fromkeys(("short", "int16"), "i2"),
    **dict.fromkeys(("ushort", "uint16"), "u2"),
    **dict.fromkeys(("int", "int32"), "i4"),
    **dict.fromkeys(("uint", "uint32"), "u4"),
    **dict.fromkeys(("float", "float32"), "f4"),
    **dict.fromkeys(("double", "float64"), "f8"),
}


def count_not_finite(path: str, kind: str) -> int:
    """Counts vertices with a coordinate that is no finite number.

    Args:
        path: a file that `check_mesh_file` let pass.
        kind: "ply", "glb" or "gltf". Of a file of another kind, or one that this reader does not
            understand (compressed, say), nothing is known: 0.
    """
    readers = {"ply": _ply_points, "glb": _gltf_points, "gltf": _gltf_points}
    if kind not in readers:
        return 0
    try:
        return sum(int((~np.isfinite(part)).any(1).sum()) for part in readers[kind](Path(path)))
    except (OSError, ValueError, KeyError, IndexError, TypeError, struct.error):
        return 0  # the importer says what is wrong with it


def _ply_points(path: Path) -> Iterator[np.ndarray]:
    """Yields the coordinates (V, 3), where vertices come first, as they do by custom."""
    content = path.read_bytes()
    header, _, body = content.partition(b"end_header")
    body = body[2:] if body.startswith(b"\r\n") else body[1:]
    lines = [line.split() for line in header.decode("latin-1").splitlines()]
    elements = [number for number, line in enumerate(lines) if line[:1] == ["element"]]
    first, *others = elements
    if lines[first][1] != "vertex":
        return
    count, end = int(lines[first][2]), min(others, default=len(lines))
    fields = [line for line in lines[first + 1 : end] if line[:1] == ["property"]]
    names = [line[-1] for line in fields]
    (form,) = (line[1] for line in lines if line[:1] == ["format"])
    if form == "ascii":
        rows = [line.split() for line in body.splitlines()[:count]]
        table = np.array([row[: len(names)] for row in rows], np.float64)
        yield table[:, [names.index(axis) for axis in "xyz"]]
        return
    order = "<" if form == "binary_little_endian" else ">"
    kinds = [(name, order + PLY_TYPES[line[1]]) for name, line in zip(names, fields, strict=True)]
    values = np.frombuffer(body, kinds, count)
    yield np.stack([values[axis].astype(np.float64) for axis in "xyz"], 1)


def _gltf_points(path: Path) -> Iterator[np.ndarray]:
    """Yields the coordinates (V, 3) of every primitive."""
    described, inside = _gltf_content(path)
    buffers: dict[int, bytes] = {}
    used = {
        primitive["attributes"]["POSITION"]
        for mesh in described.get("meshes", [])
        for primitive in mesh["primitives"]
    }
    for number in sorted(used):
        accessor = described["accessors"][number]
        if accessor["componentType"] != FLOAT32 or "bufferView" not in accessor:
            continue  # compressed, or whole numbers
        view = described["bufferViews"][accessor["bufferView"]]
        if view["buffer"] not in buffers:
            buffers[view["buffer"]] = _buffer(described["buffers"][view["buffer"]], path, inside)
        yield np.ndarray(
            (accessor["count"], 3),
            "<f4",
            buffers[view["buffer"]],
            view.get("byteOffset", 0) + accessor.get("byteOffset", 0),
            (view.get("byteStride", 12), 4),
        )


def _gltf_content(path: Path) -> tuple[dict[str, Any], bytes]:
    """Reads the description, and of a .glb file the buffer inside it."""
    content = path.read_bytes()
    if not content.startswith(b"glTF"):
        return json.loads(content), b""
    (length,) = struct.unpack("<I", content[12:16])
    return json.loads(content[20 : 20 + length]), content[28 + length :]


def _buffer(described: Mapping[str, Any], path: Path, inside: bytes) -> bytes:
    uri = described.get("uri")
    if uri is None:
        return inside
    if uri.startswith("data:"):
        return base64.b64decode(uri.partition(",")[2])
    return (path.parent / unquote(uri)).read_bytes()
