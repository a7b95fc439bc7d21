"""Files of objects as meshes of Blender: checked, joined, upright, centred, of unit diagonal.

A loaded mesh has z up, the middle of its box in the origin and a box with a diagonal of 1. It
keeps its own materials and textures, shown from both sides. Cameras and lamps of the file are
dropped; a figure with a skeleton stands as its file poses it. Runs inside Blender.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import bpy
import numpy as np

from gendata.render.mesh_files import BadFile, check_mesh_file
from gendata.render.worker.belongings import belongings, remove, remove_all_but, snapshot
from gendata.render.worker.mesh_import import import_file
from gendata.render.worker.textures import show_without_missing_textures

__all__ = ["BadMesh", "Loaded", "Meshes", "load_mesh", "weld"]

SHARP = math.radians(30)  # an edge with a larger angle stays an edge where a file has no normals
TOUCHING = 1e-6  # vertices closer than this, in diagonals, are one where a file has no normals
MOST_WELDED = 200_000  # faces: joining those of more takes longer than it is worth
SMALLEST = 1e-9  # area of all faces, in squared diagonals: less is a line


class BadMesh(Exception):
    """An object that cannot be rendered.

    Args:
        key: the object.
        why: what is wrong with its file, one line.
    """

    def __init__(self, key: str, why: str) -> None:
        super().__init__(f"{key}: {why}")
        self.key, self.why = key, why


@dataclass(frozen=True)
class Loaded:
    """An object that can be rendered.

    Attributes:
        mesh: its mesh.
        notes: what a user should know and what does not stop the work, such as "the texture
            'wood.png' is missing".
    """

    mesh: bpy.types.Mesh
    notes: tuple[str, ...] = ()


class Meshes:
    """The meshes in memory: those used last, so that memory stays flat over many objects.

    Args:
        most: of them, how many are kept.
        most_faces: faces of all that are kept.
    """

    def __init__(self, most: int = 128, most_faces: int = 3_000_000) -> None:
        self.most, self.most_faces = most, most_faces
        self._loaded: OrderedDict[tuple[Any, ...], Loaded] = OrderedDict()
        self._bad: dict[tuple[Any, ...], str] = {}

    def get(self, key: str, source: Mapping[str, Any]) -> Loaded:
        """Returns one object; see `get_all`, which several at a time need."""
        return self.get_all({key: source})[key]

    def get_all(self, sources: Mapping[str, Mapping[str, Any]]) -> dict[str, Loaded]:
        """Returns the objects of one image, from memory where they are there.

        All of them stay until the next call, however many they are.

        Args:
            sources: by the objects' keys, a MeshSource of each as a dictionary.

        Raises:
            BadMesh: one cannot be rendered; asked again, its file is not read again.
        """
        names = {key: _name(key, source) for key, source in sources.items()}
        for key, source in sources.items():
            self._load(names[key], key, source)
        self._forget(frozenset(names.values()))
        return {key: self._loaded[name] for key, name in names.items()}

    def _load(self, name: tuple[Any, ...], key: str, source: Mapping[str, Any]) -> None:
        if name in self._bad:
            raise BadMesh(key, self._bad[name])
        if name not in self._loaded:
            try:
                self._loaded[name] = load_mesh(key, source)
            except BadMesh as error:
                self._bad[name] = error.why
                raise
        self._loaded.move_to_end(name)

    def _forget(self, wanted: frozenset[tuple[Any, ...]]) -> None:
        """Removes what was used longest ago, except what is wanted or stands in a scene."""
        faces = sum(len(each.mesh.polygons) for each in self._loaded.values())
        for name, old in list(self._loaded.items()):
            if len(self._loaded) <= self.most and faces <= self.most_faces:
                break
            if name not in wanted and old.mesh.users == 0:
                faces -= len(old.mesh.polygons)
                del self._loaded[name]
                remove(belongings(old.mesh))


def _name(key: str, source: Mapping[str, Any]) -> tuple[Any, ...]:
    return key, source["path"], source["up"], source["most_faces"]


def load_mesh(key: str, source: Mapping[str, Any]) -> Loaded:
    """Loads an object.

    Args:
        key: the object's key, for messages.
        source: a MeshSource as a dictionary.

    Raises:
        BadMesh: the file is missing, empty, damaged, has no faces or too many, has a vertex that
            is not finite, or has no area. Nothing of it stays in memory.
    """
    before = snapshot()
    kept: tuple[bpy.types.ID, ...] = ()
    try:
        check_mesh_file(source["path"], source["kind"], source["most_faces"])
        mesh, notes = import_file(source)
        _normalise(mesh)
        _smooth(mesh)
        notes += show_without_missing_textures(mesh)
        mesh.name = key
        kept = belongings(mesh)
        return Loaded(mesh, tuple(notes))
    except BadFile as error:
        raise BadMesh(key, str(error)) from error
    except Exception as error:  # an importer stopped: glTF's can with any error of Python
        raise BadMesh(key, f"Blender cannot read it: {_last_line(error)}") from error
    finally:
        remove_all_but(before, kept)


def _normalise(mesh: bpy.types.Mesh) -> None:
    """Centres the box of what the faces use, and scales its diagonal to 1."""
    points = np.empty(3 * len(mesh.vertices), np.float32)
    mesh.vertices.foreach_get("co", points)
    vertices = points.reshape(-1, 3).astype(np.float64)
    corners = np.empty(len(mesh.loops), np.int32)
    mesh.loops.foreach_get("vertex_index", corners)
    used = vertices[corners]
    low, high = used.min(0), used.max(0)
    diagonal = float(np.linalg.norm(high - low))
    if diagonal == 0:
        raise BadFile("it is no larger than a point")
    moved = (vertices - (low + high) / 2) / diagonal
    mesh.vertices.foreach_set("co", moved.astype(np.float32).ravel())
    mesh.update()
    areas = np.empty(len(mesh.polygons), np.float32)
    mesh.polygons.foreach_get("area", areas)
    if areas.sum() < SMALLEST:
        raise BadFile(f"its faces have no area, in a box with a diagonal of {diagonal:.3g}")


def _smooth(mesh: bpy.types.Mesh) -> None:
    """Shades a mesh smoothly where its file says nothing: sharp only across large angles."""
    smooth = np.empty(len(mesh.polygons), bool)
    mesh.polygons.foreach_get("use_smooth", smooth)
    if mesh.has_custom_normals or smooth.any():
        return
    if len(mesh.polygons) <= MOST_WELDED and _repeats_vertices(mesh):
        weld(mesh)
    mesh.shade_smooth()
    mesh.set_sharp_from_angle(angle=SHARP)


def _repeats_vertices(mesh: bpy.types.Mesh) -> bool:
    points = np.empty(3 * len(mesh.vertices), np.float32)
    mesh.vertices.foreach_get("co", points)
    return len(np.unique(points.view("V12"))) < len(mesh.vertices)


def weld(mesh: bpy.types.Mesh) -> None:
    """Joins the vertices that touch: files often repeat them for every face or texture.

    Args:
        mesh: of unit diagonal; textures and materials stay as they are.
    """
    import bmesh  # it is there once bpy is imported

    edited = bmesh.new()
    edited.from_mesh(mesh)
    bmesh.ops.remove_doubles(edited, verts=edited.verts[:], dist=TOUCHING)
    edited.to_mesh(mesh)
    edited.free()


def _last_line(error: Exception) -> str:
    """Finds what an importer says: the last line of a report that may hold a traceback."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    said = [line for line in lines if not line.startswith(("Location:", "File ", "Traceback"))]
    return (said or [type(error).__name__])[-1][:200]
