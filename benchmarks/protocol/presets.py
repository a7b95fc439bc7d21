"""Presets: the settings of a study in a TOML file, ours or one that a user wrote.

    extends = "paper/cub"           another preset, whose values this one's take the place of
    include = ["paper/cub", …]      several presets, one after the other, in one table
    name = "CUB"                    what the tables call the images
    data, test, validation          real images; validation: a set, or a number of each class
    sources = { NAME = REFERENCE }  a sampler or an image set; or { reference =, options =, … }
    filter, threshold, label, attempts   of the clones that are drawn
    per_class, shots, seeds, subset_seed
    settings = { epochs = 40, … }   of `gendata.train`
    options = { pg_weight = 1, … }  of the methods that have them
    [[zero-shot]], [[low-shot]]     a row each: name, label, method, real, baseline, options

and, for the studies of rendered images (`gendata.benchmarks.protocol.rendered`):

    sampler, sampler_options        what renders the images, and its options
    classes                         some of the sampler's
    tests = { per_class = 50, … }   and a table each of the options of a test set that is rendered
    cost = { … }                    what the dry run reckons with
    [rendered], [factors], [capacity], [quantity]   networks, augmentations and what is compared

A text in angle brackets stands for something that only the user has. The first line of those that
come along is a comment that says in a sentence what they are for.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any

from gendata.errors import GendataError

__all__ = ["Row", "is_placeholder", "load_presets", "preset_names", "preset_titles", "rows_of"]

FOLDER = "presets"
STUDIES = ("zero-shot", "low-shot")
RENDERED = ("rendered", "factors", "capacity", "quantity")
KINDS: Mapping[str, tuple[type, ...]] = {  # what may stand in a preset
    **dict.fromkeys(("extends", "name", "layout", "data", "test", "filter", "label"), (str,)),
    **dict.fromkeys(("validation", "subset_seed"), (int, str)),
    **dict.fromkeys(("per_class", "shots"), (int, str, list)),
    **dict.fromkeys(("sources", "settings", "options", "tune", "augment-by-loss"), (dict,)),
    **dict.fromkeys(("include", *STUDIES, "classes"), (list,)),
    **dict.fromkeys(("sampler_options", "tests", "cost", *RENDERED), (dict,)),
    "sampler": (str,),
    "threshold": (float,),
    **dict.fromkeys(("seeds", "attempts"), (int,)),
}
ROW = {
    **dict.fromkeys(("name", "label", "method", "real", "baseline"), (str,)),
    "options": (dict,),
}
WORDS = {
    str: "a text",
    int: "a whole number",
    float: "a number",
    list: "a list",
    dict: "a table",
}
REAL = ("few", "all")
PLACEHOLDER = re.compile(r"<.*>")


@dataclass(frozen=True)
class Row:
    """One row of a results table: a method with its options.

    Attributes:
        name: a short one, for the command line.
        label: as the table shows it.
        method: the registered name.
        real: which real images it may train on: "few" or "all".
        baseline: label of the row that it is compared with; None for none.
        options: of the method or of `gendata.train`, in place of the preset's.
    """

    name: str
    label: str
    method: str
    real: str = "few"
    baseline: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict, hash=False)


def preset_names() -> list[str]:
    """Lists the presets that come along."""
    return sorted(name for name, _ in _embedded())


def preset_titles() -> dict[str, str]:
    """The first line of each preset that comes along, which says what it is for."""
    return {
        name: file.read_text(encoding="utf-8").partition("\n")[0].lstrip("# ")
        for name, file in sorted(_embedded())
    }


def load_presets(name: str | Path) -> list[dict[str, Any]]:
    """Reads a preset, or the several that it includes.

    Args:
        name: of an embedded preset, or the path of a TOML file.

    Returns:
        One mapping a data set, with what it extends filled in; its own name as "preset".

    Raises:
        GendataError: no such preset, one that cannot be read, or an unknown key in it.
    """
    content = _resolved(str(name), ())
    if "include" not in content:
        return [{**content, "preset": str(name)}]
    others = sorted(content.keys() - {"include", "name", "layout"})
    if others:
        raise GendataError(
            f"the preset '{name}' includes others and has settings of its own",
            found=", ".join(others),
            do="move them into the included presets",
        )
    return [each for part in content["include"] for each in load_presets(part)]


def is_placeholder(value: Any) -> bool:
    """Says whether a preset leaves this value to the user."""
    return isinstance(value, str) and PLACEHOLDER.fullmatch(value) is not None


def rows_of(preset: Mapping[str, Any], study: str) -> list[Row]:
    """The rows that a preset has for a study.

    Raises:
        GendataError: it has none, or one of them is not written as it should be.
    """
    title = preset["preset"]
    if study not in preset:
        there = [each for each in STUDIES if each in preset]
        raise GendataError(
            f"the preset '{title}' has no rows for {study}",
            found=f"rows for {' and '.join(there) or 'no study'}",
            do="choose another preset, or the other study",
        )
    rows = [_row(title, each) for each in preset[study]]
    _check_rows(title, rows)
    return rows


def _row(preset: str, content: Mapping[str, Any]) -> Row:
    _check_kinds(f"a row of the preset '{preset}'", {"row": content}, {"row": (dict,)})
    unknown = sorted(content.keys() - ROW.keys())
    if unknown or "method" not in content:
        raise GendataError(
            f"a row of the preset '{preset}' is not written as it should be",
            found=", ".join(unknown) or "no method",
            expected=f"method and some of {', '.join(sorted(ROW.keys() - {'method'}))}",
        )
    _check_kinds(f"a row of the preset '{preset}'", content, ROW)
    if content.get("real", "few") not in REAL:
        raise GendataError(
            f"a row of the preset '{preset}' asks for unknown real images",
            found=repr(content["real"]),
            expected=f"one of {', '.join(REAL)}",
        )
    name = content.get("name", content["method"])
    return Row(**{"name": name, "label": name, **content})


def _check_rows(preset: str, rows: Sequence[Row]) -> None:
    labels = [row.label for row in rows]
    for what, names in (("name", [row.name for row in rows]), ("label", labels)):
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise GendataError(f"two rows of '{preset}' have the same {what}", found=twice)
    for row in rows:
        if row.baseline is not None and row.baseline not in labels:
            raise GendataError(
                f"the baseline of '{row.label}' is no row of '{preset}'",
                found=f"'{row.baseline}'",
                expected=f"one of {', '.join(labels)}",
            )


def _resolved(name: str, seen: tuple[str, ...]) -> dict[str, Any]:
    if name in seen:
        raise GendataError("presets extend each other", found=" -> ".join((*seen, name)))
    content = _read(name)
    unknown = sorted(content.keys() - KINDS.keys())
    if unknown:
        close = difflib.get_close_matches(unknown[0], KINDS, n=1)
        raise GendataError(
            f"the preset '{name}' has unknown keys",
            found=", ".join(unknown),
            expected=f"some of {', '.join(sorted(KINDS))}",
            do=f"did you mean {close[0]}?" if close else None,
        )
    _check_kinds(f"the preset '{name}'", content, KINDS)
    grid = {key: value for key, value in content.get("tune", {}).items() if key != "row"}
    _check_kinds(f"tune of the preset '{name}'", grid, dict.fromkeys(grid, (list,)))
    if "extends" not in content:
        return content
    base = _resolved(content.pop("extends"), (*seen, name))
    merged = {**base, **content}
    # Other sources are others, not additions.
    for table in ("settings", "options", "sampler_options", *RENDERED):
        if table in base and table in content:
            merged[table] = {**base[table], **content[table]}
    return merged


def _check_kinds(
    where: str, content: Mapping[str, Any], kinds: Mapping[str, tuple[type, ...]]
) -> None:
    """Refuses a number where there should be a table, and the like."""
    for key, value in content.items():
        allowed = (*kinds[key], int) if float in kinds[key] else kinds[key]
        if isinstance(value, bool) or not isinstance(value, allowed):
            raise GendataError(
                f"'{key}' in {where} is not written as it should be",
                found=repr(value),
                expected=" or ".join(WORDS[kind] for kind in kinds[key]),
            )


def _read(name: str) -> dict[str, Any]:
    embedded = dict(_embedded())
    if name in embedded:
        return tomllib.loads(embedded[name].read_text(encoding="utf-8"))
    path = Path(name)
    if not path.is_file():
        close = difflib.get_close_matches(name, embedded, n=3, cutoff=0.4)
        raise GendataError(
            f"unknown preset '{name}'",
            expected=f"a TOML file, or one of {', '.join(sorted(embedded))}",
            do=f"did you mean {' or '.join(close)}?" if close else None,
        )
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise GendataError(f"{path} cannot be read as TOML", found=error) from error


def _embedded() -> Iterator[tuple[str, Any]]:
    """Names and files of the presets in the package."""
    folder = files("gendata.benchmarks") / FOLDER
    for entry in folder.iterdir():
        inner = [(f"{entry.name}/", each) for each in entry.iterdir()] if entry.is_dir() else []
        for prefix, file in inner or [("", entry)]:
            if file.name.endswith(".toml"):
                yield f"{prefix}{file.name.removesuffix('.toml')}", file
