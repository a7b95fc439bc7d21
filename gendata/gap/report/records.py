"""The figures of one clone as lines of `gap.csv`, whatever part they come from."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from gendata.gap.decomposition.findings import Decomposition
from gendata.gap.fidelity.findings import Fidelity
from gendata.gap.fidelity.published_fid import PublishedFid
from gendata.gap.measures.intervals import Estimate
from gendata.gap.memorisation.findings import Memorisation
from gendata.gap.missing.findings import Missing
from gendata.gap.result import CloneFindings
from gendata.gap.worth.findings import Worth

__all__ = ["ALL", "Record", "clone_records"]

ALL = "all"  # classes


@dataclass(frozen=True)
class Record:
    """One line; what there is not stays empty."""

    clone: str
    class_name: str
    measure: str
    value: float
    low: float = math.nan
    high: float = math.nan
    n: int | None = None
    encoder: str = ""
    seed: int | None = None


def clone_records(clone: str, found: CloneFindings) -> Iterator[Record]:
    """Every figure of the parts on features and of the part worth."""
    if found.fidelity is not None:
        yield from _fidelity(clone, found.fidelity)
    if found.published_fid is not None:
        yield from _published(clone, found.published_fid)
    if found.memorisation is not None:
        yield from _memorisation(clone, found.memorisation)
    if found.decomposition is not None:
        yield from _decomposition(clone, found.decomposition)
    if found.worth is not None:
        yield from _worth(clone, found.worth)
    if found.missing is not None:
        yield from _missing(clone, found.missing)


def _line(
    clone: str,
    class_name: str,
    measure: str,
    estimate: Estimate,
    n: int,
    encoder: str = "",
    seed: int | None = None,
) -> Record:
    value, low, high = estimate.value, estimate.low, estimate.high
    return Record(clone, class_name, measure, value, low, high, n, encoder, seed)


def _fidelity(clone: str, found: Fidelity) -> Iterator[Record]:
    for name, figures in {ALL: found.overall, **found.per_class}.items():
        for measure, estimate in figures.estimates.items():
            yield _line(
                clone, name, measure, estimate, figures.synthetic, found.encoder.name, found.seed
            )


def _published(clone: str, found: PublishedFid) -> Iterator[Record]:
    for measure, value in (("clean_fid", found.fid), ("clean_kid", found.kid)):
        estimate = Estimate(value)
        images, encoder = found.synthetic_images, found.encoder.name
        yield _line(clone, ALL, measure, estimate, images, encoder, found.seed)


def _memorisation(clone: str, found: Memorisation) -> Iterator[Record]:
    encoder, images = found.encoder["name"], found.images[1]
    for measure in ("authenticity", "copies", "near_duplicates", "look_alikes", "suspicious"):
        compared = getattr(found, measure)
        if compared is not None:
            yield _line(clone, ALL, measure, compared.share, images, encoder)
            of_real = f"{measure}_of_held_out_real"
            yield _line(clone, ALL, of_real, compared.reference, found.images[2], encoder)
    for each in found.per_class:
        yield _line(clone, each.name, "authenticity", each.authenticity, each.images, encoder)
        yield _line(clone, each.name, "suspicious", each.suspicious, each.images, encoder)


def _decomposition(clone: str, found: Decomposition) -> Iterator[Record]:
    encoder = found.encoder["name"]
    for part in ("appearance", "quality", "content"):
        estimates = {f"{part}_gap": getattr(found, part)}
        estimates[f"{part}_gap_of_real_halves"] = getattr(found.floor, part).gap
        for measure, estimate in estimates.items():
            yield _line(clone, ALL, measure, estimate, found.synthetic_images, encoder, found.seed)


def _worth(clone: str, found: Worth) -> Iterator[Record]:
    """The rate at each size; an end of its interval beyond the measured range stays empty."""
    seed = found.exchange.seed
    for each in found.exchange.equivalents:
        images = round(each.synthetic * found.classes)
        low = math.nan if each.open_below else each.rate.low
        high = math.nan if each.open_above else each.rate.high
        estimate = Estimate(each.rate.value, low, high)
        yield _line(clone, ALL, "worth_of_one", estimate, images, seed=seed)
    for name, ahead in (
        ("synthetic", found.exchange.synthetic_ahead),
        ("real", found.exchange.real_ahead),
    ):
        for prediction in ahead:
            images = round(prediction.images * found.classes)
            yield _line(clone, ALL, f"predicted_accuracy_{name}", prediction.accuracy, images)


def _missing(clone: str, found: Missing) -> Iterator[Record]:
    encoder, (real, _) = found.encoder["name"], found.images
    yield _line(clone, ALL, "uncovered", found.share, real, encoder)
    yield _line(clone, ALL, "uncovered_by_chance", Estimate(found.floor), real, encoder)
    for each in found.per_class:
        yield _line(clone, each.name, "uncovered", each.share, each.size, encoder)
