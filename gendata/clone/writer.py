"""How images are encoded and files written while the next batch is drawn."""

from __future__ import annotations

import os
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from gendata.clone.png import encode_batch
from gendata.clone.rows import Encoded, Rows, write_table
from gendata.files import publish

__all__ = ["BackgroundWriter"]


class BackgroundWriter:
    """Encodes batches and writes files in threads, never far behind the caller.

    Use it as a context manager: leaving it waits for the file under way, also when the drawing
    failed, so that finished work is kept. An error of a thread is raised at the next call.
    """

    def __init__(self) -> None:
        encoders = max(1, min(8, (os.cpu_count() or 1) // 2))
        self._encoders = ThreadPoolExecutor(encoders, "encode")
        self._writers = ThreadPoolExecutor(1, "write")
        self._encoding: deque[Future[Encoded]] = deque()
        self._most_encoding = 2 * encoders
        self._writing: Future[None] | None = None

    def encode(self, pixels: np.ndarray) -> Future[Encoded]:
        """Starts to encode uint8 (B, H, W, 3); waits when too many batches are under way."""
        while len(self._encoding) >= self._most_encoding:
            self._encoding.popleft().result()
        self._encoding.append(self._encoders.submit(encode_batch, pixels))
        return self._encoding[-1]

    def write(self, path: Path, rows: Rows, note: dict[str, Any]) -> None:
        """Starts to write a file; waits for the one before, so that memory stays flat."""
        self.wait()
        self._writing = self._writers.submit(_write, path, rows, note)

    def wait(self) -> None:
        """Waits until the file under way is in its place."""
        writing, self._writing = self._writing, None
        if writing is not None:
            writing.result()

    def __enter__(self) -> BackgroundWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if kind is None:
                self.wait()
        finally:
            self._encoders.shutdown()
            self._writers.shutdown()


def _write(path: Path, rows: Rows, note: dict[str, Any]) -> None:
    table = rows.table()
    publish(path, lambda file: write_table(file, table, note))
