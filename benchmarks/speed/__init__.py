"""How fast the parts are, each as a ratio within one run: `gendata bench speed`.

Absolute rates differ between machines and between minutes; the ratios are what is promised.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from gendata.benchmarks.speed import drawing, guidance_step, loading, memory
from gendata.benchmarks.speed.measurement import Measurement, machine
from gendata.benchmarks.tables import StudyResult, Table
from gendata.errors import GendataError
from gendata.files import write_json
from gendata.registry import studies

__all__ = ["speed"]

PARTS: dict[str, Callable[[], list[Measurement]]] = {
    "drawing": drawing.measure,
    "loading": loading.measure,
    "guidance-step": guidance_step.measure,
    "memory": memory.measure,
}


@studies.register("speed")
def speed(*, out: Path | None = None, only: str | Sequence[str] = tuple(PARTS)) -> StudyResult:
    """Measures drawing, loading, a guidance step and memory beside what was promised of them.

    Args:
        out: folder for speed.json; None writes nothing.
        only: the parts to measure, a list or names with commas.

    Raises:
        GendataError: an unknown part.
    """
    names = only.split(",") if isinstance(only, str) else list(only)
    unknown = [name for name in names if name not in PARTS]
    if unknown:
        raise GendataError("no such part", found=unknown, expected=f"some of {', '.join(PARTS)}")
    measurements = [found for name in names for found in PARTS[name]()]
    data: dict[str, Any] = {
        "machine": machine(),
        "measurements": [measurement.to_json() for measurement in measurements],
    }
    if out is not None:
        write_json(out / "speed.json", data)
    table = Table(
        ("measured", "asked", "found", "how"),
        [measurement.row() for measurement in measurements],
        caption=f"gendata bench speed, {machine()}",
    )
    return StudyResult(data, [table])
