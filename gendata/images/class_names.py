"""The true class names of an exported set, kept beside it in `classes.json`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from gendata.errors import GendataError

__all__ = ["CLASSES_FILE", "folder_names", "read_class_names", "write_class_names"]

CLASSES_FILE = "classes.json"
RESERVED = {"con", "prn", "aux", "nul", *(f"{n}{i}" for n in ("com", "lpt") for i in range(1, 10))}
LONGEST = 60


def write_class_names(folder: Path, classes: Sequence[str], folders: Sequence[str] = ()) -> None:
    """Writes the names in label order, and the folders that stand for them if there are any."""
    content = {"classes": list(classes), **({"folders": list(folders)} if folders else {})}
    text = json.dumps(content, indent=2, ensure_ascii=False)
    (folder / CLASSES_FILE).write_text(text + "\n", encoding="utf-8")


def read_class_names(folder: Path) -> tuple[list[str], list[str]] | None:
    """Reads (names, folders) in label order; None where there is no such file.

    Raises:
        GendataError: the file is not one that we wrote.
    """
    path = folder / CLASSES_FILE
    if not path.is_file():
        return None
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        classes, folders = content["classes"], content.get("folders", [])
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise _unreadable(path, str(error)) from error
    texts = (
        [*classes, *folders] if isinstance(classes, list) and isinstance(folders, list) else [0]
    )
    if not all(isinstance(text, str) for text in texts):
        raise _unreadable(path, "something else")
    if folders and len(set(folders)) != len(classes):
        raise _unreadable(path, f"{len(set(folders))} folders for {len(classes)} classes")
    return classes, folders


def folder_names(classes: Sequence[str]) -> list[str]:
    """Turns class names into distinct folder names that every file system accepts, in order."""
    names: list[str] = []
    taken: set[str] = set()
    for label, name in enumerate(classes):
        safe = "".join(c if c.isascii() and (c.isalnum() or c in " ._-") else "_" for c in name)
        safe = safe[:LONGEST].strip(" .")
        if not safe or safe.startswith("_") or safe.split(".")[0].lower() in RESERVED:
            safe = f"class_{label}_{safe}".rstrip("_")
        while safe.lower() in taken:
            safe = f"{safe}_{label}"
        taken.add(safe.lower())
        names.append(safe)
    return names


def _unreadable(path: Path, found: str) -> GendataError:
    return GendataError(
        f"{path} does not list class names",
        found=found,
        expected='{"classes": [names], "folders": [names]}, as gendata export writes it',
    )
