"""The embedded objects inside Blender: each loads without a note, and stands upright."""

from dataclasses import asdict

import pytest

from gendata.render.mesh_files import announced_faces
from gendata.render.objects import open_objects

pytestmark = pytest.mark.blender

LOAD = """
from gendata.render.worker.mesh import Meshes
for key, loaded in Meshes().get_all(dict(inputs["sources"])).items():
    points = np.array([vertex.co for vertex in loaded.mesh.vertices])
    sides = (points.max(0) - points.min(0)).tolist()
    found[key] = [len(loaded.mesh.polygons), len(loaded.mesh.materials), loaded.notes, sides]
"""
LONG = ("car/", "bus/", "truck/", "train/toy", "skateboard/", "bicycle/", "horse/", "aeroplane/")


def test_every_object_loads_upright_and_without_notes(in_blender):
    library = open_objects("embedded")
    sources = [(key, asdict(source)) for key, source in library.sources.items()]
    found = in_blender(LOAD, sources=sources)
    assert set(found) == set(library.sources)
    for key, (faces, materials, notes, (x, y, z)) in found.items():
        assert 100 < faces <= announced_faces(library.file(key).path, "glb"), key
        assert materials > 0 and notes == [], key
        assert x * x + y * y + z * z == pytest.approx(1, abs=1e-3), key
        if key.startswith("person/"):
            assert z > 2 * max(x, y), f"{key} stands"
        if key.startswith(LONG):
            assert max(x, y) > z, f"{key} is longer than high"
