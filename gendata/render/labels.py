"""The free labels of a rendered image as columns of a clone.

| column | what it holds |
|---|---|
| `mask` | picture, 8-bit grey: 255 where the object covers at least half of the pixel, else 0 |
| `depth` | picture, 16-bit grey: distance along the camera's axis in 1/2000 of the object's \
diagonal before its scale, of one point in the pixel; 65535 where that shows no object, and 65534 \
is the farthest |
| `normal` | picture, 8-bit RGB: the unit normal in the camera's axes (right, up, towards the \
camera), -1 to 1 as 1 to 255; 128, 128, 128 where no object is seen |
| `box` | left, top, right, bottom of the mask, pixels; right and bottom are just outside |
| `centre` | x and y of where the object's centre lands, seen or not; null behind the camera |
"""

from __future__ import annotations

import io
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from PIL import Image

from gendata.errors import GendataError
from gendata.render.settings import LABELS

__all__ = ["DEPTH_STEPS", "NOTHING", "check_labels_asked", "label_fields", "label_values"]

DEPTH_STEPS = 2000  # of a diagonal: 16 bits reach 32 diagonals far
NOTHING = 65535  # depth where no object is seen

_PICTURE = pa.struct({"bytes": pa.binary(), "path": pa.string()})
_TYPES = {
    "mask": _PICTURE,
    "depth": _PICTURE,
    "normal": _PICTURE,
    "box": pa.list_(pa.int32()),
    "centre": pa.list_(pa.float32()),
}


def check_labels_asked(labels: str | Sequence[str]) -> tuple[str, ...]:
    """Reads the labels that are asked for: a list, or names with commas.

    Raises:
        GendataError: an unknown one, or no names at all.
    """
    names = labels.split(",") if isinstance(labels, str) else labels
    if not isinstance(names, Sequence):
        raise GendataError(
            "bad option labels", found=names, expected=f"some of {', '.join(LABELS)}"
        )
    asked = [str(name).strip() for name in names if str(name).strip()]
    unknown = [name for name in asked if name not in LABELS]
    if unknown:
        raise GendataError(
            f"there is no label '{unknown[0]}'", expected=f"some of {', '.join(LABELS)}"
        )
    return tuple(name for name in LABELS if name in asked)


def label_fields(labels: Sequence[str]) -> list[pa.Field]:
    """The columns of some labels."""
    return [pa.field(name, _TYPES[name]) for name in labels]


def label_values(
    labels: Sequence[str], arrays: Mapping[str, np.ndarray], centre: Sequence[float]
) -> dict[str, Any]:
    """The values of one image.

    Args:
        labels: those asked for.
        arrays: `mask`, and `depth` and `normal` if they are asked for, as the renderer has them.
        centre: where the object's centre lands, pixels.
    """
    makers = {
        "mask": lambda: _picture(arrays["mask"].astype(np.uint8) * np.uint8(255)),
        "depth": lambda: _picture(_depth_steps(arrays["depth"])),
        "normal": lambda: _picture(_normal_bytes(arrays["normal"])),
        "box": lambda: _box(arrays["mask"]),
        "centre": lambda: list(centre) if all(map(math.isfinite, centre)) else None,
    }
    return {name: makers[name]() for name in labels}


def _depth_steps(depth: np.ndarray) -> np.ndarray:
    """Depth (H, W) as uint16 steps."""
    steps = np.full(depth.shape, NOTHING, np.uint16)
    seen = np.isfinite(depth)
    steps[seen] = np.clip(np.round(depth[seen] * DEPTH_STEPS), 0, NOTHING - 1)
    return steps


def _normal_bytes(normal: np.ndarray) -> np.ndarray:
    """Normals (H, W, 3) as bytes; the zero vector becomes 128."""
    return np.round(np.clip(normal, -1, 1) * 127 + 128).astype(np.uint8)


def _box(mask: np.ndarray) -> list[int] | None:
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        return None
    return [int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1]


def _picture(pixels: np.ndarray) -> dict[str, Any]:
    """A picture as a clone's column `image` has it: a PNG file without a name."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "png", compress_level=1)
    return {"bytes": file.getvalue(), "path": None}
