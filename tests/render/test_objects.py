"""Libraries of objects: every layout is recognised, mistakes are named, contents identify."""

import dataclasses
import json

import object_files as written
import pytest

from gendata.errors import GendataError
from gendata.render.mesh_files import BadFile, check_mesh_file
from gendata.render.objects import KINDS, open_objects
from gendata.render.shapenet import SYNSETS


@pytest.fixture
def folder(tmp_path):
    """Class folders, with what lies about in such folders."""
    fill(tmp_path / "things", ["car/b.OBJ", "car/a.glb", "bus/old/scene.gltf", "bus/x.y.stl"])
    for name in ("car/b.mtl", "car/.hidden.obj", "bus/old/wood.png", ".git/c.obj", "readme.txt"):
        path = tmp_path / "things" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(name)
    return tmp_path / "things"


def fill(folder, names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(written.obj())


def test_class_folders(folder):
    library = open_objects(folder)
    assert library.classes == ("bus", "car") and len(library) == 4
    assert library.objects(0) == ("bus/old/scene", "bus/x.y")
    assert library.objects(1) == ("car/a", "car/b")
    source = library.file("car/b")
    assert source.path == str(folder / "car/b.OBJ") and source.kind == "obj"
    assert source.size == len(written.obj())
    json.dumps(dataclasses.asdict(source))


def test_a_link_to_nowhere_is_an_object_that_cannot_be_read(folder):
    (folder / "car" / "gone.obj").symlink_to(folder / "nowhere.obj")
    library = open_objects(folder)
    source = library.file("car/gone")
    assert source.size == 0
    (folder / "car" / "README").symlink_to(folder / "nowhere")
    assert len(open_objects(folder).digest) == 64
    with pytest.raises(BadFile, match="cannot be read: No such file"):
        check_mesh_file(source.path, source.kind, 100)


def test_an_object_in_several_types_of_files_is_one(folder):
    fill(folder, ["car/a.obj", "car/a.stl", "bus/x.y.ply"])
    library = open_objects(folder)
    assert library.objects(1) == ("car/a", "car/b")
    assert library.file("car/a").kind == "glb"
    assert library.file("bus/x.y").kind == "ply"


def test_the_axis_that_points_up(folder):
    fill(folder, [f"all/{kind}.{kind}" for kind in KINDS])
    by_custom = {kind: open_objects(folder).file(f"all/{kind}").up for kind in KINDS}
    assert by_custom == {**dict.fromkeys(KINDS, "z"), "obj": "y"}
    chosen = {kind: open_objects(folder, up="y").file(f"all/{kind}").up for kind in KINDS}
    assert [kind for kind in KINDS if chosen[kind] == "y"] == ["obj", "ply", "stl", "off"]
    with pytest.raises(GendataError, match="found x; expected y or z"):
        open_objects(folder, up="x")


def test_shapenet(tmp_path):
    fill(tmp_path, ["02958343/m2/models/model_normalized.obj", "02958343/m1/model.obj"])
    fill(tmp_path, ["02691156/m3/models/model_normalized.obj", "02691156/m4/other.obj"])
    (tmp_path / "taxonomy.json").write_text("[]")
    library = open_objects(tmp_path)
    assert library.classes == ("airplane", "car")
    assert library.objects(0) == ("airplane/m3",) and library.objects(1) == ("car/m1", "car/m2")
    assert library.file("car/m2").path.endswith("m2/models/model_normalized.obj")
    assert library.file("car/m2").up == "y"


def test_own_objects_stand_beside_those_of_shapenet(tmp_path):
    fill(tmp_path, ["02958343/m1/model.obj", "00017222/fern.glb", "04490091/old/van.obj"])
    library = open_objects(tmp_path)
    assert library.classes == ("car", "plant", "truck")
    assert [library.objects(row) for row in range(3)] == [
        ("car/m1",),
        ("plant/fern",),
        ("truck/old/van",),
    ]


def test_shapenet_names():
    assert len(SYNSETS) == 59 and len(set(SYNSETS.values())) == 59
    assert all(len(number) == 8 and number.isdigit() for number in SYNSETS)
    assert SYNSETS["03790512"] == "motorbike" and SYNSETS["04225987"] == "skateboard"


def test_modelnet_and_its_splits(tmp_path):
    names = ["chair/train/chair_0001.off", "chair/test/chair_0002.off", "sofa/train/s.off"]
    fill(tmp_path, [*names, "sofa/test/t.off"])
    assert open_objects(tmp_path).objects(0) == ("chair/test/chair_0002", "chair/train/chair_0001")
    assert open_objects(f"{tmp_path}:train").objects(0) == ("chair/train/chair_0001",)
    assert open_objects(f"{tmp_path}:test").objects(1) == ("sofa/test/t",)
    digests = {open_objects(f"{tmp_path}{split}").digest for split in ("", ":train", ":test")}
    assert len(digests) == 3, "another split is another library"
    (tmp_path / "sofa/test/t.off").unlink()
    with pytest.raises(GendataError, match="sofa' holds no objects of 'test'"):
        open_objects(f"{tmp_path}:test")


def test_an_empty_class_is_named(folder):
    (folder / "train").mkdir()
    with pytest.raises(GendataError, match="train' holds no objects; found no files"):
        open_objects(folder)
    (folder / "train" / "a.dae").write_text("no")
    with pytest.raises(GendataError, match="found 1 of .dae; expected files of glb, gltf, obj"):
        open_objects(folder)


def test_mistakes_are_told(folder, tmp_path):
    with pytest.raises(GendataError, match="no objects at .*found no such folder.*or embedded"):
        open_objects(tmp_path / "gone")
    with pytest.raises(GendataError, match="found a file"):
        open_objects(folder / "readme.txt")
    with pytest.raises(GendataError, match="no class folders; found 2 objects directly in it"):
        open_objects(folder / "car")
    fill(folder, ["car/b.obj"])
    with pytest.raises(GendataError, match="two files hold the object 'car/b'"):
        open_objects(folder)
    fill(tmp_path / "both", ["02691156/a.glb", "airplane/b.glb"])
    with pytest.raises(GendataError, match="one class; found 02691156 and airplane; merge them"):
        open_objects(tmp_path / "both")


def test_unknown_names_list_close_ones(folder):
    library = open_objects(folder)
    with pytest.raises(GendataError, match="no object 'car/bb'; did you mean car/b"):
        library.file("car/bb")


@pytest.mark.parametrize(
    "name", ["car/a.glb", "car/b.mtl", "bus/old/wood.png", "bus/x.y.stl", "car/new.txt"]
)
def test_the_digest_sees_every_file_of_the_classes(folder, name):
    before = open_objects(folder).digest
    path = folder / name
    path.write_bytes(bytes(path.stat().st_size) if path.exists() else b"")
    assert open_objects(folder).digest != before


def test_the_digest_sees_no_more_than_that(folder, tmp_path):
    before = open_objects(folder).digest
    (folder / "readme.txt").write_text("changed")
    (folder / "car/.hidden.obj").write_text("changed")
    assert open_objects(folder.rename(tmp_path / "elsewhere")).digest == before


def test_large_libraries_are_known_by_names_and_sizes(folder, monkeypatch):
    whole = open_objects(folder).digest
    monkeypatch.setattr("gendata.render.objects.READ_WHOLE", 100)
    before = open_objects(folder).digest
    (folder / "car/a.glb").write_bytes(bytes(len(written.obj())))
    assert open_objects(folder).digest == before != whole
    (folder / "car/a.glb").write_bytes(b"another size")
    assert open_objects(folder).digest != before


def test_settings_hold_what_images_depend_on(folder):
    library = open_objects(folder, up="z", most_faces=7)
    assert library.settings() == {
        "digest": library.digest,
        "classes": ["bus", "car"],
        "up": {"glb": "z", "gltf": "z", "obj": "z", "stl": "z"},
        "most_faces": 7,
    }
    assert {source.most_faces for source in library.sources.values()} == {7}
