"""One worker: a process with Blender in it, its end of the connection and its log."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import tempfile
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gendata.render.connection import Message, open_channel, receive, send
from gendata.render.worker.__main__ import CORES, SOCKET

__all__ = ["Job", "Start", "Worker"]

LONGEST_SILENCE = 30.0  # seconds within one message
LONGEST_FAREWELL = 10.0  # seconds from the end of the connection to the end of the process
LOG_SHOWN = 4000  # bytes


@dataclass(eq=False)
class Job:
    """An image to render.

    Attributes:
        number: of the request, never used twice.
        row: its place among the results.
        request: makes what a worker is told.
        losses: workers that it has cost.
    """

    number: int
    row: int
    request: Callable[[], Mapping[str, Any]]
    losses: int = 0


@dataclass(frozen=True)
class Start:
    """How a worker is started.

    Attributes:
        command: its words.
        environment: its variables.
        opening: its first message.
        cores: those it is pinned to; empty: any.
        seconds: most that it may take until it is ready.
    """

    command: Sequence[str]
    environment: Mapping[str, str]
    opening: Mapping[str, Any]
    cores: Sequence[int] = ()
    seconds: float = 300.0


class Worker:
    """A process that renders one job after another.

    Attributes:
        jobs: those it was given and has not answered, in order.
        done: jobs answered.
        ready: whether it has loaded Blender.
        version: Blender's, once it is ready.
        memory: bytes at the last answer; memory_at_first: when it was ready.
        deadline: when the present job, or the start, has taken too long.
    """

    def __init__(self, start: Start) -> None:
        self._log = tempfile.TemporaryFile()  # noqa: SIM115
        self.connection, theirs = open_channel(LONGEST_SILENCE)
        with theirs:
            self.process = subprocess.Popen(
                list(start.command),
                env={
                    **start.environment,
                    SOCKET: str(theirs.fileno()),
                    CORES: ",".join(map(str, start.cores)),
                },
                stdin=subprocess.DEVNULL,
                stdout=self._log,
                stderr=subprocess.STDOUT,
                pass_fds=[theirs.fileno()],
                start_new_session=True,  # Ctrl-C is ours to handle; and a wrapper's child ends too
            )
        self.jobs: deque[Job] = deque()
        self.done, self.ready, self.version = 0, False, ""
        self.memory = self.memory_at_first = 0
        self.deadline = time.monotonic() + start.seconds
        with contextlib.suppress(OSError):  # it has died: what is received next says so
            send(self.connection, start.opening)

    def give(self, job: Job, seconds: float) -> None:
        """Hands over a job, which may take some time from when the one before it is done."""
        request = {**job.request(), "number": job.number}
        if not self.jobs:
            self.deadline = time.monotonic() + seconds
        self.jobs.append(job)
        with contextlib.suppress(OSError):
            send(self.connection, request)

    def receive(self) -> Message:
        """Waits for its next answer.

        Raises:
            EOFError: it is gone.
            OSError: it is gone, or fell silent.
            BrokenMessage: it says what cannot be understood.
        """
        return receive(self.connection)

    def answered(self, memory: int, seconds: float) -> Job:
        """Takes the first job as done."""
        self.memory, self.done = memory, self.done + 1
        self.deadline = time.monotonic() + seconds
        return self.jobs.popleft()

    def last_words(self) -> str:
        """The end of what it printed."""
        size = self._log.seek(0, os.SEEK_END)
        self._log.seek(max(0, size - LOG_SHOWN))
        return self._log.read().decode(errors="replace")

    def dismiss(self) -> None:
        """Lets it end by itself."""
        self.connection.close()
        try:
            self.process.wait(LONGEST_FAREWELL)
        except subprocess.TimeoutExpired:
            self.kill()
        self._log.close()

    def kill(self) -> None:
        """Ends it at once."""
        self.connection.close()
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
