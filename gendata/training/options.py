"""Checking the options of methods and of the training itself."""

from __future__ import annotations

import dataclasses
import difflib
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from gendata.errors import GendataError

__all__ = [
    "build_method",
    "check_choice",
    "check_flag",
    "check_number",
    "option_names",
    "options_of",
]


def check_choice(name: str, value: Any, choices: Sequence[str]) -> None:
    """Checks that a value is one of a few.

    Raises:
        GendataError: it is not.
    """
    if value not in choices:
        raise GendataError(
            f"{name} has an unknown value",
            found=repr(value),
            expected=f"one of {', '.join(choices)}",
        )


def check_flag(name: str, value: Any) -> None:
    """Checks that a value is true or false.

    Raises:
        GendataError: it is not.
    """
    if not isinstance(value, bool):
        raise GendataError(
            f"{name} is neither true nor false", found=repr(value), expected="true or false"
        )


def check_number(
    name: str, value: Any, least: float, *, whole: bool = False, above: bool = False
) -> None:
    """Checks that a value is a finite number.

    Args:
        name: the option's, for the message.
        value: what was given.
        least: the least number that is allowed.
        whole: allow whole numbers alone.
        above: do not allow `least` itself.

    Raises:
        GendataError: it is not.
    """
    kinds = int if whole else (int, float)
    if (
        isinstance(value, bool)
        or not isinstance(value, kinds)
        or not least <= value < float("inf")
        or (above and value == least)
    ):
        raise GendataError(
            f"{name} is out of range",
            found=repr(value),
            expected=f"a {'whole ' if whole else ''}number "
            f"{'above' if above else 'of at least'} {least}",
        )


def option_names(entry: Callable[..., Any]) -> list[str]:
    """Lists the keyword options of a method's class or factory."""
    return list(inspect.signature(entry).parameters)


def build_method(
    name: str, entry: Callable[..., Any], options: Mapping[str, Any], settings: Sequence[str]
) -> Any:
    """Builds a method from its options.

    Args:
        name: the method's, for messages.
        entry: its class or factory.
        options: what is left of the caller's options when the training's settings are taken out.
        settings: names of those, for messages.

    Raises:
        GendataError: an option is unknown; the known ones are listed. Or a value is wrong.
    """
    known = option_names(entry)
    for option in options:
        if option not in known:
            close = difflib.get_close_matches(option, [*known, *settings], n=1)
            raise GendataError(
                f"neither the method '{name}' nor training has an option '{option}'",
                expected=f"of {name}: {', '.join(known) or 'none'}; "
                f"of training: {', '.join(settings)}",
                do=f"did you mean {close[0]}?" if close else None,
            )
    return entry(**options)


def options_of(method: Any, given: Mapping[str, Any]) -> dict[str, Any]:
    """All options of a built method with their values, for the record."""
    if dataclasses.is_dataclass(method):
        return {each.name: getattr(method, each.name) for each in dataclasses.fields(method)}
    return dict(given)
