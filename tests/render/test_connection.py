"""Messages arrive as they were sent, and what is none is refused before it does harm."""

import json
import threading
from contextlib import contextmanager
from multiprocessing.connection import Connection

import numpy as np
import pytest

from gendata.render.connection import BrokenMessage, open_channel, receive, send


@contextmanager
def both_ends(seconds=5.0):
    ours, socket = open_channel(seconds)
    theirs = Connection(socket.detach())
    try:
        yield ours, theirs
    finally:
        ours.close()
        theirs.close()


def test_header_and_arrays_arrive_as_they_were_sent():
    generator = np.random.default_rng(0)
    arrays = {
        "colour": generator.normal(size=(150, 200, 4)).astype(np.float32),
        "mask": generator.random((150, 200)) < 0.5,
        "turned": np.arange(60, dtype=np.uint8).reshape(3, 20).T,  # not in one piece
    }
    header = {"number": 7, "why": "ä · 木", "centre": [0.1, float("inf")], "nested": {"a": None}}
    with both_ends() as (ours, theirs):
        sender = threading.Thread(target=send, args=(theirs, header, arrays))
        sender.start()
        message = receive(ours)
        sender.join()
    assert message.header == header and list(message.arrays) == list(arrays)
    for name, array in arrays.items():
        assert message.arrays[name].dtype == array.dtype
        assert np.array_equal(message.arrays[name], array)


def test_closed_end_is_noticed():
    with both_ends() as (ours, theirs):
        send(theirs, {"last": 1})
        theirs.close()
        assert receive(ours).header == {"last": 1}  # what was said before still arrives
        with pytest.raises(EOFError):
            receive(ours)
        with pytest.raises(OSError):
            send(ours, {"to": "nobody"})


def test_silence_in_the_middle_of_a_message_ends():
    with both_ends(seconds=0.2) as (ours, theirs):
        theirs.send_bytes(json.dumps({"header": {}, "arrays": [["a", "uint8", 8]]}).encode())
        with pytest.raises(OSError):
            receive(ours)


def claim(*arrays):
    return json.dumps({"header": {}, "arrays": list(arrays)}).encode()


@pytest.mark.parametrize(
    "content",
    [
        b"\x80\x04\x95no pickle is read",
        b"[1, 2]",
        b'{"header": 5, "arrays": []}',
        b'{"arrays": []}',
        claim(["a", "object", 4]),
        claim(["a", "float64", 4]),
        claim(["a", "float32", -4]),
        claim(["a", "float32", 1e3]),
        claim(["a", "float32", 10**6, 10**6]),
        claim(*(["a", "uint8", 1] for _ in range(17))),
        claim(["too", "few"], 7),
    ],
)
def test_what_is_no_message_is_refused(content):
    with both_ends() as (ours, theirs):
        theirs.send_bytes(content)
        with pytest.raises(BrokenMessage):
            receive(ours)


@pytest.mark.parametrize("size", [7, 9])
def test_array_of_another_size_is_refused(size):
    with both_ends() as (ours, theirs):
        theirs.send_bytes(claim(["a", "uint8", 8]))
        theirs.send_bytes(bytes(size))
        with pytest.raises(BrokenMessage):
            receive(ours)


def test_header_that_would_fill_the_memory_is_refused():
    with both_ends() as (ours, theirs):
        theirs._send(b"\x7f\xff\xff\xff")  # two gigabytes follow, it says
        with pytest.raises(BrokenMessage):
            receive(ours)
