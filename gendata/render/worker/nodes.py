"""How a node tree is written: nodes that are linked where they are made."""

from __future__ import annotations

from typing import Any

import bpy

__all__ = ["add_node", "clear_nodes", "mix_colours", "shared"]


def add_node(
    tree: bpy.types.NodeTree, kind: str, inputs: dict[str, Any] | None = None, **attributes: Any
) -> bpy.types.Node:
    """Adds a node to a tree.

    Args:
        tree: the tree.
        kind: what follows "ShaderNode" in the type's name, such as "TexNoise".
        inputs: a value, or an output of another node, for an input's identifier.
        attributes: the node's own settings.
    """
    node = tree.nodes.new(f"ShaderNode{kind}")
    for name, value in attributes.items():
        setattr(node, name, value)
    sockets = {socket.identifier: socket for socket in node.inputs}
    for identifier, value in (inputs or {}).items():
        if isinstance(value, bpy.types.NodeSocket):
            tree.links.new(value, sockets[identifier])
        else:
            sockets[identifier].default_value = value
    return node


def mix_colours(
    tree: bpy.types.NodeTree, factor: Any, first: Any, second: Any, blend: str = "MIX"
) -> bpy.types.NodeSocket:
    """Adds a mix of two colours, all of the second at factor 1; returns the mixed colour."""
    inputs = {"Factor_Float": factor, "A_Color": first, "B_Color": second}
    node = add_node(tree, "Mix", inputs, data_type="RGBA", blend_type=blend)
    return next(socket for socket in node.outputs if socket.identifier == "Result_Color")


def clear_nodes(tree: bpy.types.NodeTree) -> None:
    """Removes the nodes that Blender puts into every new tree."""
    tree.nodes.clear()


def shared(node: bpy.types.Node, value: Any) -> None:
    """Sets the value of a Value or RGB node, from which several nodes read."""
    node.outputs[0].default_value = value
