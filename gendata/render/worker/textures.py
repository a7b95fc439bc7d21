"""Materials whose pictures are missing, which Blender would show in bright pink.

Runs inside Blender.
"""

from __future__ import annotations

import os

import bpy

from gendata.render.worker.belongings import image_nodes

__all__ = ["show_without_missing_textures"]


def show_without_missing_textures(mesh: bpy.types.Mesh) -> list[str]:
    """Shows a mesh's materials from both sides, and missing pictures by the colour beneath them.

    Returns:
        A note for every picture that is missing or cannot be read.
    """
    notes: dict[str, None] = {}
    for material in mesh.materials:
        if material is None:
            continue
        material.use_backface_culling = False
        for tree, node in image_nodes(material):
            why = _problem(node.image)
            if why is not None:
                notes[why] = None
                for link in [link for link in tree.links if link.from_node == node]:
                    tree.links.remove(link)
    return list(notes)


def _problem(image: bpy.types.Image | None) -> str | None:
    if image is None:
        return "a texture is missing: its material's colour is shown"
    name = image.filepath.replace("\\", "/").rpartition("/")[2] or image.name
    if image.packed_file is None and image.source == "FILE":
        if not os.path.isfile(bpy.path.abspath(image.filepath)):
            return f"the texture '{name}' is missing: its material's colour is shown"
    if 0 in image.size:
        return f"the texture '{name}' cannot be read: its material's colour is shown"
    return None
