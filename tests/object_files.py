"""A tetrahedron written by hand as many types of files, damaged at will."""

import base64
import json
import struct

# x is 1 long, y 2, z 3: no turn of the axes leaves it as it is.
CORNERS = [(0.0, 0.0, 0.0), (1.0, 0.0, 0.0), (0.0, 2.0, 0.0), (0.0, 0.0, 3.0)]
FACES = [(0, 2, 1), (0, 1, 3), (0, 3, 2), (1, 2, 3)]
PLY = """\
ply
format {form} 1.0
element vertex {points}
property float x
property float y
property float z
element face {faces}
property list uchar int vertex_indices
end_header
"""


def rows(values):
    return "".join(" ".join(map(str, row)) + "\n" for row in values)


def obj(corners=CORNERS, faces=FACES, head=""):
    points = "".join(f"v {x} {y} {z}\n" for x, y, z in corners)
    sides = "".join("f " + " ".join(str(each + 1) for each in face) + "\n" for face in faces)
    return (head + points + sides).encode()


def off(corners=CORNERS, faces=FACES, head="OFF\n"):
    sides = [(len(face), *face) for face in faces]
    return (head + f"{len(corners)} {len(faces)} 0\n" + rows(corners) + rows(sides)).encode()


def ply(corners=CORNERS, faces=FACES):
    header = PLY.format(form="ascii", points=len(corners), faces=len(faces))
    return (header + rows(corners) + rows((len(face), *face) for face in faces)).encode()


def binary_ply(corners=CORNERS, faces=FACES):
    header = PLY.format(form="binary_little_endian", points=len(corners), faces=len(faces))
    points = b"".join(struct.pack("<3f", *each) for each in corners)
    sides = (struct.pack(f"<B{len(face)}i", len(face), *face) for face in faces)
    return header.encode() + points + b"".join(sides)


def stl(corners=CORNERS, faces=FACES):
    flat = [[value for number in face for value in corners[number]] for face in faces]
    sides = (struct.pack("<12fH", 0, 0, 0, *each, 0) for each in flat)
    return bytes(80) + struct.pack("<I", len(faces)) + b"".join(sides)


def text_stl(corners=CORNERS, faces=FACES):
    lines = ["solid thing"]
    for face in faces:
        lines += ["facet normal 0 0 0", "outer loop"]
        lines += ["vertex {} {} {}".format(*corners[number]) for number in face]
        lines += ["endloop", "endfacet"]
    return "\n".join([*lines, "endsolid thing", ""]).encode()


def y_up(corners=CORNERS):
    """The same as files write it whose y points up."""
    return [(x, z, -y) for x, y, z in corners]


def described(corners, faces, nodes=None):
    """A glTF description and its data; corners as the file holds them, y up."""
    indices = [number for face in faces for number in face]
    points = [value for each in corners for value in each]
    data = struct.pack(f"<{len(points)}f{len(indices)}H", *points, *indices)
    nodes = nodes or [{"mesh": 0}]
    views = [(0, 4 * len(points)), (4 * len(points), 2 * len(indices))]
    kinds = [(5126, len(corners), "VEC3"), (5123, len(indices), "SCALAR")]
    return {
        "asset": {"version": "2.0"},
        "scene": 0,
        "scenes": [{"nodes": list(range(len(nodes)))}],
        "nodes": nodes,
        "meshes": [{"primitives": [{"attributes": {"POSITION": 0}, "indices": 1}]}],
        "buffers": [{"byteLength": len(data)}],
        "bufferViews": [{"buffer": 0, "byteOffset": a, "byteLength": b} for a, b in views],
        "accessors": [
            {"bufferView": number, "componentType": kind, "count": count, "type": name}
            for number, (kind, count, name) in enumerate(kinds)
        ],
    }, data


def gltf(corners=CORNERS, faces=FACES, nodes=None):
    content, data = described(y_up(corners), faces, nodes)
    text = base64.b64encode(data).decode()
    content["buffers"][0]["uri"] = f"data:application/octet-stream;base64,{text}"
    return json.dumps(content).encode()


def glb(corners=CORNERS, faces=FACES, nodes=None):
    content, data = described(y_up(corners), faces, nodes)
    text = json.dumps(content).encode()
    text, data = text + b" " * (-len(text) % 4), data + bytes(-len(data) % 4)
    chunks = struct.pack("<I4s", len(text), b"JSON") + text
    chunks += struct.pack("<I4s", len(data), b"BIN\0") + data
    return struct.pack("<4sII", b"glTF", 2, 12 + len(chunks)) + chunks


WRITERS = {
    "hand.obj": lambda **changes: obj(**{"corners": y_up(), **changes}),
    "hand.off": off,
    "hand.ply": ply,
    "binary.ply": binary_ply,
    "hand.stl": stl,
    "text.stl": text_stl,
    "hand.gltf": gltf,
    "hand.glb": glb,
}
