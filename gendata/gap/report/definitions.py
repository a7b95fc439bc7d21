"""What every figure of the report means, collected from the modules that measure it.

`python -m gendata.gap.report.definitions` prints them as the table of `docs/gap.md`.
"""

from __future__ import annotations

from collections.abc import Mapping

from gendata.gap.cross_source.findings import DEFINITIONS as CROSS_SOURCE
from gendata.gap.decomposition.findings import DEFINITIONS as DECOMPOSITION
from gendata.gap.fidelity.findings import DEFINITIONS as FIDELITY
from gendata.gap.fidelity.published_fid import DEFINITIONS as PUBLISHED
from gendata.gap.memorisation.findings import DEFINITIONS as MEMORISATION
from gendata.gap.missing.findings import DEFINITIONS as MISSING
from gendata.gap.worth.findings import DEFINITIONS as WORTH

__all__ = ["DEFINITIONS", "definitions_table"]

# By the part of the measurement, then by the figure.
DEFINITIONS: Mapping[str, Mapping[str, str]] = {
    "worth": WORTH,
    "cross-source": CROSS_SOURCE,
    "decomposition": DECOMPOSITION,
    "fidelity": FIDELITY,
    "fidelity, by clean-fid": PUBLISHED,
    "missing": MISSING,
    "memorisation": MEMORISATION,
}


def definitions_table() -> str:
    """The definitions as a table in Markdown."""
    lines = ["| part | figure | meaning |", "|---|---|---|"]
    for part, figures in DEFINITIONS.items():
        for name, meaning in figures.items():
            lines.append(f"| {part} | {name.replace('_', ' ')} | {meaning.replace('|', '/')} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(definitions_table(), end="")
