"""Colour management beyond plain sRGB, applied to a render that is still to be composited."""

from __future__ import annotations

import functools
import sys
from pathlib import Path
from typing import Any

import bpy
import numpy as np

from gendata.errors import GendataError

__all__ = ["display", "prepare_view"]

_VIEWS = {"filmic": "AgX"}


def prepare_view(view: str) -> None:
    """Makes a view ready for use.

    Raises:
        GendataError: it is unknown, or this Blender cannot apply it to pixels in memory.
    """
    if view != "standard":
        _processor(view)


def display(colour: np.ndarray, view: str) -> np.ndarray:
    """Bends linear light as a view does, so that plain sRGB afterwards shows what the view would.

    Backgrounds stay as they are: only what was rendered is bent, before it is composited.

    Args:
        colour: float32 (H, W, 4), linear and premultiplied.
        view: "standard", which changes nothing, or "filmic" (Blender's AgX).

    Returns:
        float32 (H, W, 4), linear and premultiplied; between 0 and 1 but for the standard view.
    """
    if view == "standard":
        return colour
    alpha = colour[..., 3:]
    straight = np.divide(
        colour[..., :3], alpha, out=np.zeros_like(colour[..., :3]), where=alpha > 0
    )
    straight = np.ascontiguousarray(straight)
    _processor(view).applyRGB(straight)
    encoded = np.clip(straight, 0.0, 1.0)
    linear = np.where(
        encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** np.float32(2.4)
    )
    return np.concatenate((linear * alpha, alpha), axis=-1).astype(np.float32)


@functools.cache
def _processor(view: str) -> Any:
    """From Blender's linear light to what the view shows on an sRGB display."""
    if view not in _VIEWS:
        expected = " or ".join(("standard", *_VIEWS))
        raise GendataError("unknown view", found=view, expected=expected)
    library = _colour_library()
    folder = Path(bpy.utils.system_resource("DATAFILES")) / "colormanagement"
    config = library.Config.CreateFromFile(str(folder / "config.ocio"))
    transform = library.DisplayViewTransform(
        src=library.ROLE_SCENE_LINEAR, display="sRGB", view=_VIEWS[view]
    )
    return config.getProcessor(transform).getDefaultCPUProcessor()


def _colour_library() -> Any:
    """OpenColorIO as Blender brings it; the wheel does not put it on the path."""
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    folder = Path(bpy.utils.resource_path("LOCAL")) / "python" / "lib" / version / "site-packages"
    if folder.is_dir() and str(folder) not in sys.path:
        sys.path.append(str(folder))
    try:
        import PyOpenColorIO
    except ImportError as error:
        raise GendataError(
            "this Blender brings no OpenColorIO for Python, which the view 'filmic' needs",
            found=str(error),
            do="use the view 'standard'",
        ) from None
    return PyOpenColorIO
