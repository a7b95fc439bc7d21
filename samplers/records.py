"""What a pickled checkpoint is read as, besides containers and tensors: records of objects."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["EasyDict", "Record", "Reference", "Refused", "brief", "printable"]


class Refused(Exception):
    """The file asks for something that no checkpoint needs; the text says what."""


def brief(value: Any) -> str:
    """Something out of the file, fit for a terminal: short, and without control characters.

    Of containers and tensors it tells the type alone: to write them out may take forever.
    """
    if not isinstance(value, str | int | float | Path | Exception | None):
        return f"a {type(value).__name__}"
    return repr(str(value)[:80])[1:-1]


def printable(name: str) -> str:
    """A name without control characters, which messages may show."""
    return name if name.isprintable() else repr(name)[1:-1]


@dataclass(frozen=True)
class Reference:
    """A class or function that the file names, which is not imported."""

    kind: str

    @property
    def name(self) -> str:
        """The last part of the kind: the bare name."""
        return self.kind.rpartition(".")[2]


class Record:
    """An object of a class that is not imported: what is known of it.

    Attributes:
        kind: dotted name of the class or function, such as "training.networks.Generator".
        arguments: what it was called with.
        state: its attributes, by name.
        items: what was appended to it, or set in it as (key, value).
    """

    __slots__ = ("arguments", "items", "kind", "state")

    def __init__(self, kind: str = "", arguments: tuple[Any, ...] = ()) -> None:
        self.kind, self.arguments = kind, arguments
        self.state: dict[str, Any] = {}
        self.items: list[Any] = []

    def fill(self, state: Any) -> None:
        """Takes over attributes; objects with slots have them as (attributes, slots)."""
        for part in state if isinstance(state, tuple) else (state,):
            if isinstance(part, dict):
                self.state.update(
                    (name, value) for name, value in part.items() if isinstance(name, str)
                )

    def __repr__(self) -> str:
        return f"<Record of {brief(self.kind)}>"

    @property
    def name(self) -> str:
        """The last part of the kind: the bare name of the class."""
        return self.kind.rpartition(".")[2]

    def modules(self) -> dict[str, Record]:
        """Sub-modules of a torch module by name."""
        return {
            name: module
            for name, module in self.members("_modules").items()
            if isinstance(module, Record) and isinstance(name, str)
        }

    def get(self, name: str, default: Any = None) -> Any:
        """Returns an attribute, parameter, buffer or sub-module of a torch module."""
        for place in ("_parameters", "_buffers", "_modules"):
            members = self.members(place)
            if name in members:
                return members[name]
        return self.state.get(name, default)

    def members(self, place: str) -> dict[Any, Any]:
        """What a torch module holds in one of its dictionaries, such as "_parameters"."""
        members = self.state.get(place)
        return members if isinstance(members, dict) else {}


class EasyDict(dict[str, Any]):
    """A dictionary whose attributes are its items, as NVIDIA's files have it."""
