"""What factors mean, at a glance: for each a row of images in which it alone varies."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from gendata.errors import GendataError
from gendata.images.sheet import SheetRow
from gendata.render.draw_parameters import STREAMS
from gendata.render.factor_table import FACTORS
from gendata.render.parameters import Parameters
from gendata.types import Described

__all__ = ["ALL", "factor_rows", "vary"]

ALL = "all of these"

Draw = Callable[[int, Mapping[str, int]], Parameters]
Render = Callable[[Sequence[Parameters]], Described]


def factor_rows(draw: Draw, render: Render, seeds: Sequence[int]) -> list[SheetRow]:
    """Renders a row of images in which everything varies, and one for each factor that does.

    The first image is the same in every row; the others differ from it in the row's factor
    alone. It is the first of the seeds' that can be used.

    Args:
        draw: from a seed, and other seeds by stream, to parameters; see `draw_parameters`.
        render: renders some of them.
        seeds: one for each column.

    Raises:
        GendataError: none of the seeds gives an image.
    """
    drawn = [draw(seed, {}) for seed in seeds]
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
    varied = vary(draw, [first, *(seed for seed in seeds if seed != first)])
    wanted = {each for row in varied.values() for each in row} - pictures.keys()
    pictures |= _rendered(render, sorted(wanted, key=Parameters.to_json))
    return [SheetRow(name, [pictures[each] for each in row]) for name, row in varied.items()]


def vary(draw: Draw, seeds: Sequence[int]) -> dict[str, list[Parameters]]:
    """Draws the parameters of each row: the first seed's, but for one factor the other seeds'.

    A factor that is fixed, or that the first image has no use for, has no row.
    """
    free = [draw(seed, {}) for seed in seeds]
    rows = {
        name: [draw(seeds[0], dict.fromkeys(streams, seed)) for seed in seeds]
        for name, streams in _streams_of(free[0].object.material.kind).items()
    }
    return {ALL: free, **{name: row for name, row in rows.items() if len(set(row)) > 1}}


def _streams_of(surface: str) -> dict[str, list[str]]:
    """Factors by group, and the streams that decide them; the three axes of one are one.

    Args:
        surface: the kind of material whose factors the streams of all kinds stand for.
    """
    groups = list(dict.fromkeys(name.partition(".")[0] for name in FACTORS))
    found: dict[str, list[str]] = {}
    for stream in sorted(STREAMS, key=lambda each: groups.index(each.partition(".")[0])):
        name = stream[:-2] if stream[-2:] in (".x", ".y", ".z") else stream
        if name in ("material.colour", "material.roughness", "material.scale"):
            name = f"material.{surface}.{name.rpartition('.')[2]}"
        if name.startswith("distractor.material"):
            name = "distractor.material"
        found.setdefault(name, []).append(stream)
    return found


def _rendered(render: Render, wanted: Sequence[Parameters]) -> dict[Parameters, np.ndarray | str]:
    """Renders some images; in place of one that cannot be used, the reason."""
    described = render(wanted)
    images = described.images.permute(0, 2, 3, 1).numpy()
    return {
        each: described.unusable.get(row, images[row])  # type: ignore[call-overload]
        for row, each in enumerate(wanted)
    }
