"""Runs inside Blender: makes files only Blender can write, loads meshes, tells what they are."""

from pathlib import Path

import bpy
import numpy as np

from gendata.render.worker.mesh import BadMesh, Meshes

CORNERS = [(0, 0, 0), (1, 0, 0), (0, 2, 0), (0, 0, 3)]
FACES = [(0, 2, 1), (0, 1, 3), (0, 3, 2), (1, 2, 3)]


def load_all(loads, most=8, most_faces=1_000_000):
    """Loads (key, source) one after the other; tells of each what it gave or why it did not."""
    bpy.ops.wm.read_factory_settings(use_empty=True)
    bpy.data.materials.new("the renderer's")  # nothing uses it, and yet it must stay
    meshes, results = Meshes(most, most_faces), [{"memory": in_memory()}]
    for key, source in loads:
        try:
            results.append(told(meshes.get(key, source)))
        except BadMesh as error:
            results.append({"key": error.key, "why": error.why, "memory": in_memory()})
    return results


def in_memory():
    lists = [each.identifier for each in bpy.data.bl_rna.properties if each.type == "COLLECTION"]
    return {name: len(getattr(bpy.data, name)) for name in lists if len(getattr(bpy.data, name))}


def told(loaded):
    import bmesh  # it is there once bpy is imported

    mesh = loaded.mesh
    solid = bmesh.new()
    solid.from_mesh(mesh)
    points = np.empty(3 * len(mesh.vertices), np.float32)
    mesh.vertices.foreach_get("co", points)
    textures = [
        node.image.name
        for material in mesh.materials
        if material is not None and material.node_tree
        for node in material.node_tree.nodes
        if node.type == "TEX_IMAGE" and node.outputs["Color"].is_linked
    ]
    result = {
        "vertices": points.reshape(-1, 3).tolist() if len(points) < 300 else len(points) // 3,
        "corners": [len(face.vertices) for face in mesh.polygons][:100],
        "faces": len(mesh.polygons),
        "volume": solid.calc_volume(signed=True),
        "materials": [material.name for material in mesh.materials],
        "colours": [list(material.diffuse_color) for material in mesh.materials],
        "textures": textures,
        "smooth": all(face.use_smooth for face in mesh.polygons),
        "sharp": sum(edge.use_edge_sharp for edge in mesh.edges),
        "layers": [layer.name for layer in mesh.uv_layers],
        "notes": list(loaded.notes),
        "memory": in_memory(),
        "pointer": mesh.as_pointer(),
    }
    solid.free()
    return result


def make(folder):
    """Writes scenes with a tetrahedron: plain, with an armature's pose, and of two instances."""
    folder = Path(folder)
    bpy.ops.wm.read_factory_settings(use_empty=True)
    thing = added("thing")
    bpy.ops.export_scene.fbx(filepath=str(folder / "thing.fbx"))
    bpy.ops.export_scene.gltf(filepath=str(folder / "exported.glb"))
    bpy.context.scene.collection.objects.link(
        bpy.data.objects.new("camera", bpy.data.cameras.new("camera"))
    )
    bpy.context.scene.collection.objects.link(
        bpy.data.objects.new("lamp", bpy.data.lights.new("lamp", "POINT"))
    )
    hidden = added("cutter")
    hidden.location, hidden.hide_render = (50, 0, 0), True
    bpy.ops.wm.save_as_mainfile(filepath=str(folder / "thing.blend"))
    twin = bpy.data.objects.new("twin", thing.data)
    twin.location = (9, 0, 0)
    bpy.context.scene.collection.objects.link(twin)
    bpy.ops.wm.save_as_mainfile(filepath=str(folder / "twins.blend"))
    posed(thing)
    twin.hide_render = True
    bpy.ops.wm.save_as_mainfile(filepath=str(folder / "posed.blend"))


def added(name):
    mesh = bpy.data.meshes.new(name)
    mesh.from_pydata(CORNERS, [], FACES)
    thing = bpy.data.objects.new(name, mesh)
    bpy.context.scene.collection.objects.link(thing)
    return thing


def posed(thing):
    """A bone holds the corner at the top, and its pose lifts it from 3 to 7."""
    armature = bpy.data.objects.new("bones", bpy.data.armatures.new("bones"))
    bpy.context.scene.collection.objects.link(armature)
    bpy.context.view_layer.objects.active = armature
    bpy.ops.object.mode_set(mode="EDIT")
    bone = armature.data.edit_bones.new("top")
    bone.head, bone.tail = (0, 0, 0), (0, 0, 1)
    bpy.ops.object.mode_set(mode="OBJECT")
    thing.vertex_groups.new(name="top").add([3], 1.0, "REPLACE")
    thing.modifiers.new("bones", "ARMATURE").object = armature
    armature.pose.bones["top"].location = (0, 4, 0)  # along the bone
