"""The environment: a picture or a colour all around, each a node tree that is built once."""

from __future__ import annotations

import math

import bpy

from gendata.render.parameters import Environment
from gendata.render.worker.nodes import add_node, clear_nodes, mix_colours, shared
from gendata.render.worker.pictures import Pictures

__all__ = ["World"]

_PICTURES = 8  # a 4k picture takes 134 MB


class World:
    """What surrounds the scene. A picture's middle lies towards x, before it is turned.

    Args:
        scene: gets the surroundings.
        map_size: side of the map by which rays are sent to a picture, pixels.
    """

    def __init__(self, scene: bpy.types.Scene, map_size: int) -> None:
        self._scene = scene
        self._pictures = Pictures(_PICTURES)
        self._plain = _new_world("plain", map_size)
        self._plain_light = self._plain.node_tree.nodes["Background"]
        self._pictured = _new_world("pictured", map_size)
        self._picture_light = self._pictured.node_tree.nodes["Background"]
        self._build_picture()

    def set(self, environment: Environment | None) -> None:
        """Surrounds the scene; None: with darkness.

        Raises:
            GendataError: the picture cannot be read.
        """
        if environment is None or environment.file is None:
            world, light = self._plain, self._plain_light
            colour = (0.0, 0.0, 0.0) if environment is None else environment.colour
            light.inputs["Color"].default_value = (*colour, 1.0)
        else:
            world, light = self._pictured, self._picture_light
            self._picture.image = self._pictures.open(environment.file)
            shared(self._tint, (*environment.colour, 1.0))
            self._turn.inputs["Rotation"].default_value[2] = -math.radians(environment.turn)
        light.inputs["Strength"].default_value = (
            0.0 if environment is None else environment.strength
        )
        if self._scene.world != world:
            self._scene.world = world
        world.update_tag()  # without it, some changes do not reach a scene that is kept

    def _build_picture(self) -> None:
        tree = self._pictured.node_tree
        direction = add_node(tree, "TexCoord").outputs["Generated"]
        # What is looked up is turned, so the picture itself turns the other way.
        self._turn = add_node(tree, "Mapping", {"Vector": direction}, vector_type="POINT")
        self._picture = add_node(tree, "TexEnvironment", {"Vector": self._turn.outputs[0]})
        self._tint = add_node(tree, "RGB")
        colour = mix_colours(
            tree, 1.0, self._picture.outputs[0], self._tint.outputs[0], "MULTIPLY"
        )
        tree.links.new(colour, self._picture_light.inputs["Color"])


def _new_world(name: str, map_size: int) -> bpy.types.World:
    world = bpy.data.worlds.new(name)
    world.cycles.sampling_method = "MANUAL"
    world.cycles.sample_map_resolution = map_size
    clear_nodes(world.node_tree)
    light = add_node(world.node_tree, "Background")
    add_node(world.node_tree, "OutputWorld", {"Surface": light.outputs[0]})
    return world
