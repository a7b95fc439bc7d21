"""Class names: kept beside an exported set in `classes.json`, and compared between two lists."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path

from gendata.errors import GendataError

__all__ = [
    "CLASSES_FILE",
    "folder_names",
    "match_names",
    "read_class_names",
    "write_class_names",
]

CLASSES_FILE = "classes.json"
RESERVED = {"con", "prn", "aux", "nul", *(f"{n}{i}" for n in ("com", "lpt") for i in range(1, 10))}
LONGEST = 60
WORDNET_ID = re.compile(r"n\d{8}")
ALIASES = {"crane bird": "crane"}  # torchvision's word for one of ImageNet's two cranes


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


def match_names(ours: Sequence[str], theirs: Sequence[str]) -> list[int] | None:
    """Finds, for each class of one list, its place in another list of the same classes.

    A name may be one synonym, or several split at commas; "great_white_shark" fits "Great white
    shark, white shark, man-eater". ImageNet's WordNet ids stand for their synonyms. The closest
    agreement counts, letter case included: to ImageNet "Cardigan" is a dog and "cardigan" a
    jacket. What names cannot tell apart goes by place, where all others are in the same order.

    Returns:
        Places, each one once; None where the lists do not name the same classes.
    """
    if len(ours) != len(theirs):
        return None
    if len(set(theirs)) == len(theirs) and set(ours) == set(theirs):
        places = {name: place for place, name in enumerate(theirs)}
        return [places[name] for name in ours]
    ours, theirs = [_plain(name) for name in ours], [_plain(name) for name in theirs]
    found: dict[int, int] = {}
    for reading in (_whole, _synonyms, _whole_in_any_case, _synonyms_in_any_case):
        _match_unambiguous(ours, theirs, reading, found)
    if all(place == other for place, other in found.items()):
        for place in set(range(len(ours))) - set(found):
            if _synonyms_in_any_case(ours[place]) & _synonyms_in_any_case(theirs[place]):
                found[place] = place
    return [found[place] for place in range(len(ours))] if len(found) == len(ours) else None


def _match_unambiguous(
    ours: Sequence[str],
    theirs: Sequence[str],
    reading: Callable[[str], set[str]],
    found: dict[int, int],
) -> None:
    """Adds what has one free partner in a reading, until there is no more of that."""
    table: dict[str, set[int]] = {}
    for place in set(range(len(theirs))) - set(found.values()):
        for key in reading(theirs[place]):
            table.setdefault(key, set()).add(place)
    before = -1
    while before < len(found):
        before, taken = len(found), set(found.values())
        for place in set(range(len(ours))) - set(found):
            keys = reading(ours[place])
            free = {other for key in keys for other in table.get(key, ())} - taken
            if len(free) == 1:
                found[place] = free.pop()
                taken.add(found[place])


def _plain(name: str) -> str:
    name = _synonyms_of_ids().get(name, name) if WORDNET_ID.fullmatch(name) else name
    name = " ".join(name.replace("_", " ").split())
    return ALIASES.get(name, name)


@functools.cache
def _synonyms_of_ids() -> dict[str, str]:
    from timm.data import ImageNetInfo

    table = ImageNetInfo()
    return {name: table.label_name_to_description(name) for name in table.label_names()}


def _whole(name: str) -> set[str]:
    return {" ".join(name.replace(",", " ").split())}


def _synonyms(name: str) -> set[str]:
    return {part.strip() for part in name.split(",")} - {""}


def _whole_in_any_case(name: str) -> set[str]:
    return _whole(name.casefold())


def _synonyms_in_any_case(name: str) -> set[str]:
    return _synonyms(name.casefold())


def _unreadable(path: Path, found: str) -> GendataError:
    return GendataError(
        f"{path} does not list class names",
        found=found,
        expected='{"classes": [names], "folders": [names]}, as gendata export writes it',
    )
