"""Which parts of a measurement are wanted, and what each costs."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

from gendata.errors import GendataError

__all__ = ["ON_FEATURES", "PARTS", "chosen_parts"]

# In the order in which they are measured.
PARTS = {
    "cross-source": "who classifies whose images rightly; one training a source and seed",
    "fidelity": "Fréchet distance, precision, recall and the like; one pass of the encoder over "
    "the compared images",
    "memorisation": "copies of real images; a pass of the encoder over every real image",
    "decomposition": "appearance, quality and content; the same pass as fidelity",
    "worth": "how many real images a synthetic one replaces; several trainings a source and "
    "seed, the dearest part",
    "missing": "real images that the clone does not cover; the same pass as fidelity",
}

ON_FEATURES = ("fidelity", "memorisation", "decomposition", "missing")  # what needs an encoder


def chosen_parts(parts: Sequence[str] | None) -> list[str]:
    """Checks the names of parts and puts them in order; None stands for all of them.

    Raises:
        GendataError: no part, or one that does not exist.
    """
    if parts is None:
        return list(PARTS)
    wanted = [parts] if isinstance(parts, str) else list(parts)
    for name in wanted:
        if name not in PARTS:
            close = difflib.get_close_matches(name, PARTS, n=1)
            raise GendataError(
                "no such part of the measurement",
                found=f"'{name}'",
                expected=f"some of {', '.join(PARTS)}",
                do=f"did you mean '{close[0]}'?" if close else None,
            )
    if not wanted:
        raise GendataError("no part to measure", expected=f"some of {', '.join(PARTS)}")
    return [name for name in PARTS if name in wanted]
