"""Finding samplers, methods and studies by name, ours and those of third parties.

A registry's group is both the package whose modules register themselves (`gendata.samplers`) and
the entry-point group through which other packages add to it.
"""

from __future__ import annotations

import difflib
import importlib
import pkgutil
import warnings
from collections.abc import Callable
from importlib.metadata import entry_points
from typing import Any, TypeVar

from gendata.errors import GendataError

__all__ = ["Registry", "methods", "samplers", "studies"]

T = TypeVar("T", bound=Callable[..., Any])


class Registry:
    """Names to callables, filled on first use.

    Args:
        group: package and entry-point group, such as `gendata.samplers`.
        noun: what an entry is called in messages.
    """

    def __init__(self, group: str, noun: str) -> None:
        self.group, self.noun = group, noun
        self._entries: dict[str, Callable[..., Any]] = {}
        self._filled = self._filling = False

    def register(self, name: str) -> Callable[[T], T]:
        """Registers the decorated callable under a name; a second one of that name is an error."""

        def add(entry: T) -> T:
            present = self._entries.get(name)
            if present is not None and _place(present) != _place(entry):
                raise GendataError(
                    f"two {self.noun}s are named '{name}'",
                    found=f"{_place(present)} and {_place(entry)}",
                    do="rename or uninstall one of them",
                )
            self._entries[name] = entry
            return entry

        return add

    def names(self) -> list[str]:
        """Lists the registered names, sorted."""
        self._fill()
        return sorted(self._entries)

    def get(self, name: str) -> Callable[..., Any]:
        """Returns the entry of a name.

        Raises:
            GendataError: no such name; close ones are listed.
        """
        self._fill()
        if name not in self._entries:
            close = difflib.get_close_matches(name, self._entries, n=3, cutoff=0.4)
            raise GendataError(
                f"unknown {self.noun} '{name}'",
                expected=f"one of {', '.join(self.names())}",
                do=f"did you mean {' or '.join(close)}?" if close else None,
            )
        return self._entries[name]

    def _fill(self) -> None:
        if self._filled or self._filling:  # a module may ask while it is being imported
            return
        self._filling = True
        try:
            self._import_all()
            self._filled = True  # not before: the next call shall meet a failed import again
        finally:
            self._filling = False

    def _import_all(self) -> None:
        package = importlib.import_module(self.group)
        for module in pkgutil.iter_modules(package.__path__):
            importlib.import_module(f"{self.group}.{module.name}")
        for point in entry_points(group=self.group):
            try:
                self.register(point.name)(point.load())
            except Exception as error:  # a third party's fault must not stop the others
                warnings.warn(
                    f"skipped the {self.noun} plugin '{point.name}' ({point.value}): {error}",
                    stacklevel=2,
                )


def _place(entry: Callable[..., Any]) -> str:
    return f"{entry.__module__}.{entry.__qualname__}"


samplers = Registry("gendata.samplers", "sampler")
methods = Registry("gendata.guidance", "method")
studies = Registry("gendata.benchmarks", "study")
