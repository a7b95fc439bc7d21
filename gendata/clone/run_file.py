"""What `run.json` says: how a clone is made, so that a run continues or is refused."""

from __future__ import annotations

import json
import platform
from dataclasses import dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from gendata.clone.identity import identity_difference, relocated
from gendata.errors import GendataError
from gendata.files import is_temporary, write_json
from gendata.images.places import Place

__all__ = ["Run", "json_values", "open_run", "read_run", "versions"]

FILE = "run.json"
PACKAGES = ("gendata", "torch", "torchvision", "timm", "diffusers", "numpy", "pyarrow")


@dataclass(frozen=True)
class Run:
    """The content of `run.json`.

    Attributes:
        settings: what decides the result; another value is another clone.
        extents: images per class after the first run and after each extension.
        attempts: most attempts per slot, as far as they were ever raised.
        threads: CPU threads, which every process of the run takes.
        cards: the cards of the sampler and the filter.
        versions: packages of the first process.
        finished: whether all is written.
    """

    settings: dict[str, Any]
    extents: tuple[int, ...]
    attempts: int
    threads: int
    cards: dict[str, Any]
    versions: dict[str, str]
    finished: bool = False

    def write(self, folder: Path) -> None:
        """Writes `run.json`."""
        write_json(folder / FILE, {"format": "gendata clone", **vars(self)})

    @property
    def label(self) -> str | None:
        """The filter's label policy, None without a filter."""
        judge = self.settings["filter"]
        return judge["label"] if judge else None


def open_run(folder: Path, wanted: Run, extend: bool) -> Run:
    """Starts a run in an empty folder, or continues the one that is there.

    Raises:
        GendataError: the folder holds something else, or a run with other settings.
    """
    if not folder.exists() or (folder.is_dir() and all(map(is_temporary, folder.iterdir()))):
        folder.mkdir(parents=True, exist_ok=True)
        wanted.write(folder)
        return wanted
    present = read_run(folder)
    difference = identity_difference(present.settings, wanted.settings)
    if difference and not any(folder.rglob("*.parquet")):  # nothing was kept: nothing is lost
        wanted.write(folder)
        return wanted
    if difference:
        raise GendataError(
            f"{folder} was drawn with other settings",
            found=difference,
            do="use the same settings to continue it, or another folder",
        )
    run = replace(
        present,
        settings=relocated(present.settings, wanted.settings),
        extents=_extents(folder, present, wanted.extents[-1], extend),
        attempts=max(present.attempts, wanted.attempts),
    )
    if (run.extents, run.attempts) != (present.extents, present.attempts):
        run = replace(run, finished=False)
    if run != present:
        run.write(folder)
    return run


def read_run(folder: Place) -> Run:
    """Reads `run.json`.

    Raises:
        GendataError: the folder is not a clone, or the file is damaged.
    """
    path = folder / FILE
    if not path.is_file():
        raise GendataError(
            f"{folder} is not a clone",
            found="a folder without run.json" if folder.is_dir() else "no such folder",
            expected="an empty or new folder to draw into, or a clone",
        )
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content.pop("format") != "gendata clone":
            raise ValueError("another format")
        return Run(**{**content, "extents": tuple(content["extents"])})
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise GendataError(
            f"{path} is damaged", found=error, do="restore it, or draw into another folder"
        ) from error


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that decide pixels."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def json_values(value: Any) -> Any:
    """Returns a value as it would come back from a JSON file."""
    return json.loads(json.dumps(value, default=str))


def _extents(folder: Path, present: Run, per_class: int, extend: bool) -> tuple[int, ...]:
    last = present.extents[-1]
    if per_class == last:
        return present.extents
    if per_class < last:
        raise GendataError(
            f"{folder} already holds more per class",
            found=last,
            expected=f"at most {per_class}",
            do="take a balanced subset of it, or draw into another folder",
        )
    if not extend:
        raise GendataError(
            f"{folder} was drawn with other settings",
            found=f"per_class {last} there, {per_class} now",
            do="pass --extend (extend=True) to draw the missing ones",
        )
    return (*present.extents, per_class)
