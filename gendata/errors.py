"""What a user's mistake looks like: one line that says what to do about it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["GendataError", "UnusableImages"]


class GendataError(Exception):
    """A mistake or a damaged input that the user can mend; the command line exits with 2.

    Args:
        what: what was wrong, as a clause without a full stop.
        found: what was found instead of what was expected.
        expected: what would have been right.
        do: what to do now.
    """

    def __init__(
        self, what: str, *, found: Any = None, expected: Any = None, do: str | None = None
    ) -> None:
        parts = [what]
        if found is not None:
            parts.append(f"found {found}")
        if expected is not None:
            parts.append(f"expected {expected}")
        if do is not None:
            parts.append(do)
        super().__init__("; ".join(_one_line(str(part)) for part in parts))


def _one_line(text: str) -> str:
    """One line fit for a terminal: names out of a foreign file may hold control characters."""
    line = " ".join(text.split())
    return "".join(each if each.isprintable() else ascii(each)[1:-1] for each in line)


class UnusableImages(GendataError):
    """Some images of a batch cannot be used; the others are kept here.

    Args:
        reason: one word for the reject report, such as "nan" or "withheld"; or one for each
            unusable image, by its row.
        images: uint8 (B, 3, H, W); the unusable ones hold zeros.
        bad: bool (B,), which ones are unusable.

    Attributes:
        reasons: why, by row.
        reason: all of them in one text.
    """

    def __init__(self, reason: str | Mapping[int, str], images: Tensor, bad: Tensor) -> None:
        if isinstance(reason, str):
            self.reasons = {row: reason for row in bad.nonzero().flatten().tolist()}
            self.reason = reason
        else:
            self.reasons = dict(reason)
            self.reason = ", ".join(sorted(set(reason.values())))
        self.images, self.bad = images, bad
        super().__init__(
            f"{int(bad.sum())} of {len(bad)} images are unusable ({self.reason})",
            do="draw with other seeds, or use draw_clone, which counts and replaces them",
        )
