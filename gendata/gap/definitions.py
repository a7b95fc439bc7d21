"""What every figure of the report means, collected from the modules that measure it.

`python -m gendata.gap.definitions` prints them as the table of `docs/gap.md`.
"""

from __future__ import annotations

from collections.abc import Mapping

from gendata.gap import (
    crossed,
    decomposition,
    fidelity,
    memorisation,
    missing,
    published_fid,
    worth,
)

__all__ = ["DEFINITIONS", "definitions_table"]

# By the part of the measurement, then by the figure.
DEFINITIONS: Mapping[str, Mapping[str, str]] = {
    "worth": worth.DEFINITIONS,
    "cross-source": crossed.DEFINITIONS,
    "decomposition": decomposition.DEFINITIONS,
    "fidelity": fidelity.DEFINITIONS,
    "fidelity, by clean-fid": published_fid.DEFINITIONS,
    "missing": missing.DEFINITIONS,
    "memorisation": memorisation.DEFINITIONS,
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
