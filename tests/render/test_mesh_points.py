"""Vertices that are no numbers are found where Blender's importers would hide them."""

import object_files as written
import pytest

from gendata.render.mesh_points import count_not_finite

NAMES = ["hand.ply", "binary.ply", "hand.gltf", "hand.glb"]


def kept(folder, name, content):
    path = folder / name
    path.write_bytes(content)
    return str(path), name.rpartition(".")[2]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("bad", ["nan", "inf", "-inf"])
def test_vertices_that_are_not_finite_are_counted(tmp_path, name, bad):
    whole = written.WRITERS[name]()
    assert count_not_finite(*kept(tmp_path, name, whole)) == 0
    corners = [*written.CORNERS[:2], (0.0, float(bad), float(bad)), (float(bad), 0.0, 3.0)]
    assert count_not_finite(*kept(tmp_path, name, written.WRITERS[name](corners=corners))) == 2


def test_vertices_with_other_fields_are_counted(tmp_path):
    text = written.PLY.format(form="ascii", points=2, faces=0)
    text = text.replace("property float x", "property uchar red\nproperty double x")
    path = kept(tmp_path, "a.ply", (text + "255 0 0 0\n0 1 nan 2\n").encode())
    assert count_not_finite(*path) == 1


@pytest.mark.parametrize("name", NAMES)
def test_files_that_are_cut_off_are_left_to_the_importer(tmp_path, name):
    content = written.WRITERS[name]()
    for size in range(0, len(content), 13):
        assert count_not_finite(*kept(tmp_path, name, content[:size])) == 0


def test_other_files_are_not_looked_at(tmp_path):
    assert count_not_finite(str(tmp_path / "not there.obj"), "obj") == 0
