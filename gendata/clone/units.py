"""Figures as people read them."""

from __future__ import annotations

__all__ = ["byte_size", "duration", "short"]


def short(value: float) -> str:
    """Three digits, or all before the point."""
    return f"{value:.3g}" if value < 999.5 else f"{value:,.0f}"


def byte_size(count: float) -> str:
    """A number of bytes."""
    for unit in ("bytes", "KiB", "MiB", "GiB"):
        if count < 1023.5:
            return f"{short(count)} {unit}"
        count /= 1024
    return f"{short(count)} TiB"


def duration(seconds: float) -> str:
    """A time."""
    for unit, length in (("days", 86400.0), ("hours", 3600.0), ("minutes", 60.0)):
        if seconds >= 2 * length:
            return f"{short(seconds / length)} {unit}"
    return f"{short(seconds)} seconds"
