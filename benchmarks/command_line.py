"""A study's call in Python, written as the command that would repeat it."""

from __future__ import annotations

import inspect
import json
import shlex
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

__all__ = ["command_line"]

PASSING = {"dry_run", "limit", "jobs"}  # decide how much is done now, not what comes out


def command_line(
    command: str,
    function: Callable[..., Any],
    values: Mapping[str, Any],
    repeated: Mapping[str, str] | None = None,
) -> str:
    """What a person would type to repeat a study: every option that differs from its default.

    Args:
        command: such as "bench low-shot".
        function: whose keywords are the options.
        values: of the keywords.
        repeated: options that are given once for each value, by their keyword; of all others the
            values are joined by commas.
    """
    words = ["gendata", *command.split()]
    for name, parameter in inspect.signature(function).parameters.items():
        value, option = values[name], f"--{name.replace('_', '-')}"
        unset = value is None or value is False or value in ("", (), [], {})
        if name in PASSING or unset or value == parameter.default:
            continue
        if value is True:
            words.append(option)
        elif isinstance(value, Mapping):
            for key, each in value.items():
                words += ["-o", f"{key}={json.dumps(each)}"]
        elif repeated and name in repeated:
            for each in value:
                words += [repeated[name], _name(each)]
        else:
            several = isinstance(value, Sequence) and not isinstance(value, str)
            words += [option, ",".join(map(_name, value)) if several else _name(value)]
    return shlex.join(words)


def _name(value: Any) -> str:
    """A set that was opened in Python has a name, and no reference; a source has both."""
    if hasattr(value, "reference"):
        return f"{value.name}={_name(value.reference)}"
    return str(value) if isinstance(value, str | Path) else str(getattr(value, "name", value))
