"""What metal, plastic, fingerprints and moss are made of, as node trees.

Each pattern lives in the object's own coordinates, in which the object's diagonal is 1, so that
it grows and turns with the object. The numbers were found by looking at pictures.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from bpy.types import NodeSocket, NodeTree

from gendata.render.worker.nodes import add_node, mix_colours

__all__ = ["PATTERNS", "Inputs"]


_PRINTS = 8.0  # cells a diagonal, each with one print
_EARTH = (0.3, 0.24, 0.17, 1.0)

# Below it, where the squared roughness is under 0.075, Cycles tells the denoiser of what a surface
# mirrors in place of the surface itself; a few samples of that leave white and black specks.
_SMOOTHEST = 0.28


@dataclass(frozen=True)
class Inputs:
    """What a pattern is made from.

    Attributes:
        tree: the tree to build it in.
        place: where on the object, scaled and shifted.
        colour: base colour.
        roughness: 0 to 1.
        picture: the texture's colour at this place, of "texture".
    """

    tree: NodeTree
    place: NodeSocket
    colour: NodeSocket
    roughness: NodeSocket
    picture: NodeSocket | None


def _metal(inputs: Inputs) -> NodeSocket:
    """Brushed: streaks along x and y, in the roughness more than in the colour."""
    tree = inputs.tree
    streaks = _noise(inputs, scale=3.0, detail=2.0, stretch=(1.0, 1.0, 8.0))
    dents = _noise(inputs, scale=6.0, detail=1.0)
    colour = _shaded(tree, inputs.colour, streaks, 0.8, 1.05)
    even = _ramp(tree, inputs.roughness, 0.0, 1.0, _SMOOTHEST, 0.9)
    roughness = _added(tree, even, streaks, 0.0, 0.12)
    normal = _bump(tree, dents, strength=0.12, distance=0.02)
    # A pure metal is black under a single lamp.
    return _surface(tree, colour, roughness, {"Metallic": 0.85, "Normal": normal})


def _plastic(inputs: Inputs) -> NodeSocket:
    """Even in colour, finely grained, under a thin glossy coat."""
    tree = inputs.tree
    clouds = _noise(inputs, scale=4.0, detail=2.0)
    grain = _noise(inputs, scale=40.0, detail=0.0)
    colour = _shaded(tree, inputs.colour, clouds, 0.9, 1.0)
    normal = _bump(tree, grain, strength=0.05, distance=0.01)
    extra = {"Coat Weight": 0.3, "Coat Roughness": 0.08, "Normal": normal}
    return _surface(tree, colour, inputs.roughness, extra)


def _fingerprints(inputs: Inputs) -> NodeSocket:
    """A glossy surface, dulled by oval prints of bent ridges that lie anyhow."""
    tree = inputs.tree
    cells = add_node(
        tree, "TexVoronoi", {"Vector": inputs.place, "Scale": _PRINTS, "Randomness": 1.0}
    )
    scaled = _vector(tree, "SCALE", inputs.place, _PRINTS)
    # In units of a cell's size: where in its cell this place is, turned differently in each.
    centre = _vector(tree, "SCALE", cells.outputs["Position"], _PRINTS)
    within = _vector(tree, "SUBTRACT", scaled, centre)
    turn = _vector(tree, "SCALE", cells.outputs["Color"], 6.3)
    turned = add_node(
        tree, "VectorRotate", {"Vector": within, "Rotation": turn}, rotation_type="EULER_XYZ"
    ).outputs[0]
    oval = _vector(tree, "MULTIPLY", turned, (1.0, 0.65, 0.8))
    ridges = add_node(
        tree,
        "TexWave",
        {"Vector": oval, "Scale": 3.5, "Distortion": 4.0, "Detail": 1.0, "Detail Scale": 1.5},
        wave_type="RINGS",
        rings_direction="SPHERICAL",
    ).outputs["Fac"]
    length = add_node(tree, "VectorMath", {"Vector": oval}, operation="LENGTH").outputs["Value"]
    inside = _ramp(tree, length, 0.55, 0.4, 0.0, 1.0)
    grease = _product(tree, inside, _ramp(tree, ridges, 0.25, 0.75, 0.5, 1.0))
    roughness = _added(tree, _ramp(tree, inputs.roughness, 0.0, 1.0, 0.05, 0.45), grease, 0.0, 0.4)
    smeared = mix_colours(tree, 0.25, inputs.colour, (0.6, 0.58, 0.55, 1.0))
    colour = mix_colours(tree, grease, inputs.colour, smeared)
    return _surface(tree, colour, roughness, {"Metallic": 0.35})


def _moss(inputs: Inputs) -> NodeSocket:
    """Cushions of a green that the base colour shifts, over mottled earth."""
    tree = inputs.tree
    patches = _noise(inputs, scale=3.5, detail=5.0)
    tufts = _noise(inputs, scale=30.0, detail=3.0)
    cover = _ramp(tree, patches, 0.4, 0.52, 0.0, 1.0)
    light = mix_colours(tree, 0.5, (0.2, 0.3, 0.035, 1.0), inputs.colour)
    green = _shaded(tree, light, tufts, 0.08, 1.0)
    ground = _shaded(tree, _EARTH, tufts, 0.4, 1.0)
    colour = mix_colours(tree, cover, ground, green)
    roughness = _mixed(tree, cover, inputs.roughness, 0.95)
    height = _product(tree, cover, _ramp(tree, tufts, 0.0, 1.0, 0.4, 1.0))
    normal = _bump(tree, height, strength=0.9, distance=0.03)
    return _surface(tree, colour, roughness, {"Normal": normal, "Specular IOR Level": 0.3})


def _texture(inputs: Inputs) -> NodeSocket:
    """A picture, tinted."""
    assert inputs.picture is not None
    colour = mix_colours(inputs.tree, 1.0, inputs.picture, inputs.colour, "MULTIPLY")
    return _surface(inputs.tree, colour, inputs.roughness, {})


PATTERNS: dict[str, Callable[[Inputs], NodeSocket]] = {
    "metal": _metal,
    "plastic": _plastic,
    "fingerprints": _fingerprints,
    "moss": _moss,
    "unwrapped": _texture,
    "wrapped": _texture,
}
"""By kind; a texture is laid on by the mesh's coordinates (unwrapped) or along the object's axes
(wrapped)."""


def _surface(
    tree: NodeTree, colour: NodeSocket, roughness: NodeSocket, extra: dict[str, Any]
) -> NodeSocket:
    inputs = {"Base Color": colour, "Roughness": roughness, **extra}
    return add_node(tree, "BsdfPrincipled", inputs).outputs[0]


def _noise(
    inputs: Inputs, scale: float, detail: float, stretch: tuple[float, ...] | None = None
) -> NodeSocket:
    """Noise between about 0.3 and 0.7, `scale` blobs a diagonal."""
    place = inputs.place
    if stretch is not None:
        place = _vector(inputs.tree, "MULTIPLY", place, stretch)
    values = {"Vector": place, "Scale": scale, "Detail": detail}
    node = add_node(inputs.tree, "TexNoise", values)
    return next(output for output in node.outputs if output.identifier in ("Fac", "Factor"))


def _ramp(
    tree: NodeTree, value: Any, low: float, high: float, start: float, end: float
) -> NodeSocket:
    """Goes from `start` at `low` to `end` at `high`, and stays there."""
    inputs = {"Value": value, "From Min": low, "From Max": high, "To Min": start, "To Max": end}
    return add_node(tree, "MapRange", inputs, clamp=True).outputs[0]


def _added(
    tree: NodeTree, value: Any, pattern: NodeSocket, least: float, most: float
) -> NodeSocket:
    change = _ramp(tree, pattern, 0.3, 0.7, least, most)
    inputs = {"Value": value, "Value_001": change}
    return add_node(tree, "Math", inputs, operation="ADD", use_clamp=True).outputs[0]


def _shaded(
    tree: NodeTree, colour: Any, pattern: NodeSocket, least: float, most: float
) -> NodeSocket:
    shade = _ramp(tree, pattern, 0.3, 0.7, least, most)
    return mix_colours(tree, 1.0, colour, shade, "MULTIPLY")


def _product(tree: NodeTree, one: Any, other: Any) -> NodeSocket:
    inputs = {"Value": one, "Value_001": other}
    return add_node(tree, "Math", inputs, operation="MULTIPLY").outputs[0]


def _mixed(tree: NodeTree, factor: NodeSocket, first: Any, second: Any) -> NodeSocket:
    inputs = {"Factor_Float": factor, "A_Float": first, "B_Float": second}
    return add_node(tree, "Mix", inputs, data_type="FLOAT").outputs[0]


def _vector(tree: NodeTree, operation: str, one: Any, other: Any) -> NodeSocket:
    name = "Scale" if operation == "SCALE" else "Vector_001"
    node = add_node(tree, "VectorMath", {"Vector": one, name: other}, operation=operation)
    return node.outputs["Vector"]


def _bump(tree: NodeTree, height: NodeSocket, strength: float, distance: float) -> NodeSocket:
    inputs = {"Height": height, "Strength": strength, "Distance": distance}
    return add_node(tree, "Bump", inputs).outputs[0]
