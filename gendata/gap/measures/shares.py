"""Shares of images and differences of shares, with 95% intervals that hold near 0 and 1.

Resampling says of 0 hits among 100 images that the share is 0 for certain. The score interval does
not: 0% with an upper end of 3.7% (Wilson 1927, "Probable inference, the law of succession, and
statistical inference"). The difference of two shares gets the interval made of both of theirs
(Newcombe 1998, "Interval estimation for the difference between independent proportions", method
10). Both take the images to be independent of each other.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from gendata.errors import GendataError
from gendata.gap.measures.intervals import Estimate

__all__ = ["ComparedShare", "compare_shares", "difference", "share_of", "share_of_count"]

DEVIATIONS = 1.959963984540054  # 97.5% quantile of the normal distribution


@dataclass(frozen=True)
class ComparedShare:
    """A share of some images beside the same share of others.

    Attributes:
        share: of the images in question.
        reference: of the others.
        excess: the first minus the second.
    """

    share: Estimate
    reference: Estimate
    excess: Estimate

    @property
    def is_more(self) -> bool:
        """Whether the whole interval of the excess lies above zero."""
        return self.excess.low > 0

    def to_json(self) -> dict[str, Any]:
        """Plain numbers."""
        return {name: estimate.to_json() for name, estimate in vars(self).items()}


def compare_shares(
    flags: np.ndarray, reference: np.ndarray, *, independent: float = 1.0
) -> ComparedShare:
    """Compares the share of (N,) booleans that are true with that of others, (R,).

    Args:
        flags: of the images in question.
        reference: of the others.
        independent: how many independent observations an image amounts to.

    Raises:
        GendataError: there is no image in one of them.
    """
    share, other = (share_of(each, independent=independent) for each in (flags, reference))
    return ComparedShare(share, other, difference(share, other))


def share_of(flags: np.ndarray, *, independent: float = 1.0) -> Estimate:
    """Share of (N,) booleans that are true, between 0 and 1; see `share_of_count`.

    Raises:
        GendataError: there is no image.
    """
    return share_of_count(int(np.count_nonzero(flags)), len(flags), independent=independent)


def share_of_count(hits: int, images: int, *, independent: float = 1.0) -> Estimate:
    """Share of `images` that `hits` are, with Wilson's interval.

    Args:
        hits: how many of them.
        images: how many there are.
        independent: how many independent observations an image amounts to: below 1 where images
            come in groups that are hit together.

    Raises:
        GendataError: there is no image.
    """
    if not images:
        raise GendataError("a share of no images", expected="one image or more")
    share, square = hits / images, DEVIATIONS**2
    count = independent * images
    middle = (share + square / (2 * count)) / (1 + square / count)
    spread = share * (1 - share) / count + square / (4 * count**2)
    half = DEVIATIONS * math.sqrt(spread) / (1 + square / count)
    low = 0.0 if hits == 0 else middle - half  # exact at the ends, whatever the rounding
    high = 1.0 if hits == images else middle + half
    return Estimate(share, low, high)


def difference(share: Estimate, other: Estimate) -> Estimate:
    """One share minus another, of independent images, between -1 and 1 (Newcombe's method 10)."""
    below = math.hypot(share.value - share.low, other.high - other.value)
    above = math.hypot(share.high - share.value, other.value - other.low)
    value = share.value - other.value
    return Estimate(value, value - below, value + above)
