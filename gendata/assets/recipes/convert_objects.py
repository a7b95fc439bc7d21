"""Simplify objects and write them as .glb; runs inside Blender, started by the recipe `objects`.

Standard input is JSON, a list with one job for each object: `key` (its name), `source` (an .obj
file), `out`, `faces` (the most triangles), `side` (the longest side of a texture, pixels).
Standard output ends with a JSON line: for each object, its triangles and what is to be noted.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import bpy

from gendata.render.objects import MOST_FACES
from gendata.render.worker.belongings import belongings, remove
from gendata.render.worker.mesh import load_mesh, weld


def converted(job: dict[str, Any]) -> dict[str, Any]:
    """Writes one object."""
    source = {"path": job["source"], "kind": "obj", "up": "y", "most_faces": MOST_FACES}
    loaded = load_mesh(job["key"], source)
    mesh = simplified(loaded.mesh, job["faces"])
    mesh.name = job["key"]
    shrink_textures(mesh, job["side"])
    thing = bpy.data.objects.new("object", mesh)
    bpy.context.scene.collection.objects.link(thing)
    bpy.context.view_layer.objects.active = thing
    thing.select_set(True)
    bpy.ops.export_scene.gltf(
        filepath=job["out"],
        export_format="GLB",
        use_selection=True,
        export_normals=False,  # whoever loads them shades them smoothly; they would be a third
        export_image_format="WEBP",
        export_image_quality=80,
        export_animations=False,
    )
    bpy.data.objects.remove(thing)
    remove(belongings(mesh))
    return {"triangles": triangles(mesh_of(job["out"])), "notes": loaded.notes}


def mesh_of(path: str) -> bpy.types.Mesh:
    """Loads what was written, as every user of it will."""
    source = {"path": path, "kind": "glb", "up": "z", "most_faces": MOST_FACES}
    return load_mesh(path, source).mesh


def triangles(mesh: bpy.types.Mesh) -> int:
    """Counts the triangles of a mesh whose faces are polygons."""
    return sum(len(face.vertices) - 2 for face in mesh.polygons)


def simplified(mesh: bpy.types.Mesh, most: int) -> bpy.types.Mesh:
    """Collapses edges until a number of triangles is left; drops what the pack does without."""
    weld(mesh)  # faces that only touch would be torn apart
    if triangles(mesh) > most:
        thing = bpy.data.objects.new("heavy", mesh)
        bpy.context.scene.collection.objects.link(thing)
        modifier = thing.modifiers.new("simpler", "DECIMATE")
        modifier.ratio = most / triangles(mesh)
        modifier.use_collapse_triangulate = True
        depsgraph = bpy.context.evaluated_depsgraph_get()
        simple = bpy.data.meshes.new_from_object(
            thing.evaluated_get(depsgraph), preserve_all_data_layers=True, depsgraph=depsgraph
        )
        bpy.data.objects.remove(thing)
        bpy.data.meshes.remove(mesh)
        mesh = simple
    if not any(each.bl_rna.identifier == "Image" for each in belongings(mesh)):
        for layer in list(mesh.uv_layers):
            mesh.uv_layers.remove(layer)
    return mesh


def shrink_textures(mesh: bpy.types.Mesh, side: int) -> None:
    """Scales pictures down to a longest side."""
    for each in belongings(mesh):
        if isinstance(each, bpy.types.Image) and max(each.size) > side:
            width, height = (max(1, round(part * side / max(each.size))) for part in each.size)
            each.scale(width, height)


def main() -> None:
    """Converts what standard input lists."""
    bpy.ops.wm.read_factory_settings(use_empty=True)
    print(json.dumps([converted(job) for job in json.load(sys.stdin)]))


if __name__ == "__main__":
    main()
