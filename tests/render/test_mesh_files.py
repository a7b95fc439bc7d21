"""Files of objects before Blender sees them: damage is named, and .off is read."""

import json

import numpy as np
import object_files as written
import pytest

from gendata.render.mesh_files import (
    BadFile,
    announced_faces,
    check_mesh_file,
    obj_libraries,
    read_off,
)

JUNK = bytes(range(1, 256)) * 4


def kept(folder, name, content):
    path = folder / name
    path.write_bytes(content)
    return str(path), name.rpartition(".")[2]


@pytest.mark.parametrize("name", written.WRITERS)
def test_whole_files_pass_and_announce_their_faces(tmp_path, name):
    path, kind = kept(tmp_path, name, written.WRITERS[name]())
    check_mesh_file(path, kind, most_faces=4)
    assert announced_faces(path, kind) == 4
    with pytest.raises(BadFile, match="4 faces, more than the 3 allowed"):
        check_mesh_file(path, kind, most_faces=3)


@pytest.mark.parametrize("name", written.WRITERS)
def test_files_without_faces_are_told(tmp_path, name):
    path, kind = kept(tmp_path, name, written.WRITERS[name](faces=[]))
    with pytest.raises(BadFile, match="no faces|neither"):
        check_mesh_file(path, kind, most_faces=4)


@pytest.mark.parametrize("kind", ["obj", "glb", "gltf", "ply", "stl", "fbx", "blend", "off"])
def test_missing_empty_and_foreign_files_are_told(tmp_path, kind):
    with pytest.raises(BadFile, match="cannot be read: No such file"):
        check_mesh_file(str(tmp_path / f"gone.{kind}"), kind, 10)
    with pytest.raises(BadFile, match="the file is empty"):
        check_mesh_file(*kept(tmp_path, f"empty.{kind}", b""), 10)
    with pytest.raises(BadFile, match="does not|not glTF|neither|no faces"):
        check_mesh_file(*kept(tmp_path, f"junk.{kind}", JUNK), 10)


@pytest.mark.parametrize("name", ["hand.glb", "hand.stl", "hand.gltf"])
def test_files_that_are_cut_off_are_told(tmp_path, name):
    content = written.WRITERS[name]()
    with pytest.raises(BadFile, match="cut off|not glTF"):
        check_mesh_file(*kept(tmp_path, name, content[: len(content) * 3 // 4]), 10)


def test_text_stl_and_ply_files_that_are_cut_off_are_told(tmp_path):
    corners = b"vertex 0 0 0\nvertex 1 0 0\nvertex 0 1 0\n"
    facet = b"facet normal 0 0 1\nouter loop\n" + corners + b"endloop\nendfacet\n"
    text = b"solid a\n" + 3 * facet
    for whole in (text, text.replace(b"facet normal", b"facet  normal")):
        check_mesh_file(*kept(tmp_path, "hand.stl", whole + b"endsolid a\n"), 10)
    with pytest.raises(BadFile, match="cut off: 2 of 3 faces are whole"):
        check_mesh_file(*kept(tmp_path, "hand.stl", text[:-10]), 10)
    with pytest.raises(BadFile, match="cut off: 3 of 3"):
        check_mesh_file(*kept(tmp_path, "hand.stl", text), 10)
    header = b"ply\nformat ascii 1.0\nelement vertex 99999999999\nelement face 1\nend_header\n"
    with pytest.raises(BadFile, match="cut off: .* with 99999999999 vertices"):
        check_mesh_file(*kept(tmp_path, "hand.ply", header), 10)


@pytest.mark.parametrize("tail", ["f 1 2", "f", "v 0.5 1", "vt"])
def test_an_obj_file_that_ends_within_a_line_is_cut_off(tmp_path, tail):
    content = written.obj() + tail.encode()
    with pytest.raises(BadFile, match=f"cut off: its last line is '{tail}'"):
        check_mesh_file(*kept(tmp_path, "hand.obj", content), 100)
    for whole in (b"f 1 2 3", b"s off", b"# f", b"", b"vt 0.5"):
        check_mesh_file(*kept(tmp_path, "hand.obj", written.obj() + whole), 100)


def test_missing_data_of_gltf_is_named(tmp_path):
    content = json.loads(written.gltf())
    content["buffers"][0]["uri"] = "far%20away.bin"
    path = kept(tmp_path, "hand.gltf", json.dumps(content).encode())
    with pytest.raises(BadFile, match="'far%20away.bin' is missing"):
        check_mesh_file(*path, 10)
    (tmp_path / "far away.bin").write_bytes(b"\0")
    check_mesh_file(*path, 10)


def test_faces_and_libraries_of_obj_files_are_found_across_pieces(tmp_path, monkeypatch):
    monkeypatch.setattr("gendata.render.mesh_files.CHUNK", 7)
    content = written.obj(head="mtllib here.mtl\nmtllib not here.mtl\r\n# f 1 2 3\n")
    path, kind = kept(tmp_path, "hand.obj", content.replace(b"f 1 2", b"  f\t1 2"))
    (tmp_path / "here.mtl").touch()
    assert announced_faces(path, kind) == 4
    assert obj_libraries(tmp_path / "hand.obj") == ["not here.mtl"]


@pytest.mark.parametrize("head", ["OFF\n", "OFF", "# made by hand\nOFF # so\n\n", "COFF\n"])
def test_off_is_read(tmp_path, head):
    faces = [(0, 2, 1), (0, 1, 3), (0, 3, 2, 1)]
    path, _ = kept(tmp_path, "hand.off", written.off(faces=faces, head=head))
    vertices, corners, counts = read_off(path)
    assert vertices.tolist() == [list(each) for each in written.CORNERS]
    assert corners.tolist() == [0, 2, 1, 0, 1, 3, 0, 3, 2, 1]
    assert counts.tolist() == [3, 3, 4]


def test_colours_in_off_are_left_out(tmp_path):
    text = (
        "COFF\n3 1 0\n0 0 0 255 0 0 255\n1 0 0 1 1 1 1\n0 1e-2 -3 0 0 0 0\n3 0 1 2 0.5 0.5 0.5\n"
    )
    vertices, corners, counts = read_off(kept(tmp_path, "a.off", text.encode())[0])
    assert np.array_equal(vertices, [[0, 0, 0], [1, 0, 0], [0, 0.01, -3]])
    assert corners.tolist() == [0, 1, 2] and counts.tolist() == [3]


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (written.off(faces=[(0, 1, 4)]), "1 corners of faces refer to vertices out of range"),
        (written.off(faces=[(0, 1, -1)]), "out of range"),
        (written.off(faces=[(0, 1)]), "fewer than three corners"),
        (written.off()[:-8], "cut off: 7 of 8 lines"),
        (b"OFF\n1 1 0\n0 0 zero\n3 0 0 0\n", "numbers"),
        (b"OFF\n1 1 0\n0 0\n3 0 0 0\n", "three coordinates"),
        (b"OFF\n1 1 0\n0 0 0\n3 0 0\n", "fewer corners than it says"),
        (b"OFF\nmany\n", "how many vertices"),
        (b"OFF BINARY\n", "text .off"),
        (b"OFFICE\n1 1 0\n", "does not begin"),
    ],
)
def test_damaged_off_is_told(tmp_path, content, why):
    with pytest.raises(BadFile, match=why):
        read_off(kept(tmp_path, "a.off", content)[0])
