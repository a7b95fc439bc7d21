"""Surfaces: node trees that are built once and whose inputs every image sets anew."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import bpy
import numpy as np

from gendata.errors import GendataError
from gendata.render.parameters import Material
from gendata.render.worker.nodes import add_node, clear_nodes, shared
from gendata.render.worker.patterns import PATTERNS, Inputs
from gendata.render.worker.pictures import Pictures

__all__ = ["Materials", "has_texture_coordinates"]

_FLAT = 0.01  # share of a picture below which a mesh's coordinates are of no use for it


@dataclass(frozen=True)
class _Surface:
    """A material of Blender's, and the nodes that hold what a Material sets."""

    material: bpy.types.Material
    colour: bpy.types.Node
    roughness: bpy.types.Node
    mapping: bpy.types.Node
    picture: bpy.types.Node | None


class Materials:
    """The surfaces of one place in the scene."""

    def __init__(self) -> None:
        self._surfaces: dict[str, _Surface] = {}

    def set(self, placed: bpy.types.Object, material: Material, pictures: Pictures) -> None:
        """Covers an object with a material, all of it.

        Args:
            placed: the object; each of its slots is set.
            material: the surface.
            pictures: opens the textures.

        Raises:
            GendataError: the kind is unknown, or the texture cannot be read.
        """
        surface = None
        if material.kind != "own":
            surface = self._surface(placed, material)
            _set_surface(surface, material, pictures)
        if not placed.data.materials:
            placed.data.materials.append(None)
        for slot in placed.material_slots:
            if surface is None:
                slot.link = "DATA"
            else:
                slot.link = "OBJECT"
                slot.material = surface.material

    def _surface(self, placed: bpy.types.Object, material: Material) -> _Surface:
        kind = material.kind
        if kind == "texture":
            kind = "unwrapped" if has_texture_coordinates(placed.data) else "wrapped"
        if kind not in PATTERNS:
            raise GendataError(
                "unknown kind of material",
                found=material.kind,
                expected="own, metal, plastic, fingerprints, moss or texture",
            )
        if kind not in self._surfaces:
            self._surfaces[kind] = _build(kind, PATTERNS[kind])
        return self._surfaces[kind]


def _build(kind: str, pattern: Callable[[Inputs], bpy.types.NodeSocket]) -> _Surface:
    material = bpy.data.materials.new(kind)
    tree = material.node_tree
    clear_nodes(tree)
    coordinates = add_node(tree, "TexCoord").outputs
    unwrapped = coordinates["UV" if kind == "unwrapped" else "Object"]
    mapping = add_node(tree, "Mapping", {"Vector": unwrapped}, vector_type="POINT")
    colour, roughness = add_node(tree, "RGB"), add_node(tree, "Value")
    picture = None
    if kind in ("unwrapped", "wrapped"):
        picture = add_node(tree, "TexImage", {"Vector": mapping.outputs[0]})
    inputs = Inputs(
        tree,
        mapping.outputs[0],
        colour.outputs[0],
        roughness.outputs[0],
        None if picture is None else picture.outputs["Color"],
    )
    if picture is not None and kind == "wrapped":
        picture.projection, picture.projection_blend = "BOX", 0.2
    add_node(tree, "OutputMaterial", {"Surface": pattern(inputs)})
    return _Surface(material, colour, roughness, mapping, picture)


def _set_surface(surface: _Surface, material: Material, pictures: Pictures) -> None:
    shared(surface.colour, (*material.colour, 1.0))
    shared(surface.roughness, material.roughness)
    surface.mapping.inputs["Scale"].default_value = (1.0 / material.scale,) * 3
    surface.mapping.inputs["Location"].default_value = material.offset
    if surface.picture is not None:
        if material.texture is None:
            raise GendataError("a material of kind 'texture' names no picture")
        surface.picture.image = pictures.open(material.texture)


def has_texture_coordinates(mesh: bpy.types.Mesh) -> bool:
    """Whether a picture can be laid on a mesh by the mesh's own coordinates.

    Many meshes have coordinates that only point at single colours of a palette, so that each face
    would show one pixel. Those whose corners together span next to nothing are told apart here.
    """
    if mesh.uv_layers.active is None:
        return False
    known = mesh.get("texture_coordinates")
    if known is None:
        known = mesh["texture_coordinates"] = bool(_covered_area(mesh) > _FLAT)
    return bool(known)


def _covered_area(mesh: bpy.types.Mesh) -> float:
    """Area that all faces together take in a picture of area 1."""
    layer = mesh.uv_layers.active
    if layer is None or not mesh.loops:
        return 0.0
    corners = np.empty(2 * len(mesh.loops), dtype=np.float32)
    layer.uv.foreach_get("vector", corners)
    mesh.calc_loop_triangles()
    triangles = np.empty(3 * len(mesh.loop_triangles), dtype=np.int32)
    mesh.loop_triangles.foreach_get("loops", triangles)
    first, second, third = np.moveaxis(corners.reshape(-1, 2)[triangles.reshape(-1, 3)], 1, 0)
    one, other = second - first, third - first
    return float(np.abs(one[:, 0] * other[:, 1] - one[:, 1] * other[:, 0]).sum() / 2)
