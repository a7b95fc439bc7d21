"""Messages between this process and its workers inside Blender.

A message is a JSON object and some named arrays, which follow it as raw bytes: nothing that is
received can run. Both ends are one pair of sockets that a worker inherits, so no other program can
get at it, and either end learns at once that the other is gone. This module needs nothing but
Python and NumPy, because Blender's own interpreter imports it too.
"""

from __future__ import annotations

import json
import math
import socket
import struct
from collections.abc import Mapping
from multiprocessing.connection import Connection
from typing import Any, NamedTuple

import numpy as np

__all__ = ["BrokenMessage", "Message", "open_channel", "receive", "send"]

MOST_HEADER = 2**24  # bytes of the JSON
MOST_ARRAY = 2**31  # bytes of one array: an image of 11,000 pixels a side
MOST_ARRAYS = 16
BUFFER = 2**22  # bytes: a worker need not wait until an image is taken (the system may give less)
TYPES = frozenset({"float32", "uint8", "bool"})


class BrokenMessage(Exception):
    """What came is no message."""


class Message(NamedTuple):
    """What was sent.

    Attributes:
        header: a JSON object.
        arrays: by name.
    """

    header: dict[str, Any]
    arrays: dict[str, np.ndarray]


def open_channel(seconds: float) -> tuple[Connection, socket.socket]:
    """Makes the two ends: ours, and the one that a worker inherits.

    Args:
        seconds: after which our end gives up in the middle of a message.
    """
    ours, theirs = socket.socketpair()
    theirs.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER)
    limit = struct.pack("ll", int(seconds), int(seconds % 1 * 1e6))
    for direction in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):
        ours.setsockopt(socket.SOL_SOCKET, direction, limit)
    return Connection(ours.detach()), theirs


def send(
    connection: Connection,
    header: Mapping[str, Any],
    arrays: Mapping[str, np.ndarray] | None = None,
) -> None:
    """Sends a message.

    Raises:
        OSError: the other end is gone.
    """
    values = {name: np.ascontiguousarray(array) for name, array in (arrays or {}).items()}
    shapes = [[name, array.dtype.name, *array.shape] for name, array in values.items()]
    connection.send_bytes(json.dumps({"header": header, "arrays": shapes}).encode())
    for array in values.values():
        connection.send_bytes(array.view(np.uint8).reshape(-1).data)


def receive(connection: Connection) -> Message:
    """Waits for a message.

    Raises:
        EOFError: the other end is gone.
        OSError: it fell silent in the middle of a message.
        BrokenMessage: this is none, is cut short or too large.
    """
    try:
        content = json.loads(_bytes(connection, MOST_HEADER))
        header, shapes = content["header"], content["arrays"]
        if not isinstance(header, dict) or len(shapes) > MOST_ARRAYS:
            raise ValueError("another header")
        arrays = {name: _array(connection, kind, shape) for name, kind, *shape in shapes}
    except (ValueError, TypeError, KeyError) as error:
        raise BrokenMessage(f"{type(error).__name__}: {error}") from error
    return Message(header, arrays)


def _array(connection: Connection, kind: str, shape: list[int]) -> np.ndarray:
    if kind not in TYPES or not all(isinstance(size, int) and size >= 0 for size in shape):
        raise ValueError(f"an array of {kind} {shape}")
    expected = np.dtype(kind).itemsize * math.prod(shape)
    if expected > MOST_ARRAY:
        raise ValueError(f"an array of {expected} bytes")
    content = _bytes(connection, expected)
    if len(content) != expected:
        raise ValueError(f"{len(content)} bytes of {expected}")
    return np.frombuffer(content, dtype=kind).reshape(shape)


def _bytes(connection: Connection, most: int) -> bytes:
    """Receives some bytes; more than `most` are refused before any of them is read."""
    try:
        return connection.recv_bytes(most)
    except OSError as error:
        if connection.closed or error.errno is None:  # what multiprocessing itself refuses
            raise ValueError(str(error)) from error
        raise
