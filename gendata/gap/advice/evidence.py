"""What the advice leans on, taken from all that was measured of a clone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from gendata.gap.advice.rules import Evidence, evidence_of_worth, share_passing
from gendata.gap.measures.intervals import Estimate
from gendata.gap.missing.findings import Missing
from gendata.gap.result import CloneFindings

__all__ = ["evidence_of"]


def evidence_of(found: CloneFindings, clone: str) -> Evidence:
    """Collects the evidence; what was not measured stays unknown.

    Args:
        found: what was measured.
        clone: the name its images were opened by; a clone's folder says what its filter refused.
    """
    known: dict[str, Any] = {}
    if found.worth is not None:
        known |= evidence_of_worth(found.worth.exchange)
    if found.missing is not None:
        known["uncovered"] = _beyond_chance(found.missing)
    if found.memorisation is not None:
        near = found.memorisation.near_duplicates or found.memorisation.look_alikes
        known["copied"] = near.excess
    if found.fidelity is not None:
        known["precision"] = found.fidelity.overall.estimates["precision"]
    if found.decomposition is not None:
        known["content"] = found.decomposition.content
        known["quality"] = found.decomposition.quality
    return Evidence(passing=_passing(Path(clone)), **known)


def _beyond_chance(missing: Missing) -> Estimate:
    share, floor = missing.share, missing.floor
    return Estimate(share.value - floor, share.low - floor, share.high - floor)


def _passing(folder: Path) -> float | None:
    """Share of a clone's attempts that passed its filter; None for images of other origin."""
    try:
        return share_passing(json.loads((folder / "rejects.json").read_text(encoding="utf-8")))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
