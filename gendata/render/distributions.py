"""How a factor's value is drawn: fixed, listed, randomised in one of several ways, or mixed.

Every draw uses the generator's `random()` alone, turned into a value by the inverse of the
cumulative distribution: the streams of numpy's other methods may change from one version to the
next, and one number a value keeps two ranges of the same factor comparable draw by draw.
"""

from __future__ import annotations

import bisect
import colorsys
import itertools
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any, Protocol

import numpy as np

__all__ = [
    "RANGES",
    "Channels",
    "Choice",
    "Distribution",
    "Fixed",
    "Mixture",
    "Normal",
    "Range",
    "WholeRange",
]


class Distribution(Protocol):
    """What a factor's value is drawn from."""

    def sample(self, generator: np.random.Generator) -> Any:
        """Draws one value."""

    def extremes(self) -> tuple[Any, ...]:
        """All values it can take, or the two between which they lie."""

    def settings(self) -> Any:
        """It as a YAML file may hold it; reading that gives an equal distribution."""


@dataclass(frozen=True)
class Fixed:
    """One value always: a number, a word, a colour, or None."""

    value: Any

    def sample(self, generator: np.random.Generator) -> Any:
        """Returns the value; the generator is left as it is."""
        return self.value

    def extremes(self) -> tuple[Any, ...]:
        """The value."""
        return (self.value,)

    def settings(self) -> Any:
        """The value."""
        return _plain(self.value)


@dataclass(frozen=True)
class Choice:
    """One of several values.

    Attributes:
        values: at least one.
        weights: as many, at least 0 and not all 0; they need not add up to 1.
    """

    values: tuple[Any, ...]
    weights: tuple[float, ...]

    def sample(self, generator: np.random.Generator) -> Any:
        """Draws one of the values."""
        return self.values[_pick(generator.random(), self.weights)]

    def extremes(self) -> tuple[Any, ...]:
        """The values that have some weight."""
        pairs = zip(self.values, self.weights, strict=True)
        return tuple(value for value, weight in pairs if weight > 0)

    def settings(self) -> Any:
        """The values, with their weights where these differ."""
        values = [_plain(value) for value in self.values]
        if set(self.weights) == {1.0}:
            return {"choice": values}
        return {"choice": values, "weights": list(self.weights)}


def _log_uniform(share: float, low: float, high: float) -> float:
    return low * (high / low) ** share


def _uniform(share: float, low: float, high: float) -> float:
    return low + share * (high - low)


def _uniform_area(share: float, low: float, high: float) -> float:
    """An angle whose sine is uniform: rings of a sphere are as likely as their area is large."""
    first, last = math.sin(math.radians(low)), math.sin(math.radians(high))
    return math.degrees(math.asin(_uniform(share, first, last)))


def _uniform_volume(share: float, low: float, high: float) -> float:
    """A radius whose cube is uniform: layers of a ball are as likely as their volume is large."""
    return float(_uniform(share, low**3, high**3) ** (1 / 3))


RANGES: Mapping[str, Callable[[float, float, float], float]] = {
    "uniform": _uniform,
    "log_uniform": _log_uniform,
    "uniform_area": _uniform_area,
    "uniform_volume": _uniform_volume,
}
"""Ways to draw between two bounds: (share of the probability below the value, low, high)."""


@dataclass(frozen=True)
class Range:
    """A number between two bounds.

    Attributes:
        kind: one of RANGES.
        low: lower bound; above 0 for "log_uniform", at least 0 for "uniform_volume".
        high: upper bound, not below the lower one.
    """

    kind: str
    low: float
    high: float

    def sample(self, generator: np.random.Generator) -> float:
        """Draws one number."""
        value = RANGES[self.kind](generator.random(), self.low, self.high)
        return min(max(value, self.low), self.high)  # rounding may pass a bound

    def extremes(self) -> tuple[Any, ...]:
        """The bounds."""
        return (self.low, self.high)

    def settings(self) -> Any:
        """The bounds under the name of the kind."""
        return {self.kind: [self.low, self.high]}


@dataclass(frozen=True)
class WholeRange:
    """A whole number between two bounds, both included, all equally likely."""

    low: int
    high: int

    def sample(self, generator: np.random.Generator) -> int:
        """Draws one whole number."""
        return self.low + int(generator.random() * (self.high - self.low + 1))

    def extremes(self) -> tuple[Any, ...]:
        """The bounds."""
        return (self.low, self.high)

    def settings(self) -> Any:
        """The bounds."""
        return {"uniform": [self.low, self.high]}


