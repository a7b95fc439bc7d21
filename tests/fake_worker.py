"""A worker without Blender: paints its number, and misbehaves where a request tells it to.

What a request does stands in its `parameters`; "crash" and the like may name a file, so that they
happen as often as it has bytes left. Parameters of a true image become a picture of their digest.
"""

import hashlib
import json
import os
import sys
import time
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np

from gendata.render.connection import receive, send

MEGABYTE = 2**20


def main() -> None:
    connection = Connection(int(os.environ["GENDATA_RENDER_SOCKET"]))
    opening = receive(connection).header
    start = opening["settings"].get("start", "")
    print("this is printed and must not disturb", flush=True)
    if start == "dies":
        print("Segmentation what?", file=sys.stderr, flush=True)
        os._exit(3)
    if start.startswith("failed"):
        send(connection, {"failed": start.partition(":")[2]})
    if start == "sleeps":
        time.sleep(600)
    send(connection, {"ready": "5.0.9", "memory": 100 * MEGABYTE})
    memory = 100 * MEGABYTE
    while True:
        header = receive(connection).header
        if header["parameters"].startswith("{"):
            answer, arrays = paint(header["parameters"], opening["settings"])
            answer |= {"number": header["number"], "memory": memory, "seconds": {"work": 0.1}}
            send(connection, answer, arrays)
            continue
        action, _, count = header["parameters"].partition(":")
        if count and not spend(Path(count)):
            action = ""
        if action == "grow":
            memory += 300 * MEGABYTE
        elif action not in ("", "slow"):
            misbehave(action, connection)
        if action == "slow":
            time.sleep(0.15)
        status = action.removeprefix("say-") if action.startswith("say-") else "ok"
        answer = {"number": header["number"], "status": status, "memory": memory}
        answer |= {"process": os.getpid(), "seed": header["sources"]["seed"]}
        answer |= {"seconds": {"work": 0.5}}
        pixels = np.full((4, 4, 4), header["sources"]["seed"] % 97, np.float32)
        send(connection, answer, {"colour": pixels} if status == "ok" else {})


def paint(parameters: str, settings: dict) -> tuple[dict, dict]:
    """A green disc of the object's size; objects with telling names cannot be painted."""
    time.sleep(float(os.environ.get("FAKE_SECONDS", "0")))
    drawn = json.loads(parameters)
    key = drawn["object"]["object"]
    if "bad" in key:
        return {"status": "mesh", "key": key, "why": "it is empty"}, {}
    if "deadly" in key:
        words = "Fatal Python error: Segmentation fault\nExtension modules: a, b"
        print(words, file=sys.stderr, flush=True)
        os.abort()
    digest = hashlib.sha256(parameters.encode()).digest()
    status = "hidden" if "shy" in key and digest[0] < 128 else "ok"
    side = settings["resolution"]
    rows, columns = np.mgrid[:side, :side] - (side - 1) / 2
    mask = np.hypot(rows, columns) < side / 6 * drawn["object"]["scale"]
    colour = np.zeros((side, side, 4), np.float32)
    colour[mask] = [digest[1] / 255, 1, digest[2] / 255, 1]
    answer = {"status": status, "visible": float(mask.mean()), "centre": [side / 2, side / 2]}
    answer["notes"] = {key: ["the texture 'wood.png' is missing"]} if "note" in key else {}
    arrays = {"colour": colour, "mask": mask}
    if "depth" in settings["labels"]:
        arrays["depth"] = np.where(mask, np.float32(2.5), np.float32(np.inf))
    if "normal" in settings["labels"]:
        arrays["normal"] = np.repeat(mask[..., None], 3, 2) * np.float32([0, 0, 1])
    return answer, arrays if status == "ok" else {}


def misbehave(action: str, connection: Connection) -> None:
    print(f"about to {action}", file=sys.stderr, flush=True)
    if action == "crash":
        os.abort()
    if action == "leave":
        os._exit(0)
    if action == "hang":
        time.sleep(600)
    if action == "garbage":
        connection.send_bytes(os.urandom(64))
    if action == "boast":  # of an array that would fill the memory
        shapes = b'{"header": {}, "arrays": [["colour", "float32", 100000, 100000, 4]]}'
        connection.send_bytes(shapes)
    if action == "half":  # of a message
        os.write(connection.fileno(), b"\x00\x00\x10\x00 and no more")
        os._exit(0)
    if action == "stranger":
        send(connection, {"number": -1, "status": "ok", "memory": 0, "seconds": {}})


def spend(counter: Path) -> bool:
    """Takes one of the bytes of a file; False where none is left."""
    left = counter.stat().st_size
    if left:
        os.truncate(counter, left - 1)
    return left > 0


if __name__ == "__main__":
    try:
        main()
    except (EOFError, OSError):
        pass
