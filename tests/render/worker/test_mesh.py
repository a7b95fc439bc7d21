"""Objects inside Blender: every type of file gives the same mesh, and damage is told."""

import re
from math import sqrt

import numpy as np
import object_files as written
import pytest
from PIL import Image

pytestmark = pytest.mark.blender

LOAD = """
from load_meshes import load_all, make
if inputs["make"]:
    make(inputs["make"])
found["results"] = load_all(inputs["loads"], **inputs["limits"])
"""
NAN = [*written.CORNERS[:2], (0.0, float("nan"), 0.0), written.CORNERS[3]]
CENTRED = (np.array(written.CORNERS) - [0.5, 1.0, 1.5]) / sqrt(1 + 4 + 9)
BOX = [(x, y, z) for x in (0, 1) for y in (0, 1) for z in (0, 1)]
SIDES = [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)]
MANY = 50


def source(path, up=None, most_faces=1000):
    kind = path.suffix[1:]
    up = up or ("y" if kind == "obj" else "z")
    return {"path": str(path), "kind": kind, "up": up, "most_faces": most_faces, "size": 0}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("objects")
    for name, write in written.WRITERS.items():
        (folder / name).write_bytes(write())
    for name, content in damaged().items():
        (folder / name).write_bytes(content)
    for name in ("textured", *(f"copy{number}" for number in range(MANY))):
        write_textured(folder, name)
    return folder


def damaged():
    """Files that are to be refused, or taken with a note."""
    moved = [{"mesh": 0, "translation": [5, 0, 0]}, {"mesh": 0, "scale": [-1, 1, 1]}]
    cut = {f"cut.{name}": write()[:-7] for name, write in written.WRITERS.items()}
    return {
        **{f"nan.{name}": write(corners=NAN) for name, write in written.WRITERS.items()},
        **{f"empty.{kind}": b"" for kind in ("obj", "glb", "blend", "fbx")},
        **{f"junk.{kind}": b"no object\n" * 40 for kind in ("obj", "glb", "blend", "fbx", "ply")},
        **{name: content for name, content in cut.items() if "obj" not in name},
        "junk2.blend": b"BLENDER-v500" + bytes(range(256)) * 9,
        "junk2.fbx": b"Kaydara FBX Binary  \0\x1a\0" + bytes(range(256)) * 9,
        "short.ply": written.binary_ply()[:-60],
        "range.obj": written.obj(written.y_up(), [*written.FACES, (0, 1, 9)]),
        "range.ply": written.binary_ply(faces=[*written.FACES, (0, 1, 9_999_999)]),
        "range.off": written.off(faces=[*written.FACES, (0, 1, 9)]),
        "range.gltf": written.gltf(faces=[*written.FACES, (0, 1, 999)]),
        "allrange.obj": written.obj(faces=[(7, 8, 9)]),
        "line.obj": written.obj([(0, 0, 0), (1, 1, 1), (2, 2, 2)], [(0, 1, 2)]),
        "point.stl": written.stl([(1, 1, 1)] * 4),
        "plane.obj": written.obj([(0, 0, 0), (1, 0, 0), (1, 0, 1)], [(0, 1, 2)]),
        "far.off": written.off(corners=[*written.CORNERS, (99, 99, 99)]),
        "moved.gltf": written.gltf(nodes=moved),
        "box.obj": written.obj(BOX, SIDES),
        "box.off": written.off(BOX, SIDES),
    }


def write_textured(folder, name):
    """Two materials: both with a picture that is there, one with a picture that is not."""
    Image.new("RGB", (4, 4), (10, 200, 30)).save(folder / f"{name}.png")
    (folder / "junk.png").write_bytes(b"no picture")
    (folder / f"{name}.mtl").write_text(
        f"newmtl good\nKd 1 1 1\nmap_Kd {name}.png\n"
        f"newmtl bad\nKd 0.8 0.1 0.2\nmap_Kd gone.png\nmap_Ks {name}.png\nmap_Bump junk.png\n"
    )
    points = "".join(f"v {x} {y} {z}\n" for x, y, z in written.y_up())
    (folder / f"{name}.obj").write_text(
        f"mtllib {name}.mtl\nmtllib lost.mtl\n{points}vt 0 0\nvt 1 0\nvt 0 1\n"
        "usemtl good\nf 1/1 3/2 2/3\nf 1/1 2/2 4/3\nusemtl bad\nf 1/1 4/2 3/3\nf 2/1 3/2 4/3\n"
    )


