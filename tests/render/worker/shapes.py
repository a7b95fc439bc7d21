"""Simple meshes for tests; runs inside Blender. Only "sphere" has another diagonal than 1."""

import bpy
import numpy as np

RADIUS = 0.3
SIDE = 3**-0.5  # of a cube with a diagonal of 1
WHITE = 0.8


def make_shapes() -> dict[str, bpy.types.Mesh]:
    return {
        "sphere": _sphere("sphere", RADIUS),
        "cube": _box("cube", (SIDE, SIDE, SIDE)),
        "bar": _box("bar", (0.95, 0.22, 0.22)),
        "wall": _quad("wall", 4.0),
        "picture": _unwrapped(_quad("picture", 0.5**0.5), 1.0),
        "palette": _unwrapped(_quad("palette", 0.5**0.5), 0.001),
        "halves": _halves(),
    }


def _matt(name: str, colour: tuple[float, ...]) -> bpy.types.Material:
    material = bpy.data.materials.new(name)
    nodes, links = material.node_tree.nodes, material.node_tree.links
    nodes.clear()
    shader = nodes.new("ShaderNodeBsdfDiffuse")
    shader.inputs["Color"].default_value = (*colour, 1.0)
    links.new(shader.outputs[0], nodes.new("ShaderNodeOutputMaterial").inputs["Surface"])
    return material


def _mesh(name: str, vertices: np.ndarray, faces: list[tuple[int, ...]]) -> bpy.types.Mesh:
    mesh = bpy.data.meshes.new(name)
    mesh.from_pydata(np.asarray(vertices).tolist(), [], faces)
    mesh.materials.append(_matt(f"{name} white", (WHITE,) * 3))
    return mesh


def _sphere(name: str, radius: float, rings: int = 48) -> bpy.types.Mesh:
    around = np.linspace(0, 2 * np.pi, 2 * rings, endpoint=False)
    points = [
        (np.sin(down) * np.cos(turn), np.sin(down) * np.sin(turn), np.cos(down))
        for down in np.linspace(0, np.pi, rings + 1)[1:-1]
        for turn in around
    ]
    count, last = len(around), len(points)
    faces = [
        (row + i, row + count + i, row + count + (i + 1) % count, row + (i + 1) % count)
        for row in range(0, last - count, count)
        for i in range(count)
    ]
    faces += [(last, i, (i + 1) % count) for i in range(count)]
    end = last - count
    faces += [(last + 1, end + (i + 1) % count, end + i) for i in range(count)]
    mesh = _mesh(name, radius * np.array([*points, (0, 0, 1), (0, 0, -1)]), faces)
    mesh.shade_smooth()
    return mesh


def _box(name: str, sides: tuple[float, float, float]) -> bpy.types.Mesh:
    corners = [(x, y, z) for x in (-0.5, 0.5) for y in (-0.5, 0.5) for z in (-0.5, 0.5)]
    faces = [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)]
    return _mesh(name, np.array(corners) * sides, faces)


def _quad(name: str, side: float) -> bpy.types.Mesh:
    """A square that stands up and faces -y."""
    corners = np.array([(-0.5, 0, -0.5), (0.5, 0, -0.5), (0.5, 0, 0.5), (-0.5, 0, 0.5)])
    return _mesh(name, corners * side, [(0, 1, 2, 3)])


def _unwrapped(mesh: bpy.types.Mesh, side: float) -> bpy.types.Mesh:
    layer = mesh.uv_layers.new()
    layer.uv.foreach_set("vector", side * np.array([0, 0, 1, 0, 1, 1, 0, 1], dtype=np.float32))
    return mesh


def _halves() -> bpy.types.Mesh:
    """A square, red on the left (seen from -y) and green on the right."""
    points = [(x, 0, z) for z in (-0.35, 0.35) for x in (-0.35, 0, 0.35)]
    mesh = _mesh("halves", np.array(points), [(0, 1, 4, 3), (1, 2, 5, 4)])
    mesh.materials.clear()
    mesh.materials.append(_matt("red", (WHITE, 0.0, 0.0)))
    mesh.materials.append(_matt("green", (0.0, WHITE, 0.0)))
    mesh.polygons.foreach_set("material_index", [0, 1])
    return mesh
