"""Distributions as people write them: in YAML, and in one line on the command line.

1.5                                       always this
[1, 1.5, 2]                 1,1.5,2       one of these
{choice: [1, 2], weights: [3, 1]}         1:3,2:1
{metal: 2, plastic: 1}      metal:2,plastic
{uniform: [1, 2]}           1..2
{log_uniform: [0.1, 10]}    log_uniform(0.1, 10)
{uniform_area: [5, 89]}, {uniform_volume: [1, 2]}
{normal: [50, 10], within: [35, 85]}      normal(50, 10, 35, 85)
{mixture: [{weight: 3, uniform: [0.5, 1.2]}, {weight: 1, value: none}]}
{rgb: [0.5..1, 0.5..1, 1]}, {hsv: [0..360, 0..0.5, 1]}, {grey: 0.2..1}     colours
[0.8, 0.1, 0.1], "#cc2222", orange                                         a colour each

Wherever a value may stand, a text in the one-line form may stand too.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gendata.errors import GendataError
from gendata.render.distributions import (
    RANGES,
    Channels,
    Choice,
    Distribution,
    Fixed,
    Mixture,
    Normal,
    Range,
    WholeRange,
)

__all__ = ["Values", "read_distribution"]

MODELS = {"rgb": 3, "hsv": 3, "grey": 1}
COMPANIONS = {"choice": "weights", "normal": "within"}
KINDS = ("choice", *RANGES, "normal", "mixture")
NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
RANGE = re.compile(rf"\s*({NUMBER})\s*\.\.\s*({NUMBER})\s*")
CALL = re.compile(r"\s*(\w+)\s*\((.*)\)\s*", re.DOTALL)


@dataclass(frozen=True)
class Values:
    """What values a factor can have.

    Attributes:
        kind: "number", "whole" (numbers), "word" or "colour".
        low: least number.
        high: largest number.
        above: the least number itself is not allowed.
        words: of "word".
        optional: "none" is a value too, None.
    """

    kind: str = "number"
    low: float = -math.inf
    high: float = math.inf
    above: bool = False
    words: tuple[str, ...] = ()
    optional: bool = False

    def expected(self) -> str:
        """Says in words what a single value must be."""
        if self.kind == "word":
            return f"one of {', '.join(self.words)}"
        if self.kind == "colour":
            return "a colour: three numbers between 0 and 1, a name, #rrggbb, rgb, hsv or grey"
        least = f"above {self.low:g}" if self.above else f"of at least {self.low:g}"
        bounds = [] if math.isinf(self.low) else [least]
        bounds += [] if math.isinf(self.high) else [f"at most {self.high:g}"]
        noun = "a whole number" if self.kind == "whole" else "a number"
        none = " or none" if self.optional else ""
        return " ".join([noun, " and ".join(bounds)]).strip() + none


def read_distribution(written: Any, values: Values, where: str) -> Distribution:
    """Reads what a person wrote.

    Args:
        written: a plain value, list or mapping as YAML gives it, or a text in the one-line form.
        values: what is allowed.
        where: what errors name, such as "camera.elevation".

    Raises:
        GendataError: it is not written as it should be, or can give values that are not allowed.
    """
    return _Reader(values, where).checked(written)


@dataclass(frozen=True)
class _Reader:
    values: Values
    where: str

    def checked(self, written: Any) -> Distribution:
        read = self.read(written)
        for value in read.extremes():
            self.check(value)
        return read

    def check(self, value: Any) -> None:
        """Refuses a number out of bounds; other values were checked as they were read."""
        if value is None or self.values.kind not in ("number", "whole"):
            return
        low, high = self.values.low, self.values.high
        if not low <= value <= high or (self.values.above and value == low):
            infinite = math.isinf(value)
            raise self.wrong(
                "a normal distribution without bounds" if infinite else f"{value:g}",
                do="add within: [LOW, HIGH]" if infinite else None,
            )

    def wrong(
        self, found: Any, expected: str | None = None, do: str | None = None
    ) -> GendataError:
        return GendataError(
            f"'{self.where}' is not as it should be",
            found=found,
            expected=expected or self.values.expected(),
            do=do,
        )

    def read(self, written: Any) -> Distribution:
        if isinstance(written, Mapping):
            return self.mapping(written)
        if isinstance(written, str):
            return self.text(written)
        if isinstance(written, Sequence):
            if self.values.kind == "colour" and self.is_vector(written):
                return Fixed(self.value(written))
            return self.choice(written, [1.0] * len(written))
        return Fixed(self.value(written))

    @staticmethod
    def is_vector(written: Any) -> bool:
        return (
            isinstance(written, Sequence)
            and len(written) == 3
            and all(isinstance(each, int | float) for each in written)
        )

    # -- one value

    def value(self, written: Any) -> Any:
        """Reads a single value."""
        words, kind = self.values.words, self.values.kind
        none = written is None or (isinstance(written, str) and written.strip() == "none")
        if none and (self.values.optional or "none" in words):
            return None if self.values.optional else "none"
        if kind == "word":
            return self.word(written)
        if kind == "colour":
            return self.colour(written)
        number = self.number(written)
        if kind == "whole":
            if number != int(number):
                raise self.wrong(f"{number:g}")
            return int(number)
        return number

    def word(self, written: Any) -> str:
        text = written.strip() if isinstance(written, str) else written
        if text not in self.values.words:
            close = difflib.get_close_matches(str(text), self.values.words, n=1)
            raise self.wrong(repr(text), do=f"did you mean {close[0]}?" if close else None)
        return str(text)

    def number(self, written: Any) -> float:
        if isinstance(written, bool) and self.values.kind != "whole":  # yes is 1 where 0 is no
            raise self.wrong(repr(written))
        try:
            number = float(written)
        except (TypeError, ValueError):
            raise self.wrong(repr(written)) from None
        if not math.isfinite(number):
            raise self.wrong(repr(written), expected="a finite number")
        return number

    def colour(self, written: Any) -> tuple[float, ...]:
        if self.is_vector(written):
            unit = _Reader(Values(low=0, high=1), self.where)
            for each in written:
                unit.check(unit.number(each))
            return tuple(float(each) for each in written)
        if not isinstance(written, str):
            raise self.wrong(repr(written))
        from PIL import ImageColor

        try:
            code = ImageColor.getrgb(written.strip())
        except ValueError:
            raise self.wrong(repr(written)) from None
        return tuple(_linear(each / 255) for each in code[:3])

    # -- mappings

    def mapping(self, written: Mapping[Any, Any]) -> Distribution:
        if written and self.values.kind == "word" and written.keys() <= set(self.values.words):
            return self.choice(list(written), list(written.values()))
        models = tuple(MODELS) if self.values.kind == "colour" else ()
        kinds = [key for key in written if key in (*KINDS, *models)]
        if len(kinds) != 1:
            raise self.unknown(written, (*KINDS, *models))
        kind = kinds[0]
        known = {kind, COMPANIONS.get(kind, kind)}
        if written.keys() - known:
            raise self.unknown(written, tuple(known))
        if kind in models:
            return self.channels(kind, written[kind])
        if kind == "choice":
            choices = self.sequence(written[kind], "a list of values")
            return self.choice(choices, written.get("weights", [1.0] * len(choices)))
        if kind == "mixture":
            return self.mixture(written[kind])
        if self.values.kind not in ("number", "whole"):
            raise self.wrong(kind)
        if kind == "normal":
            return self.normal(written[kind], written.get("within"))
        return self.range(kind, written[kind])

    def unknown(self, written: Mapping[Any, Any], known: tuple[str, ...]) -> GendataError:
        strange = [str(key) for key in written if key not in known]
        close = difflib.get_close_matches(strange[0], known, n=1) if strange else []
        return self.wrong(
            ", ".join(map(str, written)) or "an empty table",
            expected=f"{self.values.expected()}, or one of {', '.join(sorted(known))}",
            do=f"did you mean {close[0]}?" if close else None,
        )

    def sequence(self, written: Any, expected: str, count: int | None = None) -> list[Any]:
        right = isinstance(written, Sequence) and not isinstance(written, str)
        if not right or not written or (count is not None and len(written) != count):
            raise self.wrong(repr(written), expected=expected)
        return list(written)

    def choice(self, written: Sequence[Any], weights: Any) -> Distribution:
        values = [self.value(each) for each in self.sequence(written, "at least one value")]
        return Choice(tuple(values), self.weights(weights, len(values)))

    def weights(self, written: Any, count: int) -> tuple[float, ...]:
        expected = f"{count} weights of at least 0, not all 0"
        weights = [
            _Reader(Values(), f"weights of {self.where}").number(each)
            for each in self.sequence(written, expected, count)
        ]
        if min(weights) < 0 or max(weights) == 0:
            raise self.wrong(f"the weights {written}", expected=expected)
        return tuple(weights)

    def pair(self, written: Any) -> tuple[float, float]:
        if isinstance(written, str) and (match := RANGE.fullmatch(written)):
            written = match.groups()
        low, high = map(self.number, self.sequence(written, "two numbers, [LOW, HIGH]", 2))
        if low > high:
            raise self.wrong(f"{low:g} to {high:g}", "the smaller number first", "swap them")
        return low, high

    def range(self, kind: str, written: Any) -> Distribution:
        low, high = self.pair(written)
        if self.values.kind == "whole":
            if kind != "uniform":
                raise self.wrong(kind, expected="uniform, a choice or a mixture")
            return WholeRange(self.value(low), self.value(high))
        if kind == "log_uniform" and low <= 0:
            raise self.wrong(f"log_uniform from {low:g}", expected="two numbers above 0")
        if kind == "uniform_volume" and low < 0:
            raise self.wrong(f"uniform_volume from {low:g}", expected="two radii of at least 0")
        if kind == "uniform_area" and not -90 <= low <= high <= 90:
            raise self.wrong(f"{low:g} to {high:g}", expected="angles between -90 and 90")
        return Range(kind, low, high)

    def normal(self, written: Any, within: Any) -> Distribution:
        if self.values.kind == "whole":
            raise self.wrong("normal", expected="uniform, a choice or a mixture")
        mean, deviation = map(
            self.number, self.sequence(written, "[MEAN, STANDARD DEVIATION]", count=2)
        )
        if deviation <= 0:
            raise self.wrong(f"{deviation:g}", expected="a standard deviation above 0")
        bounds = (-math.inf, math.inf) if within is None else self.pair(within)
        normal = Normal(mean, deviation, *bounds)
        if normal.share_within() < 1e-9:
            raise self.wrong(
                f"a normal distribution of which nothing lies within {bounds[0]:g} and "
                f"{bounds[1]:g}",
                expected="bounds on both sides of the mean, or near it",
            )
        return normal

    def mixture(self, written: Any) -> Distribution:
        expected = "a list of tables, such as {weight: 1, uniform: [1, 2]} or {value: 3}"
        parts, weights = [], []
        for each in self.sequence(written, expected):
            if not isinstance(each, Mapping):
                raise self.wrong(repr(each), expected=expected)
            rest = {key: value for key, value in each.items() if key != "weight"}
            parts.append(self.read(rest["value"] if rest.keys() == {"value"} else rest))
            weights.append(each.get("weight", 1.0))
        return Mixture(tuple(parts), self.weights(weights, len(weights)))

    def channels(self, model: str, written: Any) -> Distribution:
        """A list has a part for each channel; anything else is every channel's."""
        count = MODELS[model]
        if isinstance(written, Sequence) and not isinstance(written, str) and count > 1:
            parts = self.sequence(written, f"{count} channels", count)
        elif model == "hsv":
            raise self.wrong(repr(written), expected="[HUE, SATURATION, VALUE]")
        else:
            parts = [written] * count
        unit, circle = Values(low=0, high=1), Values(low=-360, high=720)
        bounds = [circle if model == "hsv" and not place else unit for place in range(count)]
        return Channels(
            model,
            tuple(
                read_distribution(part, values, f"{self.where}, {letter}")
                for part, values, letter in zip(parts, bounds, model, strict=False)
            ),
        )

    # -- one line of text

    def text(self, written: str) -> Distribution:
        if match := RANGE.fullmatch(written):
            return self.mapping({"uniform": list(match.groups())})
        call = CALL.fullmatch(written)
        if call and call[1] in (*RANGES, "normal", *MODELS):
            return self.call(call[1], _split(call[2]))
        pieces = _split(written)
        if len(pieces) == 1 and ":" not in written:
            return Fixed(self.value(written))
        pairs = [piece.rpartition(":") for piece in pieces]
        values = [before if colon else after for before, colon, after in pairs]
        return self.choice(values, [after if colon else 1.0 for _, colon, after in pairs])

    def call(self, name: str, arguments: list[str]) -> Distribution:
        if name == "normal":
            written: dict[str, Any] = {"normal": arguments[:2]}
            return self.mapping(written | ({"within": arguments[2:]} if arguments[2:] else {}))
        return self.mapping({name: arguments[0] if len(arguments) == 1 else arguments})


def _split(text: str) -> list[str]:
    """Splits at commas that stand in no brackets."""
    return [piece.strip() for piece in re.split(r",(?![^()]*\))", text)]


def _linear(value: float) -> float:
    """The sRGB curve backwards (IEC 61966-2-1)."""
    return value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4
