"""What factors mean, at a glance: a row of images for each group of them, which alone varies."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from gendata.errors import GendataError
from gendata.images.sheet import SheetRow
from gendata.render.factors import Factors
from gendata.render.parameters import Parameters
from gendata.types import Described

__all__ = ["GROUPS", "FactorRows", "factor_rows", "vary"]

ALL, SCALE = "all of these", "object.scale"
GROUPS: Mapping[str, Sequence[str]] = {
    "object": ("object.object",),
    SCALE: ("object.scale",),
    "object.rotation": ("object.rotation",),
    "material": ("object.material",),
    "light": ("lights",),
    "environment": ("environment",),
    "camera: elevation, azimuth, radius, look_at": ("camera.position", "camera.look_at"),
    "camera: roll, focal_length, aperture, focus": (
        "camera.roll",
        "camera.focal_length",
        "camera.aperture",
        "camera.focus",
    ),
    "background": ("background",),
    "distractor": ("distractors",),
}
"""Names of factors that vary together, and what they decide in an image's parameters."""

Draw = Callable[[Factors, int], Parameters]
Render = Callable[[Sequence[Parameters]], Described]


@dataclass(frozen=True)
class FactorRows:
    """A sheet's rows.

    Attributes:
        rows: one for all groups together, and one for each that varies.
        fixed: names of the groups that do not.
    """

    rows: Sequence[SheetRow]
    fixed: Sequence[str]


def factor_rows(draw: Draw, render: Render, factors: Factors, seeds: Sequence[int]) -> FactorRows:
    """Renders a row of images for each group of factors.

    The first image is the same in every row; the others differ from it in the row's factors
    alone. It is the first of the seeds' that can be used.

    Args:
        draw: from factors and a seed to parameters.
        render: renders some of them.
        factors: what is shown.
        seeds: one for each column.

    Raises:
        GendataError: none of the seeds gives an image.
    """
    drawn = [draw(factors, seed) for seed in seeds]
    pictures = _rendered(render, drawn)
    usable = [place for place, each in enumerate(drawn) if not isinstance(pictures[each], str)]
    if not usable:
        reasons = Counter(str(pictures[each]) for each in drawn)
        raise GendataError(
            f"none of {len(seeds)} images can be used",
            found=", ".join(f"{why} {count}" for why, count in reasons.items()),
            do="choose another --seed or another class",
        )
    first = seeds[usable[0]]
    varied = vary(draw, factors, [first, *(seed for seed in seeds if seed != first)])
    wanted = {each for row in varied.values() for each in row} - pictures.keys()
    pictures |= _rendered(render, sorted(wanted, key=Parameters.to_json))
    rows = [
        SheetRow(name, [pictures[each] for each in row])
        for name, row in varied.items()
        if len(set(row)) > 1 or name == ALL
    ]
    shown = {row.name for row in rows}
    return FactorRows(rows, [name for name in GROUPS if name not in shown])


def vary(draw: Draw, factors: Factors, seeds: Sequence[int]) -> dict[str, list[Parameters]]:
    """Draws the parameters of each group's row: the first seed's, with the others' of the group.

    Distractors keep off an object of the first one's scale; where the scale varies, they stand
    where they would stand around an object of that scale.
    """
    free = [draw(factors, seed) for seed in seeds]
    first = free[0]
    of_one_scale = factors.replace({SCALE: first.object.scale})
    held = [draw(of_one_scale, seed) for seed in seeds]
    rows = {name: [_with(first, other, paths) for other in held] for name, paths in GROUPS.items()}
    rows[SCALE] = [draw(factors.replace({SCALE: other.object.scale}), seeds[0]) for other in free]
    return {ALL: free, **rows}


def _rendered(render: Render, wanted: Sequence[Parameters]) -> dict[Parameters, np.ndarray | str]:
    """Renders some images; in place of one that cannot be used, the reason."""
    described = render(wanted)
    images = described.images.permute(0, 2, 3, 1).numpy()
    return {
        each: described.unusable.get(row, images[row])  # type: ignore[call-overload]
        for row, each in enumerate(wanted)
    }


def _with(present: Any, other: Any, paths: Sequence[str]) -> Any:
    """A record with some of another's values."""
    for path in paths:
        name, _, inside = path.partition(".")
        value = getattr(other, name)
        if inside:
            value = _with(getattr(present, name), value, [inside])
        present = replace(present, **{name: value})
    return present
