"""The few figures of a clone that are worth remembering, for key figures and for comparisons."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from gendata.gap.cross_source.findings import DEFINITIONS as CROSS
from gendata.gap.cross_source.losses import mean_and_std
from gendata.gap.decomposition.findings import DEFINITIONS as DECOMPOSITION
from gendata.gap.fidelity.findings import DEFINITIONS as FIDELITY
from gendata.gap.memorisation.findings import DEFINITIONS as MEMORISATION
from gendata.gap.missing.findings import DEFINITIONS as MISSING
from gendata.gap.report.reading import judged_by, points, rate_text
from gendata.gap.result import CloneFindings, GapReport
from gendata.gap.sections.formatting import average, plus_minus, share_text
from gendata.gap.worth.findings import DEFINITIONS as WORTH

__all__ = ["Headline", "headlines"]

Shown = tuple[str, str]  # the value and a remark


@dataclass(frozen=True)
class Headline:
    """One figure, of every clone that it was measured of.

    Attributes:
        label: what it is.
        definition: what it means.
        values: by clone, the value and a remark.
    """

    label: str
    definition: str
    values: dict[str, Shown]


def headlines(report: GapReport) -> list[Headline]:
    """The figures that were measured, the most telling first."""
    judged = judged_by(report)
    made: list[tuple[str, str, Callable[[GapReport, str], Shown | None]]] = [
        ("real images replaced by one synthetic image", WORTH["rate"], _worth),
        (f"of the {judged} images uncovered", MISSING["uncovered"], _uncovered),
        ("points of gap", CROSS["gap"], _gap),
        ("of the clone's images no news to the real classifier", CROSS["below_0.01"], _below),
        ("of the clone's images unlike any real one", FIDELITY["precision"], _unlike),
        ("appearance gap, 0 to 1", DECOMPOSITION["appearance"], partial(_part, "appearance")),
        ("quality gap, 0 to 1", DECOMPOSITION["quality"], partial(_part, "quality")),
        ("content gap, 0 to 1", DECOMPOSITION["content"], partial(_part, "content")),
        (
            "of the clone's images suspiciously close to a real one",
            MEMORISATION["suspicious"],
            _suspicious,
        ),
    ]
    found = []
    for label, definition, shown in made:
        values = {source.name: shown(report, source.name) for source in report.trained[1:]}
        known = {name: value for name, value in values.items() if value is not None}
        if known:
            found.append(Headline(label, definition, known))
    return found


def _found(report: GapReport, clone: str) -> CloneFindings:
    return report.clones.get(clone, CloneFindings())


def _worth(report: GapReport, clone: str) -> Shown | None:
    worth = _found(report, clone).worth
    if worth is None:
        return None
    value, note = rate_text(worth.exchange)
    if worth.exchange.at_size.undetermined:
        return "\N{EN DASH}", f"{value}: {note}"
    for words, sign in (("less than", "<"), ("at least", "\N{GREATER-THAN OR EQUAL TO}")):
        value = value.replace(words, sign)
    return value, note


def _uncovered(report: GapReport, clone: str) -> Shown | None:
    missing = _found(report, clone).missing
    if missing is None:
        return None
    return share_text(missing.share.value), f"{share_text(missing.floor)} by chance alone"


def _gap(report: GapReport, clone: str) -> Shown | None:
    if report.cross is None:
        return None
    real = report.cross.trained_on[0]
    mean, std = mean_and_std(report.cross.gap(clone))
    there = report.mean_accuracy(real, clone)
    back = report.mean_accuracy(clone, real)
    spread = plus_minus(100 * float(std))
    note = f"{there:.1%} from real to clone, {back:.1%} back"
    return points(float(mean)), f"{spread}; {note}" if spread else note


def _below(report: GapReport, clone: str) -> Shown | None:
    if report.cross is None:
        return None
    below = average(report.cross.clone_under_real[clone].spread.below)
    back = average(report.cross.real_under_clone[clone].spread.below)
    return share_text(below), f"loss below 0.01; {share_text(back)} the other way round"


def _part(part: str, report: GapReport, clone: str) -> Shown | None:
    decomposition = _found(report, clone).decomposition
    if decomposition is None:
        return None
    gap = getattr(decomposition, part)
    return f"{gap.value:.2f}", f"{gap.low:.2f} to {gap.high:.2f}"


def _unlike(report: GapReport, clone: str) -> Shown | None:
    fidelity = _found(report, clone).fidelity
    if fidelity is None:
        return None
    precision = fidelity.overall.estimates["precision"]
    low, high = share_text(1 - precision.high), share_text(1 - precision.low)
    return share_text(1 - precision.value), f"{low} to {high}; 1 less precision"


def _suspicious(report: GapReport, clone: str) -> Shown | None:
    memorisation = _found(report, clone).memorisation
    if memorisation is None:
        return None
    suspicious = memorisation.suspicious
    note = f"{share_text(suspicious.reference.value)} of held-out real images"
    return share_text(suspicious.share.value), note