@dataclass(frozen=True)
class Normal:
    """A normal distribution of which only what lies within two bounds is drawn.

    What lies outside is drawn anew, not moved to the bound, where it would pile up.

    Attributes:
        mean: of the whole distribution.
        deviation: standard deviation of the whole distribution, above 0.
        low: lower bound, perhaps minus infinity.
        high: upper bound, perhaps infinity.
    """

    mean: float
    deviation: float
    low: float = -math.inf
    high: float = math.inf

    def share_within(self) -> float:
        """How much of the whole distribution lies within the bounds."""
        whole = NormalDist(self.mean, self.deviation)
        return whole.cdf(self.high) - whole.cdf(self.low)

    def sample(self, generator: np.random.Generator) -> float:
        """Draws one number."""
        whole = NormalDist(self.mean, self.deviation)
        share = whole.cdf(self.low) + generator.random() * self.share_within()
        value = whole.inv_cdf(min(max(share, 2.0**-53), 1 - 2.0**-53))
        return min(max(value, self.low), self.high)

    def extremes(self) -> tuple[Any, ...]:
        """The bounds."""
        return (self.low, self.high)

    def settings(self) -> Any:
        """Mean and deviation, and the bounds where there are any."""
        values: dict[str, Any] = {"normal": [self.mean, self.deviation]}
        if not (math.isinf(self.low) and math.isinf(self.high)):
            values["within"] = [self.low, self.high]
        return values


@dataclass(frozen=True)
class Mixture:
    """One of several distributions, chosen by weight, and a value of it.

    Attributes:
        parts: at least one.
        weights: as many, at least 0 and not all 0.
    """

    parts: tuple[Distribution, ...]
    weights: tuple[float, ...]

    def sample(self, generator: np.random.Generator) -> Any:
        """Chooses a part and draws from it."""
        return self.parts[_pick(generator.random(), self.weights)].sample(generator)

    def extremes(self) -> tuple[Any, ...]:
        """The extremes of the parts that have some weight."""
        pairs = zip(self.parts, self.weights, strict=True)
        return tuple(
            itertools.chain.from_iterable(part.extremes() for part, weight in pairs if weight > 0)
        )

    def settings(self) -> Any:
        """The parts, each with its weight."""
        parts = []
        for part, weight in zip(self.parts, self.weights, strict=True):
            values = {"value": part.value} if isinstance(part, Fixed) else part.settings()
            parts.append({"weight": weight, **_plain(values)})
        return {"mixture": parts}


@dataclass(frozen=True)
class Channels:
    """A colour by its channels, each drawn by itself.

    Attributes:
        model: "rgb" (linear red, green and blue, 0 to 1), "hsv" (hue in degrees, saturation and
            value 0 to 1, of the linear colour) or "grey" (one number for all three).
        parts: a distribution for each channel.
    """

    model: str
    parts: tuple[Distribution, ...]

    def sample(self, generator: np.random.Generator) -> tuple[float, float, float]:
        """Draws linear red, green and blue."""
        drawn = [part.sample(generator) for part in self.parts]
        if self.model == "grey":
            return (drawn[0], drawn[0], drawn[0])
        if self.model == "hsv":
            return colorsys.hsv_to_rgb(drawn[0] / 360 % 1, drawn[1], drawn[2])
        return (drawn[0], drawn[1], drawn[2])

    def extremes(self) -> tuple[Any, ...]:
        """None: its channels were checked when it was read."""
        return ()

    def settings(self) -> Any:
        """The channels under the name of the model."""
        parts = [part.settings() for part in self.parts]
        return {self.model: parts[0] if self.model == "grey" else parts}


def _pick(share: float, weights: tuple[float, ...]) -> int:
    """The position below whose end the given share of all weight lies; one of weight above 0."""
    ends = list(itertools.accumulate(weights))
    return bisect.bisect_right(ends[:-1], share * ends[-1])


def _plain(value: Any) -> Any:
    """Lists where there are tuples: what YAML and JSON can hold."""
    if isinstance(value, tuple):
        return list(value)
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    return value
