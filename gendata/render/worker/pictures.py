"""Pictures that textures and environments are read from, the last used ones kept in memory."""

from __future__ import annotations

import os
from collections import OrderedDict

import bpy

from gendata.errors import GendataError

__all__ = ["OWN", "Pictures"]

OWN = "blender:"
"""Stands before the name of an environment that comes with Blender, such as "forest.exr"."""


class Pictures:
    """Files as Blender's images.

    Args:
        limit: how many are kept; more than any one image needs at once.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._kept: OrderedDict[str, bpy.types.Image] = OrderedDict()

    def open(self, path: str) -> bpy.types.Image:
        """Opens a picture, or finds it among those kept.

        Raises:
            GendataError: there is no such file, or it holds no picture.
        """
        if path not in self._kept:
            self._kept[path] = _load(path)
        self._kept.move_to_end(path)
        if len(self._kept) > self._limit:
            _, oldest = self._kept.popitem(last=False)
            bpy.data.images.remove(oldest)
        return self._kept[path]


def _load(path: str) -> bpy.types.Image:
    own = path.removeprefix(OWN)
    file = path if own == path else os.path.join(_own_folder(), own)
    try:
        image = bpy.data.images.load(file)
    except RuntimeError:
        raise GendataError("a picture file cannot be read", found=path) from None
    if 0 in image.size:
        bpy.data.images.remove(image)
        raise GendataError("a file holds no picture that Blender reads", found=path)
    return image


def _own_folder() -> str:
    return os.path.join(bpy.utils.system_resource("DATAFILES"), "studiolights", "world")
