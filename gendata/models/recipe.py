"""What a network wants to be fed."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Recipe"]


@dataclass(frozen=True)
class Recipe:
    """Name and input of a network.

    Attributes:
        name: as given by the user.
        mean: of the three channels, for images in [0, 1].
        std: their standard deviation.
        input_size: side that images are resized to, pixels; None: as they come.
        probe_size: a side that the network surely takes, pixels.
    """

    name: str
    mean: tuple[float, ...]
    std: tuple[float, ...]
    input_size: int | None = None
    probe_size: int = 32
