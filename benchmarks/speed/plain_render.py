"""What most people write to render a data set: every image from an empty scene. Runs in Blender.

Each image imports its mesh file, builds its nodes, renders with Cycles as Blender sets it up (but
for the samples) to a PNG file, and reads that back. Called with a JSON file of `images`, each a
`path` and the `parameters` of one image, with `resolution` and `samples`; and with a file for the
answer, the seconds of each image. It needs nothing but Blender.
"""

from __future__ import annotations

import json
import math
import os
import sys
import time
from typing import Any

import bpy
import numpy as np
from mathutils import Matrix, Vector

OWN_MAP = "blender:"


def main() -> None:
    """Renders all images, and writes how long each took."""
    asked_file, answer_file = sys.argv[-2:]
    with open(asked_file, encoding="utf-8") as file:
        asked = json.load(file)
    took = []
    for image in asked["images"]:
        started = time.perf_counter()
        render(image, asked, answer_file + ".png")
        took.append(time.perf_counter() - started)
    with open(answer_file, "w", encoding="utf-8") as file:
        json.dump(took, file)


def render(image: dict[str, Any], asked: dict[str, Any], picture: str) -> np.ndarray:
    """Renders one image to a file and reads it back: float32, four channels, flat."""
    bpy.ops.wm.read_factory_settings(use_empty=True)
    parameters, scene = image["parameters"], bpy.context.scene
    place_object(image["path"], parameters["object"])
    for light in parameters["lights"]:
        add_light(light)
    if parameters["environment"] is not None:
        surround(scene, parameters["environment"])
    add_camera(scene, parameters["camera"])
    scene.render.engine = "CYCLES"
    scene.cycles.samples = asked["samples"]
    scene.cycles.seed = parameters["seed"] % 2**31
    scene.render.film_transparent = parameters["background"]["kind"] != "environment"
    scene.render.resolution_x = scene.render.resolution_y = asked["resolution"]
    scene.render.image_settings.file_format = "PNG"
    scene.render.filepath = picture
    bpy.ops.render.render(write_still=True)
    written = bpy.data.images.load(picture)
    pixels = np.empty(len(written.pixels), np.float32)
    written.pixels.foreach_get(pixels)
    return pixels


def place_object(path: str, placed: dict[str, Any]) -> None:
    """Imports a glTF file, brings it to a diagonal of 1 and covers it with one material."""
    bpy.ops.import_scene.gltf(filepath=path)
    meshes = [each for each in bpy.context.scene.objects if each.type == "MESH"]
    corners = [each.matrix_world @ Vector(corner) for each in meshes for corner in each.bound_box]
    low, high = np.min(corners, axis=0), np.max(corners, axis=0)
    pivot = bpy.data.objects.new("pivot", None)
    bpy.context.scene.collection.objects.link(pivot)
    pivot.location = placed["location"]
    pivot.rotation_euler = [math.radians(angle) for angle in placed["rotation"]]
    pivot.scale = (placed["scale"] / np.linalg.norm(high - low),) * 3
    material = None if placed["material"]["kind"] == "own" else build_material(placed["material"])
    for each in meshes:
        world = Matrix.Translation(-(low + high) / 2) @ each.matrix_world
        each.parent, each.matrix_parent_inverse = pivot, Matrix.Identity(4)
        each.matrix_basis = world
        if material is not None:
            each.data.materials.clear()
            each.data.materials.append(material)


def build_material(wanted: dict[str, Any]) -> bpy.types.Material:
    """A surface whose roughness varies with a noise."""
    material = bpy.data.materials.new(wanted["kind"])
    material.use_nodes = True
    nodes, links = material.node_tree.nodes, material.node_tree.links
    surface = nodes["Principled BSDF"]
    surface.inputs["Base Color"].default_value = (*wanted["colour"], 1.0)
    surface.inputs["Metallic"].default_value = float(wanted["kind"] == "metal")
    noise, scaled = nodes.new("ShaderNodeTexNoise"), nodes.new("ShaderNodeMath")
    noise.inputs["Scale"].default_value = 10.0 / wanted["scale"]
    scaled.operation = "MULTIPLY"
    scaled.inputs[1].default_value = 2.0 * wanted["roughness"]
    links.new(noise.outputs[0], scaled.inputs[0])
    links.new(scaled.outputs[0], surface.inputs["Roughness"])
    return material


def add_light(wanted: dict[str, Any]) -> None:
    """Adds a lamp that shines at the origin."""
    data = bpy.data.lights.new("light", wanted["kind"].upper())
    data.energy, data.color = wanted["power"], wanted["colour"]
    if wanted["kind"] == "area":
        data.size = wanted["size"]
    else:
        data.shadow_soft_size = wanted["size"] / 2
    lamp = bpy.data.objects.new("light", data)
    lamp.location = wanted["position"]
    lamp.rotation_euler = (-Vector(wanted["position"])).to_track_quat("-Z", "Y").to_euler()
    bpy.context.scene.collection.objects.link(lamp)


def surround(scene: bpy.types.Scene, wanted: dict[str, Any]) -> None:
    """Builds the environment."""
    world = scene.world = bpy.data.worlds.new("world")
    world.use_nodes = True
    nodes, links = world.node_tree.nodes, world.node_tree.links
    light = nodes["Background"]
    light.inputs["Strength"].default_value = wanted["strength"]
    light.inputs["Color"].default_value = (*wanted["colour"], 1.0)
    if wanted["file"] is None:
        return
    direction, turn = nodes.new("ShaderNodeTexCoord"), nodes.new("ShaderNodeMapping")
    picture = nodes.new("ShaderNodeTexEnvironment")
    picture.image = bpy.data.images.load(map_file(wanted["file"]))
    turn.inputs["Rotation"].default_value[2] = -math.radians(wanted["turn"])
    links.new(direction.outputs["Generated"], turn.inputs["Vector"])
    links.new(turn.outputs[0], picture.inputs["Vector"])
    links.new(picture.outputs[0], light.inputs["Color"])


def map_file(name: str) -> str:
    """Where an environment map lies; some come with Blender."""
    if not name.startswith(OWN_MAP):
        return name
    folder = bpy.utils.system_resource("DATAFILES", path="studiolights/world")
    return os.path.join(folder, name.removeprefix(OWN_MAP))


def add_camera(scene: bpy.types.Scene, wanted: dict[str, Any]) -> None:
    """Adds the camera."""
    data = bpy.data.cameras.new("camera")
    data.lens = wanted["focal_length"]
    camera = scene.camera = bpy.data.objects.new("camera", data)
    camera.location = wanted["position"]
    looks = Vector(wanted["look_at"]) - Vector(wanted["position"])
    turned = looks.to_track_quat("-Z", "Y").to_matrix()
    roll = Matrix.Rotation(-math.radians(wanted["roll"]), 3, "Z")
    camera.rotation_euler = (turned @ roll).to_euler()
    scene.collection.objects.link(camera)


if __name__ == "__main__":
    main()