@pytest.fixture(scope="module")
def loaded(in_blender, folder):
    """Every file once, in one process: results by name, what was there at first under None."""
    made = ["thing.fbx", "exported.glb", "thing.blend", "twins.blend", "posed.blend"]
    names = sorted(path.name for path in folder.iterdir() if path.suffix not in (".png", ".mtl"))
    names = [*(name for name in names if not name.startswith("copy")), *made]
    loads = [(name, source(folder / name)) for name in names]
    loads += [("textured again", source(folder / "textured.obj", up="z"))]
    loads += [("large", source(folder / "box.obj", most_faces=5))]
    loads += [("large.blend", source(folder / "twins.blend", most_faces=7))]
    loads += [("gone.obj", source(folder / "gone.obj"))]
    results = in_blender(LOAD, make=str(folder), loads=loads, limits={"most": 1})["results"]
    return dict(zip([None, *(key for key, _ in loads)], results, strict=True))


def in_order(points):
    """Points sorted by their coordinates, each once."""
    points = np.asarray(points, np.float64)
    return points[np.unique(points.round(4), axis=0, return_index=True)[1]]


@pytest.mark.parametrize("name", [*written.WRITERS, "thing.fbx", "exported.glb", "thing.blend"])
def test_every_type_of_file_gives_the_same_mesh(loaded, name):
    mesh = loaded[name]
    assert np.allclose(in_order(mesh["vertices"]), in_order(CENTRED), atol=1e-6), name
    assert mesh["corners"] == [3] * 4 and mesh["notes"] == []
    assert mesh["volume"] == pytest.approx(1 / sqrt(14) ** 3, abs=1e-6), "faces look outwards"


def test_the_axis_that_points_up_can_be_chosen(loaded):
    y_up, z_up = loaded["textured.obj"]["vertices"], loaded["textured again"]["vertices"]
    turned = [(x, -z, y) for x, y, z in z_up]
    assert np.allclose(in_order(y_up), in_order(turned), atol=1e-6)
    assert not np.allclose(in_order(y_up), in_order(z_up), atol=1e-2)


def test_parts_are_joined_where_they_stand_and_mirrored_ones_look_outwards(loaded):
    mesh = loaded["moved.gltf"]
    corners = [(x + 5, y, z) for x, y, z in written.CORNERS]
    corners += [(-x, y, z) for x, y, z in written.CORNERS]
    expected = (np.array(corners) - [2.5, 1, 1.5]) / sqrt(49 + 4 + 9)
    assert np.allclose(in_order(mesh["vertices"]), in_order(expected), atol=1e-6)
    assert mesh["volume"] == pytest.approx(2 / sqrt(62) ** 3, rel=1e-4)


def test_instances_are_drawn_and_hidden_objects_cameras_and_lamps_are_not(loaded):
    corners = [*written.CORNERS, *((x + 9, y, z) for x, y, z in written.CORNERS)]
    expected = (np.array(corners) - [5, 1, 1.5]) / sqrt(100 + 4 + 9)
    assert np.allclose(in_order(loaded["twins.blend"]["vertices"]), in_order(expected), atol=1e-6)


def test_a_figure_stands_as_it_is_posed(loaded):
    corners = [*written.CORNERS[:3], (0, 0, 7)]
    expected = (np.array(corners) - [0.5, 1, 3.5]) / sqrt(1 + 4 + 49)
    assert np.allclose(in_order(loaded["posed.blend"]["vertices"]), in_order(expected), atol=1e-6)


def test_what_no_face_uses_does_not_count(loaded):
    assert np.allclose(in_order(loaded["far.off"]["vertices"])[:4], in_order(CENTRED), atol=1e-6)


