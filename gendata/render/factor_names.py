"""From what a person wrote, nested or with dots, to factors by their full names."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from gendata.errors import GendataError
from gendata.render.factor_table import FACTORS

__all__ = ["flatten", "nest", "read_yaml", "unknown"]


def flatten(written: Mapping[str, Any], where: str = "the factors") -> dict[str, Any]:
    """Full names of factors, whatever is nested in what.

    Args:
        written: `{"camera": {"roll": 5}}`, `{"camera.roll": 5}` or a mixture of both.
        where: what errors name.

    Raises:
        GendataError: there is no such factor; close names are listed. Or it is given twice.
    """
    flat: dict[str, Any] = {}
    for name, value in _leaves("", written, where):
        if name in flat:
            raise GendataError(f"'{name}' is given twice in {where}")
        flat[name] = value
    return flat


def _leaves(prefix: str, written: Mapping[str, Any], where: str) -> Iterator[tuple[str, Any]]:
    for key, value in written.items():
        name = f"{prefix}{key}"
        if name in FACTORS:
            yield name, value
        elif not any(each.startswith(f"{name}.") for each in FACTORS):
            raise unknown(name, FACTORS, f"unknown factor '{name}' in {where}")
        elif isinstance(value, Mapping):
            yield from _leaves(f"{name}.", value, where)
        elif value is not None:  # a heading with nothing below it
            inner = [each for each in FACTORS if each.startswith(f"{name}.")]
            raise GendataError(
                f"'{name}' in {where} is a group of factors",
                found=repr(value),
                expected=f"a table with some of {', '.join(inner)}",
            )


def unknown(name: str, known: Collection[str], what: str) -> GendataError:
    """The error for a name that does not exist, with close ones."""
    close = difflib.get_close_matches(name, known, n=3, cutoff=0.6)
    last = name.rpartition(".")[2]
    close += [each for each in known if each.rpartition(".")[2] == last and each not in close]
    group = f"{name.partition('.')[0]}."
    groups = {each.partition(".")[0]: None for each in known}
    listed = [each for each in known if each.startswith(group)] or list(groups)
    return GendataError(
        what,
        expected=None if close else f"one of {', '.join(listed)}",
        do=f"did you mean {' or '.join(close[:3])}?" if close else None,
    )


def nest(flat: Mapping[str, Any]) -> dict[str, Any]:
    """The opposite of `flatten`: tables in tables."""
    nested: dict[str, Any] = {}
    for name, value in flat.items():
        *groups, last = name.split(".")
        table = nested
        for group in groups:
            table = table.setdefault(group, {})
        table[last] = value
    return nested


class _Loader(yaml.SafeLoader):
    """Refuses keys that YAML takes for other than words, such as `on`, or that stand twice."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        merge = "tag:yaml.org,2002:merge"  # `<<: *other`: what it brings may be replaced
        nodes = [key for key, _ in node.value if key.tag != merge]
        keys = [self.construct_object(key, deep=True) for key in nodes]
        mark = f"line {node.start_mark.line + 1}"
        for key in keys:
            if not isinstance(key, str):
                raise yaml.YAMLError(f"the key {key!r} at {mark} is no word: quote it")
        twice = [str(key) for key in keys if keys.count(key) > 1]
        if twice:
            raise yaml.YAMLError(f"'{twice[0]}' stands twice in the table at {mark}")
        return super().construct_mapping(node, deep)


def read_yaml(text: str, where: str | Path) -> Any:
    """Reads YAML.

    Raises:
        GendataError: it cannot be read.
    """
    try:
        return yaml.load(text, Loader=_Loader)  # a SafeLoader: plain values only
    except (yaml.YAMLError, TypeError) as error:
        raise GendataError(f"{where} is no valid YAML", found=error) from None
