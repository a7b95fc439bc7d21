"""What an import leaves in Blender's memory, and how it goes again. Runs inside Blender.

Blender's own purge would also take the materials and worlds that the renderer keeps for images to
come, so what belongs to a mesh is followed and removed by hand.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import bpy

__all__ = ["belongings", "image_nodes", "remove", "remove_all_but", "snapshot"]


def snapshot() -> set[bpy.types.ID]:
    """Lists everything in memory."""
    return set(_everything())


def belongings(mesh: bpy.types.Mesh) -> tuple[bpy.types.ID, ...]:
    """Lists a mesh, its materials, and their images and node groups."""
    found: dict[bpy.types.ID, None] = {mesh: None}
    for material in mesh.materials:
        if material is not None:
            found[material] = None
            for tree, node in _nodes(material.node_tree):
                if getattr(node, "image", None) is not None:
                    found[node.image] = None
                if tree is not material.node_tree:
                    found[tree] = None
    return tuple(found)


def image_nodes(material: bpy.types.Material) -> list[tuple[bpy.types.NodeTree, bpy.types.Node]]:
    """Lists a material's nodes that read a picture, with the trees in which they stand."""
    return [each for each in _nodes(material.node_tree) if hasattr(each[1], "image")]


def remove(found: Iterable[bpy.types.ID]) -> None:
    """Removes the first of some things, and those of the others that nothing else uses."""
    first, *others = found
    going = [first]
    while going:  # a picture goes after all materials that show it
        bpy.data.batch_remove(going)
        others = [each for each in others if each not in going]
        going = [each for each in others if each.users == 0]


def remove_all_but(before: set[bpy.types.ID], kept: Iterable[bpy.types.ID]) -> None:
    """Removes everything that was not there before, except what is to be kept."""
    bpy.data.batch_remove(set(_everything()) - before - set(kept))


def _everything() -> Iterator[bpy.types.ID]:
    for member in bpy.data.bl_rna.properties:
        if member.type == "COLLECTION":
            yield from getattr(bpy.data, member.identifier)


def _nodes(
    tree: bpy.types.NodeTree | None, seen: frozenset[bpy.types.NodeTree] = frozenset()
) -> Iterator[tuple[bpy.types.NodeTree, bpy.types.Node]]:
    """Walks a tree and the groups in it."""
    if tree is None or tree in seen:
        return
    for node in tree.nodes:
        yield tree, node
        if node.type == "GROUP":
            yield from _nodes(node.node_tree, seen | {tree})
