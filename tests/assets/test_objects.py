"""The embedded objects: which there are, whose they are, and that they are small."""

import re
from pathlib import Path

import pytest

from gendata.assets import asset_card, asset_folder
from gendata.assets.recipes.objects import only_parts
from gendata.assets.recipes.objects_chosen import ARCHIVES, CHOSEN
from gendata.render.mesh_files import check_mesh_file
from gendata.render.objects import open_objects

CLASSES = "aeroplane bicycle bus car horse knife motorcycle person plant skateboard train truck"
ROW = re.compile(r"\| (\w+/\w+) \| ([^|]+) \| ([^|]+) \| ([^|]+) \| ([^|]+) \|")


@pytest.fixture(scope="module")
def library():
    return open_objects("embedded")


def test_the_classes_and_their_objects_are_those_of_the_card(library):
    assert library.classes == tuple(CLASSES.split())
    counts = {name: len(library.objects(row)) for row, name in enumerate(library.classes)}
    assert counts == asset_card("objects")["figures"]["objects per class"]
    assert set(library.sources) == {f"{each.label}/{each.name}" for each in CHOSEN}


def test_every_file_is_on_the_card_and_all_are_small(library):
    folder = asset_folder("objects")
    there = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert there == {*asset_card("objects")["files"], "ATTRIBUTION.md", "card.json"}
    assert sum((folder / name).stat().st_size for name in there) <= 8e6
    for source in library.sources.values():
        check_mesh_file(source.path, source.kind, most_faces=4000)


def test_every_object_has_an_author_and_free_terms(library):
    text = (asset_folder("objects") / "ATTRIBUTION.md").read_text(encoding="utf-8")
    rows = {key: rest for key, *rest in ROW.findall(text)}
    assert set(rows) == set(library.sources)
    for each in CHOSEN:
        title, author, licence, source = rows[f"{each.label}/{each.name}"]
        assert licence == ARCHIVES[each.archive].licence and licence.startswith(("CC0", "CC-BY"))
        assert title and author and source
    for licence in {ARCHIVES[each.archive].licence for each in CHOSEN}:
        assert licence in asset_card("objects")["licence"]


def test_files_name_no_folder_of_the_machine_that_made_them(library):
    for source in library.sources.values():
        content = Path(source.path).read_bytes()
        assert not re.search(rb"(/home|/tmp|/work|/root|/usr)/", content), source.path


def test_parts_of_a_model_keep_their_vertices():
    text = (
        "o one\nv 0 0 0\nf 1 1 1\no two\nv 1 1 1\nusemtl red\nf 2 2 2\nf 1 2 2\no three\nf 1 2 1\n"
    )
    kept = only_parts(text, ("two",)).splitlines()
    assert [line for line in kept if line[0] == "f"] == ["f 2 2 2", "f 1 2 2"]
    assert [line for line in kept if line[0] == "v"] == ["v 0 0 0", "v 1 1 1"]
