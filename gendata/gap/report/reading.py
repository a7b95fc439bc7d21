"""What a measurement's numbers say, in sentences no stronger than the numbers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gendata.gap.cross_source.findings import CrossFindings
from gendata.gap.cross_source.losses import mean_and_std
from gendata.gap.measures.exchange import Exchange
from gendata.gap.missing.findings import Missing
from gendata.gap.result import CloneFindings, GapReport
from gendata.page.names import shortened

__all__ = ["brief", "gap_summary", "judged_by", "listed", "points", "rate_text"]

NOTICEABLE = 0.02  # a gap of less, as a share, is called none
CONVERGED = 0.8  # least accuracy of a classifier on its own training images


def gap_summary(report: GapReport) -> str:
    """Says the main findings in a few sentences, what the clone is worth first."""
    sentences = [
        sentence
        for name, found in report.clones.items()
        for sentence in _clone_sentences(name, found, judged_by(report))
    ]
    if report.cross is not None:
        sentences += _cross_sentences(report.cross)
    return " ".join(sentences)


def brief(name: str) -> str:
    """A name for a sentence; the table of sources has it in full."""
    return shortened(name, 40)


def points(difference: float) -> str:
    """A difference of shares in percentage points."""
    return f"{100 * difference:.1f}".replace("-", "\N{MINUS SIGN}")


def listed(names: Sequence[str]) -> str:
    """Names as a list in a sentence."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def judged_by(report: GapReport) -> str:
    """Name of the real images that are asked whether they are covered: the test set's, if any."""
    return next((each.name for each in report.sources if each.role == "test"), "real")


def rate_text(exchange: Exchange) -> tuple[str, str]:
    """How many real images one synthetic one replaces, and the ends of its interval, as text."""
    at_size = exchange.at_size
    if at_size.undetermined:
        return "not determined", "train with more seeds or test on more images"
    rate = at_size.rate
    value, low, high = map(_two_digits, (rate.value, rate.low, rate.high))
    if at_size.bound != "measured":
        return f"{'at least' if at_size.bound == 'at least' else 'less than'} {value}", ""
    if at_size.open_below:
        return value, f"at most {high}"
    if at_size.open_above:
        return value, f"at least {low}"
    return value, f"{low} to {high}"


def _clone_sentences(name: str, found: CloneFindings, judged: str) -> list[str]:
    """What a clone is worth and what it leaves uncovered, in one sentence."""
    clauses = []
    if found.worth is not None:
        value, interval = rate_text(found.worth.exchange)
        if value == "not determined":
            clauses.append("what it is worth cannot be told from so few seeds and test images")
        else:
            about = "" if " " in value else "about "
            note = f" ({interval})" if interval else ""
            clauses.append(f"Each image of {brief(name)} is worth {about}{value} real ones{note}")
    if found.missing is not None:
        clauses.append(_missing_clause(found.missing, judged))
    if not clauses:
        return []
    text = "; ".join(clauses) + "."
    return [text if text.startswith("Each") else f"{brief(name)}: {text}"]


def _missing_clause(missing: Missing, judged: str) -> str:
    share = f"{missing.share.value:.0%} of the {judged} images are uncovered"
    if not missing.is_beyond_chance:
        return f"{share}, no more than chance leaves"
    most = [each for each in missing.per_class if each.gain > 0][:2]
    share += f" where chance leaves {missing.floor:.0%}"
    few = len(missing.per_class) < 3 or not most
    return share if few else f"{share}, mostly {listed([brief(each.name) for each in most])}"


def _two_digits(value: float) -> str:
    """A positive number with two significant digits, without an exponent."""
    return f"{value:,.0f}" if value >= 9.95 else f"{max(value, 0.001):#.2g}"


def _cross_sentences(cross: CrossFindings) -> list[str]:
    """What the matrix says, about the clone with the largest gap."""
    gaps = {clone: cross.gap(clone) for clone in cross.clone_under_real}
    clone = max(gaps, key=lambda name: abs(gaps[name].mean()))
    real = cross.trained_on[0]
    there, back = cross.runs(real, clone).mean(), cross.runs(clone, real).mean()
    sentences = [
        f"A classifier trained on the real images is right on {there:.1%} of the images of "
        f"{brief(clone)}; one trained on {brief(clone)} is right on {back:.1%} of the real ones.",
        _meaning(cross, gaps[clone], "The clone" if len(gaps) == 1 else brief(clone)),
    ]
    if len(gaps) > 1:
        every = [f"{points(float(gap.mean()))} for {brief(name)}" for name, gap in gaps.items()]
        sentences.append(f"The gap in points is {listed(every)}.")
    return sentences


def _meaning(cross: CrossFindings, gap: np.ndarray, clone: str) -> str:
    own = min(float(cross.runs(name, name).mean()) for name in cross.trained_on)
    if own < CONVERGED:
        return (
            f"But the classifiers have not converged ({own:.1%} on their own training images): "
            "train for more epochs before reading anything into it."
        )
    mean, std = mean_and_std(gap)
    if abs(mean) < NOTICEABLE:
        return "Either explains the other about equally well: no content gap to speak of."
    if abs(mean) < 2 * np.nan_to_num(std):
        return "But the seeds differ by as much: train with more of them to tell."
    if mean > 0:
        return f"{clone} seems to cover only a part of the real images."
    return f"{clone} seems to hold images that the real ones do not explain."
