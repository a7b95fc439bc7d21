"""How the settings of a run that is there differ from those asked for now, in one line."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

__all__ = ["settings_difference"]

LONGEST = 60  # characters of a value that are shown


def settings_difference(there: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """Names every setting that differs, nested ones by dotted name; empty where all are equal.

    Args:
        there: the settings of the run that is there, JSON values.
        now: the settings asked for.
    """
    return ", ".join(
        f"{name} {_short(before)} there, {_short(after)} now"
        for name, before, after in _differences(there, now, "")
    )


def _differences(there: Any, now: Any, name: str) -> Iterator[tuple[str, Any, Any]]:
    if isinstance(there, Mapping) and isinstance(now, Mapping):
        for key in {**there, **now}:
            dotted = f"{name}.{key}" if name else key
            yield from _differences(there.get(key), now.get(key), dotted)
    elif there != now:
        yield name, there, now


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"
