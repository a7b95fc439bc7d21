"""How fast the parts are, each as a ratio within one run: `gendata bench speed`.

Absolute rates differ between machines and between minutes; the ratios are what is promised.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from gendata.benchmarks.speed import (
    checkpoint,
    drawing,
    features,
    gap_measures,
    guidance_step,
    loading,
    memory,
    method_steps,
    rendering,
)
from gendata.benchmarks.speed import official as official_code
from gendata.benchmarks.speed.measurement import Measurement, machine
from gendata.benchmarks.tables import StudyResult, Table
from gendata.errors import GendataError
from gendata.files import write_json
from gendata.registry import studies

__all__ = ["speed"]

PARTS: dict[str, Callable[[], list[Measurement]]] = {
    "drawing": drawing.measure,
    "loading": loading.measure,
    "features": features.measure,
    "gap-measures": gap_measures.measure,
    "guidance-step": guidance_step.measure,
    "methods": method_steps.measure,
    "memory": memory.measure,
    "rendering": rendering.measure,
}


@studies.register("speed")
def speed(
    *,
    out: Path | None = None,
    only: str | Sequence[str] = tuple(PARTS),
    sampler: str | None = None,
    official: str | Path | None = None,
    **options: Any,
) -> StudyResult:
    """Measures drawing, loading, steps, memory and rendering beside what was promised of them.

    With a sampler it measures that sampler alone; with a clone of its official repository, beside
    the official code. That runs the clone's code and whatever the checkpoint carries: name only
    what you trust.

    Args:
        out: folder for speed.json; None writes nothing.
        only: the parts to measure, a list or names with commas.
        sampler: a reference, such as "stylegan:G.pkl": draws a clone from it, and makes the bare
            passes of its network.
        official: folder of a clone of the sampler's official repository, which then draws beside
            the sampler.
        **options: with a sampler, its own, and batch_size, pairs, images and device.

    Raises:
        GendataError: an unknown part or option, or options that do not go together.
    """
    if sampler is not None:
        if tuple(only) != tuple(PARTS):
            raise GendataError("the option only chooses parts that take no sampler", found=only)
        if official is not None:
            measurements = official_code.measure(sampler, official, **options)
        else:
            measurements = checkpoint.measure(sampler, **options)
    elif official is not None or options:
        given = [*options, *([] if official is None else ["official"])]
        raise GendataError(
            f"the study 'speed' takes {', '.join(given)} with a sampler only",
            expected="some of official, only, sampler",
            do="name one: --sampler stylegan:G.pkl",
        )
    else:
        measurements = _parts(only)
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


def _parts(only: str | Sequence[str]) -> list[Measurement]:
    names = only.split(",") if isinstance(only, str) else list(only)
    unknown = [name for name in names if name not in PARTS]
    if unknown:
        raise GendataError("no such part", found=unknown, expected=f"some of {', '.join(PARTS)}")
    return [found for name in names for found in PARTS[name]()]
