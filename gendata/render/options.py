"""Options of the renderer, checked before anything is opened."""

from __future__ import annotations

from collections.abc import Collection
from numbers import Integral, Real
from typing import Any

import torch

from gendata.errors import GendataError
from gendata.render.settings import DEVICES

__all__ = ["cycles_device", "number", "one_of", "whole_number"]


def cycles_device(device: str | torch.device) -> str:
    """What Cycles calls a device, with the number of one if there was any."""
    name, colon, place = str(device).partition(":")
    if name == "auto":
        if torch.cuda.is_available():
            return "hip" if torch.version.hip else "optix"
        return "metal" if torch.backends.mps.is_available() else "cpu"
    kind = one_of("device", {"mps": "metal", "xpu": "oneapi"}.get(name, name), DEVICES)
    if colon and not (place.isdecimal() and kind != "cpu"):
        raise GendataError("bad option device", found=device, expected="such as cpu or cuda:1")
    return kind + colon + place


def one_of(option: str, value: Any, known: Collection[str]) -> str:
    """Returns one of the known words, or refuses another."""
    if value not in known:
        raise GendataError(
            f"bad option {option}", found=value, expected=f"one of {', '.join(known)}"
        )
    return str(value)


def whole_number(option: str, value: Any, least: int, most: int) -> int:
    """Returns a whole number within its bounds, or refuses it."""
    _check(option, value, Integral, "a whole number", least, most)
    return int(value)


def number(option: str, value: Any, least: float, most: float) -> float:
    """Returns a number within its bounds, or refuses it."""
    _check(option, value, Real, "a number", least, most)
    return float(value)


def _check(option: str, value: Any, kind: type, noun: str, least: float, most: float) -> None:
    fits = isinstance(value, kind) and not isinstance(value, bool)
    if not fits or not least <= value <= most:
        raise GendataError(
            f"bad option {option}", found=value, expected=f"{noun} from {least} to {most}"
        )
