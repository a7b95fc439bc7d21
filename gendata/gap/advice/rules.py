"""From the figures of a gap report to what to do next: draw more, filter less or more, and so on.

The rules are ours, and so are their thresholds (the constants below); no paper gives any, and they
are not calibrated on clones whose best remedy is known. Each rule looks at whole intervals: a
figure whose interval holds the threshold decides nothing.

- *Draw more*: doubling the synthetic images is predicted to add at least WORTHWHILE accuracy, and
  surely more than none.
- *Filter less*: more than UNCOVERED of the real images are uncovered beyond chance (or the content
  gap is above LARGE), the filter refuses REFUSED of the attempts or more, and precision is not
  poor.
- *Filter more*: precision is below POOR_PRECISION (or the quality gap above LARGE), the filter
  lets pass PASSING of the attempts or more (without a filter: all), and content is not lacking.
- *Use another generator*: more images are predicted to add less than WORTHWHILE and each is worth
  less than a real one; or content is lacking and no filter is to blame; or precision is poor and a
  filter cannot help, because it refuses most already or content is lacking too; or more than
  COPIED of the images look copied from the training images, beyond what new real images do.
- *Label more*: twice as many real images are predicted to add at least WORTHWHILE, and twice as
  many synthetic ones do not, or it takes more than 1 / POOR_RATE synthetic images to replace one.
- *Leave it as it is*: more images add nothing and each is worth a real one or more.

What was measured on the task goes before what features say. Where one synthetic image is surely
worth a real one, features do not send anybody to another generator, unless its images are copies:
those are worth as much as what they were copied from. Within either kind, what lies farther beyond
its threshold goes first. If no rule applies, the answer is *not enough evidence*.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from gendata.errors import GendataError
from gendata.gap.measures.exchange import Exchange
from gendata.gap.measures.intervals import Estimate

__all__ = [
    "ACTIONS",
    "Advice",
    "Evidence",
    "Recommendation",
    "advise",
    "evidence_of_worth",
    "share_passing",
]

DRAW_MORE, FILTER_LESS, FILTER_MORE = "draw more", "filter less", "filter more"
OTHER_GENERATOR, LABEL_MORE, LEAVE = "use another generator", "label more", "leave it as it is"
UNKNOWN = "not enough evidence"
ACTIONS = (DRAW_MORE, FILTER_LESS, FILTER_MORE, OTHER_GENERATOR, LABEL_MORE, LEAVE, UNKNOWN)
TASK, FEATURES = "task", "features"

WORTHWHILE = 0.005  # accuracy that doubling must add: half a point
POOR_RATE = 0.1  # real images for a synthetic one
UNCOVERED = 0.1  # of the real images, beyond chance
POOR_PRECISION = 0.6
LARGE = 0.3  # of a part of the decomposition, between 0 and 1
REFUSED = 0.1  # of the attempts, for the filter to be to blame
PASSING = 0.5  # of the attempts, for a stricter filter to be affordable
COPIED = 0.01  # of the synthetic images, beyond new real ones
FULL_GAIN = 0.05  # accuracy that counts as the strongest reason to draw or label

FIGURES = {
    "gain": "what twice the synthetic images add",
    "rate": "what one is worth",
    "real_gain": "what twice the real images add",
    "uncovered": "the uncovered share",
    "precision": "precision",
    "content": "the content gap",
    "quality": "the quality gap",
    "copied": "copies",
    "passing": "what the filter lets pass",
}


@dataclass(frozen=True)
class Evidence:
    """The figures that advice leans on; None where one was not measured.

    Attributes:
        rate: real images that one synthetic image replaces.
        gain: accuracy that twice as many synthetic images are predicted to add.
        real_gain: the same for real images.
        uncovered: share of real images uncovered, less what chance leaves; between -1 and 1.
        precision: share of synthetic images on the real manifold, between 0 and 1.
        content: that part of the decomposition, between 0 and 1.
        quality: that part of the decomposition, between 0 and 1.
        copied: share of synthetic images that look copied, less that of new real images.
        passing: share of the attempts that pass the filter, between 0 and 1 (1 without a filter).
    """

    rate: Estimate | None = None
    gain: Estimate | None = None
    real_gain: Estimate | None = None
    uncovered: Estimate | None = None
    precision: Estimate | None = None
    content: Estimate | None = None
    quality: Estimate | None = None
    copied: Estimate | None = None
    passing: float | None = None

    def __post_init__(self) -> None:
        if self.passing is not None and not 0 <= self.passing <= 1:
            raise GendataError(
                "the share of attempts that pass the filter is no share",
                found=self.passing,
                expected="between 0 and 1",
            )


@dataclass(frozen=True)
class Recommendation:
    """One thing to do.

    Attributes:
        action: one of ACTIONS.
        reason: one sentence.
        figure: the name in `Evidence` of the number that it leans on; empty without any.
        value: that number.
        basis: "task", measured by training classifiers, or "features".
        strength: between 0 and 1, how far the number lies beyond its threshold.
        further: weaker reasons for the same, one sentence each.
    """

    action: str
    reason: str
    figure: str = ""
    value: Estimate | None = None
    basis: str = FEATURES
    strength: float = 0.0
    further: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        value = None if self.value is None else self.value.to_json()
        return {**vars(self), "value": value, "further": list(self.further)}


@dataclass(frozen=True)
class Advice:
    """What to do, the most urgent first; each action once."""

    recommendations: Sequence[Recommendation]

    @property
    def first(self) -> Recommendation:
        """The most urgent one."""
        return self.recommendations[0]

    def to_json(self) -> list[dict[str, Any]]:
        """Plain values."""
        return [each.to_json() for each in self.recommendations]


def advise(evidence: Evidence) -> Advice:
    """Ranks what the evidence speaks for, by the rules of this module."""
    found = [*_on_the_task(evidence), *_on_features(evidence)]
    if _surely_above(evidence.rate, 1.0):
        found = [each for each in found if not _refuted(each)]
    found.sort(key=lambda each: (each.basis != TASK, -each.strength, ACTIONS.index(each.action)))
    merged: dict[str, Recommendation] = {}
    for each in found:
        best = merged.setdefault(each.action, each)
        if best is not each:
            merged[each.action] = replace(best, further=(*best.further, each.reason))
    return Advice(list(merged.values()) or [_unknown(evidence)])


def evidence_of_worth(
    exchange: Exchange, undertrained: bool = False
) -> dict[str, Estimate | None]:
    """What `Evidence` takes of an exchange, by name; what could not be told is None.

    Ends of the rate's interval that lie beyond the measured range are 0 and infinity. Curves of
    trainings that were too short are flat whatever the images: their gains are None.
    """
    gains = [
        ahead[0].gain if ahead and not undertrained else None
        for ahead in (exchange.synthetic_ahead, exchange.real_ahead)
    ]
    worth = exchange.at_size
    low = 0.0 if worth.open_below else worth.rate.low
    high = math.inf if worth.open_above else worth.rate.high
    rate = None if worth.undetermined else Estimate(worth.rate.value, low, high)
    return {"rate": rate, "gain": gains[0], "real_gain": gains[1]}


def _refuted(recommendation: Recommendation) -> bool:
    """Whether it does not stand once a synthetic image is worth a real one; copying does."""
    other = recommendation.action == OTHER_GENERATOR and recommendation.basis == FEATURES
    return other and recommendation.figure != "copied"


def share_passing(rejects: Mapping[str, Any]) -> float | None:
    """Share of attempts that passed the filter, from a clone's `rejects.json`; None without any.

    Images that passed and found their class full count as passing.
    """
    attempts = rejects["attempts"]
    passed = rejects["accepted"] + rejects["rejects"].get("class-full", 0)
    return passed / attempts if attempts else None


def _on_the_task(evidence: Evidence) -> list[Recommendation]:
    """What the learning curves say."""
    gain, rate = evidence.gain, evidence.rate
    flat = _surely_below(gain, WORTHWHILE)
    found = []
    if gain and _worthwhile(gain):
        reason = (
            f"Twice as many synthetic images are predicted to add {_points(gain)} of accuracy."
        )
        found.append(_by_task(DRAW_MORE, reason, "gain", gain, gain.value / FULL_GAIN))
    if flat and rate and rate.high < 1:
        reason = (
            "More images of this generator are predicted to add less than "
            f"{100 * WORTHWHILE:g} points of accuracy, and each is worth {_worth(rate)}."
        )
        found.append(_by_task(OTHER_GENERATOR, reason, "rate", rate, 1 - rate.value))
    if flat and rate and rate.low >= 1:
        reason = f"Each image is worth {_worth(rate)}, and more would add nothing."
        found.append(_by_task(LEAVE, reason, "rate", rate, 1.0))
    return [*found, *_labelling(evidence, flat)]


def _labelling(evidence: Evidence, flat: bool) -> list[Recommendation]:
    """Whether real images are the better investment."""
    real_gain, rate = evidence.real_gain, evidence.rate
    poor = _surely_below(rate, POOR_RATE)
    if not real_gain or not _worthwhile(real_gain) or not (flat or poor):
        return []
    why = f"a synthetic one is worth {_worth(rate)}" if poor and rate else "synthetic ones do not"
    reason = f"Twice as many real images are predicted to add {_points(real_gain)} of accuracy"
    strength = real_gain.value / FULL_GAIN
    return [_by_task(LABEL_MORE, f"{reason}; {why}.", "real_gain", real_gain, strength)]


@dataclass(frozen=True)
class _Sign:
    """A figure that lies beyond its threshold with its whole interval."""

    figure: str
    value: Estimate
    clause: str
    strength: float

    def advice(self, action: str, because: str, weight: float = 1.0) -> Recommendation:
        reason = f"{self.clause[0].upper()}{self.clause[1:]}{because}."
        strength = min(1.0, self.strength * weight)
        return Recommendation(action, reason, self.figure, self.value, FEATURES, strength)


def _on_features(evidence: Evidence) -> list[Recommendation]:
    """What the encoder's features and the filter's counts say."""
    lacking, faulty = _lacking(evidence), _faulty(evidence)
    passing = 1.0 if evidence.passing is None else evidence.passing
    refused = f"{100 * (1 - passing):.0f}% of the attempts"
    found = []
    if lacking and faulty:
        because = f", and {faulty.clause}: a filter would only trade one for the other"
        found.append(lacking.advice(OTHER_GENERATOR, because))
    elif lacking and evidence.passing is None:
        because = "; if a filter chose the images, filter less first"
        found.append(lacking.advice(OTHER_GENERATOR, because, weight=0.5))
    elif lacking and 1 - passing >= REFUSED:
        because = f", and the filter refuses {refused}, the hard ones first"
        found.append(lacking.advice(FILTER_LESS, because))
    elif lacking:
        found.append(lacking.advice(OTHER_GENERATOR, ", and no filter is to blame"))
    elif faulty and passing < PASSING:
        because = f", though the filter refuses {refused} already"
        found.append(faulty.advice(OTHER_GENERATOR, because))
    elif faulty:
        found.append(faulty.advice(FILTER_MORE, ", and a stricter filter can refuse those"))
    copied = evidence.copied
    if copied and copied.low > COPIED:
        clause = f"{_percent(copied)} of the images look copied from the training images"
        sign = _Sign("copied", copied, clause, _beyond(copied.value, COPIED))
        found.append(sign.advice(OTHER_GENERATOR, " beyond what new real images do"))
    return found


def _lacking(evidence: Evidence) -> _Sign | None:
    """Whether real content is surely missing."""
    uncovered, content = evidence.uncovered, evidence.content
    if uncovered and uncovered.low > UNCOVERED:
        clause = f"{_percent(uncovered)} of the real images are uncovered beyond chance"
        return _Sign("uncovered", uncovered, clause, _beyond(uncovered.value, UNCOVERED))
    if content and content.low > LARGE:
        clause = f"the content gap is {content}"
        return _Sign("content", content, clause, _beyond(content.value, LARGE))
    return None


def _faulty(evidence: Evidence) -> _Sign | None:
    """Whether many synthetic images surely are no images of their class."""
    precision, quality = evidence.precision, evidence.quality
    if precision and precision.high < POOR_PRECISION:
        clause = f"only {_percent(precision)} of the synthetic images are on the real manifold"
        return _Sign("precision", precision, clause, 1 - precision.value / POOR_PRECISION)
    if quality and quality.low > LARGE:
        clause = f"the quality gap is {quality}"
        return _Sign("quality", quality, clause, _beyond(quality.value, LARGE))
    return None


def _unknown(evidence: Evidence) -> Recommendation:
    known = [text for name, text in FIGURES.items() if getattr(evidence, name) is not None]
    absent = [text for name, text in FIGURES.items() if getattr(evidence, name) is None]
    parts = []
    if known:
        parts.append(f"Nothing measured is far enough from its threshold: {', '.join(known)}.")
    if absent:
        parts.append(f"Not measured: {', '.join(absent)}.")
    parts.append("More seeds or more images narrow the intervals.")
    return Recommendation(UNKNOWN, " ".join(parts))


def _by_task(
    action: str, reason: str, figure: str, value: Estimate, strength: float
) -> Recommendation:
    return Recommendation(action, reason, figure, value, TASK, min(1.0, max(0.0, strength)))


def _worthwhile(gain: Estimate) -> bool:
    return gain.low > 0 and gain.value >= WORTHWHILE


def _surely_below(estimate: Estimate | None, threshold: float) -> bool:
    return estimate is not None and estimate.high < threshold


def _surely_above(estimate: Estimate | None, threshold: float) -> bool:
    return estimate is not None and estimate.low >= threshold


def _beyond(value: float, threshold: float) -> float:
    return (value - threshold) / (1 - threshold)


def _points(gain: Estimate) -> str:
    value, low, high = (f"{100 * each:.1f}" for each in (gain.value, gain.low, gain.high))
    return f"{value} points ({low} to {high})"


def _percent(share: Estimate) -> str:
    value, low, high = (f"{100 * each:.0f}" for each in (share.value, share.low, share.high))
    return f"{value}% ({low} to {high})"


def _worth(rate: Estimate) -> str:
    """A rate in real images; an end that was not measured is left open."""
    if math.isinf(rate.high):
        return f"at least {rate.low:.2g} real ones"
    if rate.low == 0:
        return f"less than {rate.high:.2g} real ones"
    return f"{rate.value:.2g} ({rate.low:.2g} to {rate.high:.2g}) real ones"
