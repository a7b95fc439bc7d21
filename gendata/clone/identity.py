"""Whether two runs draw the same clone: by contents, wherever their files lie.

A sampler or a classifier with a digest is what its card says; its name only says where to find it,
unless it names a function of a program. So do those of a sampler's options that name files, which
its card identifies too.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gendata.settings_difference import settings_difference

__all__ = ["identity_difference", "relocated"]

Settings = Mapping[str, Any]
WHEREABOUTS = {"sampler": ("name", "files"), "filter": ("name",)}
PROGRAM = "python:"  # two functions of one file draw different images


def identity_difference(there: Settings, now: Settings) -> str:
    """Names what makes two clones differ, as `settings_difference` does; empty: nothing.

    Args:
        there: the settings in `run.json`.
        now: those of the run that shall continue it.
    """
    return settings_difference(_compared(there, now), _compared(now, there))


def relocated(there: Settings, now: Settings) -> dict[str, Any]:
    """Returns the settings of a run, with its files where they lie now.

    Args:
        there: the settings in `run.json`.
        now: those of a run with the same identity.
    """
    found = dict(there)
    for role, names in WHEREABOUTS.items():
        before, after = there[role], now[role]
        if after:
            found[role] = before | {name: after[name] for name in names if name in after}
    return found


def _compared(own: Settings, other: Settings) -> dict[str, Any]:
    found = dict(own)
    for role, names in WHEREABOUTS.items():
        mine, theirs = own.get(role), other.get(role)
        if mine and theirs and _has_one_content(mine, theirs):
            found[role] = {name: value for name, value in mine.items() if name not in names}
    return found


def _has_one_content(one: Settings, other: Settings) -> bool:
    """Says whether two are the same file, wherever it lies, or the same function of it."""
    if one["name"] != other["name"] and one["name"].startswith(PROGRAM):
        return False
    return bool(one["sha256"]) and one["sha256"] == other["sha256"]
