"""Where a study's synthetic images come from: samplers, clones and other image sets, by name."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gendata.errors import GendataError
from gendata.registry import samplers

__all__ = ["Source", "is_sampler", "listed", "short_name", "sources_of"]

NAMED = re.compile(r"(?P<name>[^:/\\=?]+)=(?P<reference>.+)", re.DOTALL)
SPLITS = {"train", "training", "test", "val", "validation"}
SUFFIXES = {".pkl", ".onnx", ".pt", ".pth", ".ts", ".torchscript"}  # checkpoints, not images


@dataclass(frozen=True)
class Source:
    """Where synthetic images come from.

    Attributes:
        name: as the tables show it.
        reference: a sampler, which a clone is drawn from, or an image set, which is used as it is.
        options: the sampler's.
        filter: the classifier that judges its images; None keeps all.
    """

    name: str
    reference: Any
    options: Mapping[str, Any] = field(default_factory=dict, hash=False)
    filter: str | None = None


def listed(value: Any) -> list[Any]:
    """A sequence of values from one value, several, or a text with commas."""
    if isinstance(value, str):
        return [part.strip() for part in value.split(",") if part.strip()]
    return list(value) if isinstance(value, Sequence) else [value]


def sources_of(usual: Mapping[str, Any], given: Mapping[str, Any]) -> tuple[Source, ...]:
    """The sources that were given, else the preset's, each with a name of its own.

    Args:
        usual: the preset.
        given: the study's keywords.

    Raises:
        GendataError: a preset's source is not written as it should be.
    """
    judge = given.get("filter", usual.get("filter"))
    judge = None if judge == "none" else judge
    if "sources" not in given:
        table = usual.get("sources", {})
        return tuple(_source(name, entry, judge) for name, entry in table.items())
    sources: list[Source] = []
    for entry in listed(given["sources"]):
        if isinstance(entry, Source):
            sources.append(entry)
            continue
        match = NAMED.fullmatch(entry) if isinstance(entry, str) else None
        reference = match["reference"] if match else entry
        name = match["name"] if match else short_name(reference)
        taken, number, plain = {each.name for each in sources}, 2, name
        while name in taken:
            name, number = f"{plain}-{number}", number + 1
        sources.append(Source(name, reference, filter=judge))
    return tuple(sources)


def _source(name: str, entry: Any, judge: str | None) -> Source:
    if isinstance(entry, str):
        return Source(name, entry, filter=judge)
    table = entry if isinstance(entry, Mapping) else {}
    unknown = sorted(table.keys() - {"reference", "options", "filter"})
    if unknown or not isinstance(table.get("reference"), str):
        raise GendataError(
            f"the source '{name}' is not written as it should be",
            found=", ".join(unknown)
            or ("no reference" if table and "reference" not in table else repr(entry)),
            expected="a reference, or a table of reference, options and filter",
        )
    own = table.get("filter", judge)
    return Source(
        name, table["reference"], table.get("options", {}), None if own == "none" else own
    )


def short_name(reference: Any) -> str:
    """`embedded:fashion-gan` -> `fashion-gan`; `data/clone` -> `clone`; `pets/train` -> `pets`."""
    text = str(getattr(reference, "name", reference))
    kind, _, rest = text.partition(":")
    path = Path(rest or text)
    if path.stem in SPLITS:  # the name of a part says nothing
        return path.parent.name or (kind if rest else path.stem)
    return path.stem or text


def is_sampler(reference: Any) -> bool:
    """Whether images must be drawn; else the reference names a set that is used as it is."""
    if not isinstance(reference, str | Path):
        return False
    kind, separator, _ = str(reference).partition(":")
    if separator and kind in samplers.names():
        return True
    path = Path(reference)
    return path.suffix in SUFFIXES or (path / "model_index.json").is_file()
