"""Blender's importers, one per type of file, and one mesh out of what they bring.

Runs inside Blender.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import bpy
import numpy as np
from mathutils import Matrix

from gendata.render.mesh_files import BadFile, announced_faces, obj_libraries, read_off
from gendata.render.mesh_points import count_not_finite

__all__ = ["import_file"]

# z up and y forward: as the numbers stand in the file, for the axes are turned here.
UNTURNED = {"forward_axis": "Y", "up_axis": "Z"}
TURNS = {"y": Matrix(((1, 0, 0, 0), (0, 0, -1, 0), (0, 1, 0, 0), (0, 0, 0, 1)))}
UV_NAME = "UVMap"


def import_file(source: Mapping[str, Any]) -> tuple[bpy.types.Mesh, list[str]]:
    """Imports a file into a scene of its own and joins what it shows.

    Args:
        source: a MeshSource as a dictionary.

    Returns:
        The mesh, z up, finite, with faces; and notes.

    Raises:
        BadFile: there is nothing to render in it.
        RuntimeError: Blender cannot read it.
    """
    if bad := count_not_finite(source["path"], source["kind"]):
        raise BadFile(f"{bad} of its vertices are not finite")
    with _empty_scene() as scene:
        notes = _IMPORTERS[source["kind"]](source["path"]) or []
        _check_meshes()
        parts = _parts(source["most_faces"])
        mesh = _joined(parts, scene)
    if mesh.validate(clean_customdata=False) and not len(mesh.polygons):
        raise BadFile("it has no valid faces")
    if source["kind"] in ("obj", "ply", "stl", "off") and source["up"] in TURNS:
        mesh.transform(TURNS[source["up"]])
    return mesh, notes


@contextlib.contextmanager
def _empty_scene() -> Iterator[bpy.types.Scene]:
    """Makes an empty scene the current one: importers add to the current one."""
    window = bpy.context.window
    current, scene = window.scene, bpy.data.scenes.new("import")
    window.scene = scene
    try:
        yield window.scene
    finally:
        window.scene = current


def _import_obj(path: str) -> list[str]:
    bpy.ops.wm.obj_import(
        filepath=path,
        use_split_objects=False,
        validate_meshes=False,  # it would make a nought of what is no number
        mtl_name_collision_mode="MAKE_UNIQUE",
        **UNTURNED,
    )
    missing = [f"the materials' file '{name}' is missing" for name in obj_libraries(Path(path))]
    return missing + _dropped(path, "obj")


def _dropped(path: str, kind: str) -> list[str]:
    """Notes how many faces an importer left out without a word."""
    there = sum(len(each.data.polygons) for each in _meshes())
    dropped = (announced_faces(path, kind) or 0) - there
    if dropped <= 0:
        return []
    return [f"{dropped} of its faces are dropped: damaged, or with vertices out of range"]


def _import_ply(path: str) -> list[str]:
    bpy.ops.wm.ply_import(filepath=path, **UNTURNED)
    return _dropped(path, "ply")


def _import_stl(path: str) -> None:
    bpy.ops.wm.stl_import(filepath=path, use_mesh_validate=False, **UNTURNED)


def _import_fbx(path: str) -> None:
    bpy.ops.wm.fbx_import(
        filepath=path, validate_meshes=False, mtl_name_collision_mode="MAKE_UNIQUE"
    )


def _import_gltf(path: str) -> None:
    logging.disable(logging.CRITICAL)  # a line for every part; its errors still come as such
    try:
        bpy.ops.import_scene.gltf(filepath=path, disable_bone_shape=True, import_shading="NORMALS")
    finally:
        logging.disable(logging.NOTSET)


def _import_blend(path: str) -> None:
    """Appends a file's first scene and makes it the current one; without one, its objects."""
    with bpy.data.libraries.load(path, link=False) as (there, wanted):
        wanted.scenes = there.scenes[:1]
        if not there.scenes:
            wanted.objects = there.objects
    if wanted.scenes:
        bpy.context.window.scene = wanted.scenes[0]
        return
    for each in wanted.objects:
        bpy.context.scene.collection.objects.link(each)


def _import_off(path: str) -> None:
    vertices, corners, counts = read_off(path)
    mesh = bpy.data.meshes.new("off")
    mesh.vertices.add(len(vertices))
    mesh.vertices.foreach_set("co", vertices.astype(np.float32).ravel())
    mesh.loops.add(len(corners))
    mesh.loops.foreach_set("vertex_index", corners.astype(np.int32))
    mesh.polygons.add(len(counts))
    mesh.polygons.foreach_set("loop_start", (np.cumsum(counts) - counts).astype(np.int32))
    mesh.update(calc_edges=True)
    mesh.shade_flat()  # new faces count as smooth, as if the file had said so
    bpy.context.scene.collection.objects.link(bpy.data.objects.new("off", mesh))


_IMPORTERS: Mapping[str, Callable[[str], list[str] | None]] = {
    "obj": _import_obj,
    "ply": _import_ply,
    "stl": _import_stl,
    "fbx": _import_fbx,
    "glb": _import_gltf,
    "gltf": _import_gltf,
    "blend": _import_blend,
    "off": _import_off,
}


def _meshes() -> list[bpy.types.Object]:
    return [each for each in bpy.context.scene.objects if each.type == "MESH"]


def _check_meshes() -> None:
    """Checks that vertices are finite, then mends what Blender can: it would hide those."""
    for each in _meshes():
        points = np.empty(3 * len(each.data.vertices), np.float32)
        each.data.vertices.foreach_get("co", points)
        bad = int(np.any(~np.isfinite(points.reshape(-1, 3)), axis=1).sum())
        if bad:
            raise BadFile(f"{bad} of its {len(each.data.vertices)} vertices are not finite")
        each.data.validate(clean_customdata=False)


def _parts(most_faces: int) -> list[bpy.types.Mesh]:
    """Copies what the current scene shows, as modifiers, skeletons and instances leave it."""
    depsgraph = bpy.context.evaluated_depsgraph_get()
    shown = [
        (instance.object, instance.matrix_world.copy())
        for instance in depsgraph.object_instances
        if instance.show_self and not instance.object.original.hide_render
    ]
    parts, faces = [], 0
    for each, matrix in shown:
        if each.type not in ("MESH", "CURVE", "SURFACE", "FONT", "META"):
            continue
        mesh = bpy.data.meshes.new_from_object(
            each, preserve_all_data_layers=True, depsgraph=depsgraph
        )
        faces += len(mesh.polygons)
        if faces > most_faces:
            raise BadFile(f"it has {faces} faces or more, more than the {most_faces} allowed")
        if len(mesh.polygons) == 0:
            continue
        if mesh.uv_layers.active is not None:
            mesh.uv_layers.active.name = UV_NAME
        mesh.transform(matrix)
        if matrix.determinant() < 0:
            mesh.flip_normals()
        parts.append(mesh)
    if not parts:
        raise BadFile("it has no faces")
    return parts


def _joined(parts: list[bpy.types.Mesh], scene: bpy.types.Scene) -> bpy.types.Mesh:
    """Joins meshes into one, each with its materials."""
    if len(parts) == 1:
        return parts[0]
    bpy.context.window.scene = scene
    objects = [bpy.data.objects.new("part", mesh) for mesh in parts]
    for each in objects:
        scene.collection.objects.link(each)
    with bpy.context.temp_override(
        active_object=objects[0], object=objects[0], selected_editable_objects=objects
    ):
        bpy.ops.object.join()
    return objects[0].data
