"""Sets of files of a factor."""

import hashlib
import os

import numpy as np
import pytest

from gendata.errors import GendataError
from gendata.render.factor_files import BLENDER_MAPS, FileSet, read_files

TEXTURES = "material.texture.files"
MAPS = "environment.files"


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "wood").mkdir()
    for name in ("b.png", "a.JPG", "notes.txt", ".hidden.png", "wood/oak.png"):
        (tmp_path / name).write_bytes(name.encode())
    return tmp_path


def test_a_folder_is_searched_to_its_depth(folder):
    found = read_files(".", TEXTURES, TEXTURES, folder)
    assert found.names == ("a.JPG", "b.png", "wood/oak.png")
    assert found.paths == tuple(str(folder / name) for name in found.names)


def test_a_list_of_folders_and_files(folder):
    found = read_files([str(folder / "wood"), "b.png"], TEXTURES, TEXTURES, folder)
    assert found.names == ("oak.png", "b.png")


def test_files_of_one_name_are_told_apart(folder):
    (folder / "stone").mkdir()
    (folder / "stone" / "oak.png").write_bytes(b"stone")
    wood, stone = str(folder / "wood"), str(folder / "stone")
    found = read_files([wood, stone, wood], TEXTURES, TEXTURES, folder)
    assert found.names == ("oak.png", "oak.png (2)", "oak.png")
    assert found.path("oak.png") == f"{wood}/oak.png"
    assert found.path("oak.png (2)") == f"{stone}/oak.png"
    assert found.path("/elsewhere/oak.png") == "/elsewhere/oak.png"


def test_no_files():
    assert read_files(None, MAPS, MAPS, os.curdir) == FileSet()
    assert FileSet().sample(np.random.default_rng(0)) is None


def test_maps_of_blender():
    every = read_files("blender", MAPS, MAPS, os.curdir)
    assert every.paths == tuple(f"blender:{name}.exr" for name in BLENDER_MAPS)
    some = read_files(["blender:forest", "blender:city.exr"], MAPS, MAPS, os.curdir)
    assert some.identity() == [["blender:forest.exr", None], ["blender:city.exr", None]]
    assert some.settings() == ["blender:forest", "blender:city.exr"]


def test_identity_is_names_and_contents_not_places(folder, tmp_path_factory):
    before = read_files(".", TEXTURES, TEXTURES, folder).identity()
    assert before[0] == ["a.JPG", hashlib.sha256(b"a.JPG").hexdigest()]
    moved = tmp_path_factory.mktemp("moved") / "elsewhere"
    folder.rename(moved)
    assert read_files(".", TEXTURES, TEXTURES, moved).identity() == before
    (moved / "b.png").write_bytes(b"another")
    assert read_files(".", TEXTURES, TEXTURES, moved).identity() != before


def test_every_file_is_as_likely(folder):
    files = read_files(".", TEXTURES, TEXTURES, folder)
    generator = np.random.Generator(np.random.PCG64(0))
    drawn = [files.sample(generator) for _ in range(900)]
    counts = [drawn.count(name) for name in files.names]
    assert sum(counts) == 900
    assert min(counts) > 250


@pytest.mark.parametrize(
    ("written", "factor", "message"),
    [
        ("absent", TEXTURES, "not there"),
        ("notes.txt", TEXTURES, "another type"),
        ("b.png", MAPS, "another type"),
        ("wood", MAPS, "without such files"),
        ([], TEXTURES, "a folder, a file"),
        (3, TEXTURES, "a folder, a file"),
        (["b.png", 3], TEXTURES, "a folder, a file"),
        ("blender", TEXTURES, "not there"),
        ("blender:desert", MAPS, "city, courtyard"),
    ],
)
def test_errors(folder, written, factor, message):
    with pytest.raises(GendataError, match=message):
        read_files(written, factor, f"{factor} in my.yaml", folder)
