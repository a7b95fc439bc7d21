"""Drawing into a URL: a local folder is the workplace, and every finished file goes to the store.

The store is the truth. What it holds is fetched first, so a run continues on another machine; what
a folder of an earlier run holds and the store does not is forgotten. A file appears there whole.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from gendata.errors import GendataError
from gendata.files import publish
from gendata.images.places import file_system
from gendata.types import Images

__all__ = ["Store", "draw_to_url", "staging_folder"]

RUN = "run.json"
NAMES = re.compile(
    r"shard-\d+\.parquet|draws/range-\d+\.parquet|run\.json|rejects\.json|README\.md"
)
PAUSE = 2.0  # seconds between two looks at the folder


def staging_folder(url: str, shard: tuple[int, int] | None) -> Path:
    """The local folder of a URL: below GENDATA_STAGING, else in the user's cache."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    root = Path(os.environ.get("GENDATA_STAGING") or cache / "gendata" / "staging")
    return root / hashlib.sha256(f"{url} {shard}".encode()).hexdigest()[:16]


def draw_to_url(
    draw: Callable[[Path], Images | None], url: str, shard: tuple[int, int] | None
) -> Images | None:
    """Draws into a local folder, and keeps a URL up to date with it.

    Args:
        draw: draws into the folder it is given, as `draw_clone` does.
        url: the clone's place.
        shard: the share, as for `draw_clone`.

    Returns:
        The clone, read from the local folder, which stays; None where other shares are not done.

    Raises:
        GendataError: the URL cannot be read or written, or what `draw` raises.
    """
    if shard is None and int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise GendataError(
            "ranks of a launch cannot share a URL", do="start jobs with --shard i/n"
        )
    store = Store(url, staging_folder(url, shard))
    with store.readable_errors():
        store.begin()
    with store.in_background(pull=shard is not None):
        clone = draw(store.folder)
    with store.readable_errors():
        store.push()
        while clone is None and store.pull():  # others were done in the meantime
            clone = draw(store.folder)
            store.push()
    return clone


class Store:
    """A URL and the local folder that goes with it.

    Args:
        url: any of fsspec's.
        folder: the local one.
    """

    def __init__(self, url: str, folder: Path) -> None:
        self.url, self.folder = url, folder
        self.known: dict[str, tuple[int, int]] = {}  # name: size and time of the file in both
        with self.readable_errors():
            self.files, self.root = file_system(url, skip_instance_cache=True)

    @contextlib.contextmanager
    def readable_errors(self) -> Iterator[None]:
        """Turns what a store's client says into one line."""
        try:
            yield
        except GendataError:
            raise
        except Exception as error:  # every client has errors of its own
            raise GendataError(
                f"{self.url} cannot be used",
                found=f"{type(error).__name__}: {error}",
                do="what is finished is kept, and the same command goes on",
            ) from error

    def outline(self) -> None:
        """Fetches `run.json`, and leaves an empty file for every other one."""
        with self.readable_errors():
            for name in self._listing():
                path = self.folder / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(
                    self.files.cat_file(f"{self.root}/{name}") if name == RUN else b""
                )

    def begin(self) -> None:
        """Fetches what the store holds.

        Raises:
            GendataError: it holds something else than a clone.
        """
        present = self._listing()
        if present and RUN not in present:
            raise GendataError(
                f"{self.url} is not a clone",
                found=present[0],
                expected="an empty place, or a clone",
            )
        if present and self._begun_here():
            self._recognise(present)
        else:
            shutil.rmtree(self.folder, ignore_errors=True)
            self.folder.mkdir(parents=True)
        self.pull()

    def _begun_here(self) -> bool:
        """Says whether the local folder holds the same run."""
        own = self.folder / RUN
        return own.is_file() and own.read_bytes() == self.files.cat_file(f"{self.root}/{RUN}")

    def _recognise(self, present: list[str]) -> None:
        """Spares fetching what is here in the same size: in one run, that is the same file."""
        for name in present:
            path = self.folder / name
            if path.is_file() and path.stat().st_size == self.files.size(f"{self.root}/{name}"):
                self.known[name] = _state(path)

    def pull(self) -> int:
        """Fetches the files that were never here; returns how many."""
        new = [
            name for name in self._listing() if NAMES.fullmatch(name) and name not in self.known
        ]
        for name in new:
            path = self.folder / name
            with self.files.open(f"{self.root}/{name}", "rb") as source:
                publish(path, lambda file, source=source: shutil.copyfileobj(source, file))  # type: ignore[misc]
            self.known[name] = _state(path)
        return len(new)

    def push(self) -> None:
        """Sends the files that are new or changed; the one that says `finished` goes last."""
        run = self.folder / RUN
        finished = run.exists() and json.loads(run.read_text(encoding="utf-8"))["finished"]
        names = [
            name
            for path in self.folder.rglob("*")
            if NAMES.fullmatch(name := path.relative_to(self.folder).as_posix())
        ]
        for name in sorted(names, key=lambda name: ((name == RUN) == finished, name)):
            self._send(name)

    @contextlib.contextmanager
    def in_background(self, pull: bool) -> Iterator[None]:
        """Sends files while the block makes them; with `pull`, fetches those of others too."""
        over = threading.Event()

        def work() -> None:
            while not over.wait(PAUSE):
                with contextlib.suppress(
                    Exception
                ):  # tried again, and at last with its error told
                    self.push()
                    if pull:
                        self.pull()

        thread = threading.Thread(target=work, name="publish", daemon=True)
        thread.start()
        try:
            yield
        except BaseException:
            over.set()
            thread.join()
            with contextlib.suppress(Exception):  # the error that stopped the block is told
                self.push()
            raise
        over.set()
        thread.join()

    def _send(self, name: str) -> None:
        path = self.folder / name
        try:
            state = _state(path)
            if self.known.get(name) == state:
                return
            source = path.open("rb")
        except FileNotFoundError:  # it is being drawn again
            return
        target = f"{self.root}/{name}"
        with source:
            self.files.makedirs(target.rpartition("/")[0], exist_ok=True)
            with self.files.transaction, self.files.open(target, "wb") as file:
                shutil.copyfileobj(source, file)
        self.known[name] = state

    def _listing(self) -> list[str]:
        """Names of all files there, relative to the URL."""
        self.files.invalidate_cache()
        if not self.files.exists(self.root):
            return []
        prefix = self.root.strip("/") + "/"
        return sorted(name.lstrip("/").removeprefix(prefix) for name in self.files.find(self.root))


def _state(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_size, found.st_mtime_ns