def test_files_without_normals_are_smooth_but_for_large_angles(loaded):
    box = loaded["box.obj"]
    assert box["corners"] == [4] * 6
    assert box["smooth"] and box["sharp"] == 12
    assert loaded["box.off"]["smooth"] and loaded["box.off"]["sharp"] == 12


def test_missing_textures_are_noted_and_their_colour_is_shown(loaded):
    mesh = loaded["textured.obj"]
    assert len(mesh["materials"]) == 2
    assert mesh["textures"] == ["textured.png"] * 2
    notes = "; ".join(mesh["notes"])
    assert "'lost.mtl' is missing" in notes and "'textured.mtl'" not in notes
    assert "'gone.png' is missing" in notes
    assert "'junk.png' cannot be read" in notes and "textured.png" not in notes


@pytest.mark.parametrize(
    ("name", "faces"), [("range.obj", 4), ("range.ply", 4), ("cut.hand.ply", 3)]
)
def test_dropped_faces_are_noted(loaded, name, faces):
    assert len(loaded[name]["corners"]) == faces
    (note,) = loaded[name]["notes"]
    assert note.startswith("1 of its faces are dropped")


@pytest.mark.parametrize(
    ("name", "why"),
    [
        *((f"nan.{name}", r"\d of its .*vertices are not finite") for name in written.WRITERS),
        *((f"empty.{kind}", "the file is empty") for kind in ("obj", "glb", "blend", "fbx")),
        *((f"junk.{kind}", "does not begin as") for kind in ("glb", "blend", "fbx", "ply")),
        ("junk.obj", "no faces"),
        ("junk2.blend", "cannot read it"),
        ("junk2.fbx", "cannot read it"),
        ("cut.hand.off", "fewer corners than it says"),
        ("short.ply", "cannot read it"),
        ("cut.hand.stl", "cut off"),
        ("cut.hand.gltf", "not glTF"),
        ("cut.hand.glb", "cut off"),
        ("range.off", "out of range"),
        ("range.gltf", "out of bounds"),
        ("allrange.obj", "no faces"),
        ("line.obj", "no area"),
        ("point.stl", "no larger than a point|no faces|no valid faces"),
        ("large", "6 faces, more than the 5 allowed"),
        ("large.blend", "8 faces or more, more than the 7 allowed"),
        ("gone.obj", "No such file"),
    ],
)
def test_objects_that_cannot_be_rendered_are_told_in_one_line(loaded, name, why):
    result = loaded[name]
    assert result["key"] == name
    assert re.search(why, result["why"]), result["why"]
    assert "\n" not in result["why"] and len(result["why"]) < 250


def test_a_plane_is_an_object(loaded):
    assert loaded["plane.obj"]["corners"] == [3]


def test_nothing_of_a_bad_object_stays_in_memory(loaded):
    names = list(loaded)
    bad = [name for name in names if name and "why" in loaded[name]]
    assert len(bad) > 20
    for name in bad:
        before = loaded[names[names.index(name) - 1]]["memory"]
        assert loaded[name]["memory"] == before, name


def test_only_the_latest_stay_and_what_others_keep_is_left_alone(in_blender, folder):
    loads = [(f"copy{number}", source(folder / f"copy{number}.obj")) for number in range(MANY)]
    loads += loads[-4:]
    results = in_blender(LOAD, make=None, loads=loads, limits={"most": 4})["results"]
    first, full, last = (results[number]["memory"] for number in (0, 4, -1))
    assert full == {**first, "meshes": 4, "materials": 1 + 2 * 4, "images": full["images"]}
    assert results[MANY]["memory"] == last == full
    assert [each["pointer"] for each in results[-4:]] == [
        each["pointer"] for each in results[MANY - 3 : MANY + 1]
    ]


def test_many_faces_crowd_out_other_meshes(in_blender, folder):
    loads = [(f"copy{number}", source(folder / f"copy{number}.obj")) for number in range(6)]
    limits = {"most": 100, "most_faces": 3 * 4}
    results = in_blender(LOAD, make=None, loads=loads, limits=limits)["results"]
    assert [each["memory"].get("meshes", 0) for each in results] == [0, 1, 2, 3, 3, 3, 3]
