"""The loop inside Blender: settings first, then images until the connection closes."""

from __future__ import annotations

import os
import signal
import sys
import time
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from multiprocessing.connection import Connection
from typing import Any

import numpy as np

from gendata.errors import GendataError
from gendata.render.connection import Message, receive, send
from gendata.render.parameters import Parameters
from gendata.render.settings import RenderSettings

__all__ = ["Studio", "serve"]

GRACE = 2.0  # a worker ends itself where its parent, which waits for it, would long have done so


def serve(connection: Connection) -> None:
    """Answers requests.

    The first message holds `settings`, `threads`, the number of an `accelerator` or none, and
    `seconds`, the most that an image may take; its answer is `ready` with the version of Blender,
    or says what `failed`. Each later one holds a `number`, the `parameters` of an image and the
    `sources` of its meshes; its answer has the number, the `status`, and what else
    `Studio.render` returns.

    Raises:
        EOFError: the connection was closed.
        OSError: it is broken.
    """
    opening = receive(connection).header
    try:
        studio = Studio(opening["settings"], opening["threads"], opening["accelerator"])
    except Exception as error:  # whatever it is, the parent tells it
        send(connection, {"failed": _one_line(error)})
        return
    send(connection, {"ready": studio.version, "memory": resident_memory()})
    rendered = sent = time.perf_counter()
    while True:
        request = receive(connection).header
        begun = time.perf_counter()
        seconds = {"send": sent - rendered, "wait": begun - sent}
        with ending_after(GRACE * opening["seconds"]):
            answer = studio.answer(request)
        rendered = time.perf_counter()
        seconds |= {**answer.header.get("seconds", {}), "work": rendered - begun}
        header = {**answer.header, "number": request["number"], "seconds": seconds}
        send(connection, {**header, "memory": resident_memory()}, answer.arrays)
        sent = time.perf_counter()


class Studio:
    """The renderer and the meshes of this process.

    Args:
        settings: of `RenderSettings`, as JSON.
        threads: processor threads for rendering.
        accelerator: its number among those of the device's kind; None: all of them.

    Raises:
        ImportError: there is no Blender in this interpreter, or a library that it needs is gone.
    """

    def __init__(
        self, settings: Mapping[str, Any], threads: int, accelerator: int | None = None
    ) -> None:
        import bpy

        from gendata.render.worker.mesh import BadMesh, Meshes
        from gendata.render.worker.renderer import Renderer

        self.settings = RenderSettings(**{**settings, "labels": tuple(settings["labels"])})
        self.version = ".".join(map(str, bpy.app.version))
        self.renderer = Renderer(self.settings, threads, accelerator)
        self.meshes, self._bad_mesh = Meshes(), BadMesh

    def answer(self, request: Mapping[str, Any]) -> Message:
        """Renders an image, or says in the header why there is none."""
        try:
            return self.render(Parameters.from_json(request["parameters"]), request["sources"])
        except self._bad_mesh as error:
            return Message({"status": "mesh", "key": error.key, "why": error.why}, {})
        except Exception as error:  # one image's fault must not end the others
            traceback.print_exc(file=sys.stderr)
            return Message({"status": "error", "why": _one_line(error)}, {})

    def render(self, parameters: Parameters, sources: Mapping[str, Any]) -> Message:
        """Renders an image.

        Returns:
            In the header: `status`, "ok", "nan" or "hidden"; `notes` on the meshes, by key;
            `centre`; `visible`, the share of the image that shows the object; `seconds`. The
            arrays: colour, mask and the labels that were asked for.
        """
        begun = time.perf_counter()
        loaded = self.meshes.get_all(sources)
        seconds = {"load": time.perf_counter() - begun}
        meshes = {key: each.mesh for key, each in loaded.items()}
        rendered = self.renderer.render(parameters, meshes)
        visible = float(rendered.mask.mean())
        header = {
            "status": "ok",
            "notes": {key: each.notes for key, each in loaded.items() if each.notes},
            "centre": [float(value) for value in rendered.centre],
            "visible": visible,
            "seconds": {**rendered.seconds, **seconds},
        }
        if not np.isfinite(rendered.colour).all():
            return Message({**header, "status": "nan"}, {})
        if visible < self.settings.smallest_mask:
            return Message({**header, "status": "hidden"}, {})
        maps = {name: getattr(rendered, name) for name in ("colour", "mask", "depth", "normal")}
        return Message(header, {name: each for name, each in maps.items() if each is not None})


@contextmanager
def ending_after(seconds: float) -> Iterator[None]:
    """Has the system end this process if the block takes longer.

    A parent that was killed can end nobody, and code that hangs in a library listens to nothing
    but the system.
    """
    if not hasattr(signal, "setitimer"):
        yield
        return
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def resident_memory() -> int:
    """Bytes of this process that are in memory; at its peak, where the system says no more."""
    try:
        with open("/proc/self/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        import resource

        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return most if sys.platform == "darwin" else 1024 * most


def _one_line(error: BaseException) -> str:
    name = "" if isinstance(error, GendataError) else f"{type(error).__name__}: "
    return " ".join(f"{name}{error}".split())
