"""Image sets at URLs: no more is fetched than is asked for, and mistakes are one line."""

import pickle
import sys
import uuid
from pathlib import Path

import fsspec
import pytest
import torch
from click.testing import CliRunner
from fsspec.implementations.memory import MemoryFile, MemoryFileSystem
from fsspec.registry import _registry
from tiny import draw_tiny, read_clone_table

from gendata.cli import main
from gendata.clone import filter_clone, verify_clone
from gendata.errors import GendataError
from gendata.images import open_images
from gendata.images.places import RemotePath, is_url, place_of


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A finished clone of 150 images with a filter, in shards of 20 or so."""
    folder = tmp_path_factory.mktemp("clones") / "clone"
    draw_tiny(folder)
    return folder


@pytest.fixture
def url(folder):
    url = f"memory://{uuid.uuid4().hex}/deep/clone"
    fsspec.filesystem("memory").put(str(folder), url, recursive=True)
    yield url
    fsspec.filesystem("memory").store.clear()


def assert_same(one, two):
    assert one.classes == two.classes and one.labels.tolist() == two.labels.tolist()
    for row in (0, 149, 70):
        assert torch.equal(one[row][0], two[row][0])


@pytest.mark.parametrize(
    "reference", ["{}", "clone:{}", "parquet:{}", "{}/", "{}?unfinished=true"]
)
def test_a_clone_is_opened_at_its_url(folder, url, reference):
    images = open_images(reference.format(url))
    assert len(images) == 150
    assert_same(images, open_images(folder))


def test_a_file_url_is_a_path(folder):
    assert place_of(f"file://{folder}") == folder
    assert_same(open_images(f"file://{folder}"), open_images(folder))


def test_one_file_of_a_store_is_opened(folder, url):
    name = sorted(folder.glob("shard-*"))[1].name
    images, same = open_images(f"{url}/{name}"), open_images(folder / name)
    assert images.labels.tolist() == same.labels.tolist()
    assert torch.equal(images[3][0], same[3][0])


def test_an_open_set_goes_to_another_process(folder, url):
    images = open_images(url)
    images[0]
    assert_same(pickle.loads(pickle.dumps(images)), open_images(folder))


def test_an_image_costs_its_row_group(folder, url, monkeypatch):
    fetched = []
    read = MemoryFile.read
    monkeypatch.setattr(
        MemoryFile, "read", lambda self, size=-1: fetched.append(size) or read(self, size)
    )
    whole = sum(path.stat().st_size for path in folder.glob("shard-*"))
    shards = len(list(folder.glob("shard-*")))
    images = open_images(url)
    opened = sum(fetched)
    assert -1 not in fetched, "a whole file was asked for"
    fetched.clear()
    images[149]
    assert 0 < sum(fetched) <= whole / shards * 2.5  # footer and images of one small file
    fetched.clear()
    images[148]
    assert not fetched, "a row group was read twice"
    assert opened < 2.5 * whole  # files this small are mostly footer


def test_verify_and_filter_read_a_store(folder, url, tmp_path):
    assert verify_clone(url, count=0) == verify_clone(folder, count=0)
    result = CliRunner().invoke(main, ["verify", url, "--count", "0"])
    assert result.exit_code == 0 and result.stdout.startswith(f"{url}: 150 rows, 0 problems")
    filter_clone(folder, 0.9, tmp_path / "one")
    words = ["filter", f"clone:{url}", "--threshold", "0.9", "--out", str(tmp_path / "two")]
    result = CliRunner().invoke(main, words)
    assert result.exit_code == 0, result.stderr
    assert read_clone_table(tmp_path / "one").equals(read_clone_table(tmp_path / "two"))


def test_damage_at_a_url_is_found(folder, url):
    files = fsspec.filesystem("memory")
    names = sorted(path.name for path in folder.glob("shard-*"))
    files.rm(f"{url}/{names[0]}")
    files.pipe_file(f"{url}/{names[1]}", b"PAR1 and no more")
    problems = verify_clone(url, count=0)["problems"]
    assert f"{names[0]} is missing" in problems
    assert any(each.startswith(f"{names[1]} is damaged") for each in problems)
    with pytest.raises(GendataError, match=f"nothing is at .*{names[0]}"):
        filter_clone(place_of(url), 0.9, folder.parent / "damaged")
    files.put(str(folder / names[0]), f"{url}/{names[0]}")
    with pytest.raises(GendataError, match=f"{names[1]} cannot be read.*gendata verify"):
        filter_clone(place_of(url), 0.9, folder.parent / "damaged")


def test_other_commands_take_a_url(url, tmp_path):
    words = ["export", url, "--out", str(tmp_path / "files")]
    assert CliRunner().invoke(main, words).exit_code == 0
    assert len(list((tmp_path / "files").rglob("*.png"))) == 150
    words = ["train", "--synthetic", url, "--test", f"{url}?unfinished=true", "--epochs", "1"]
    result = CliRunner().invoke(main, [*words, "--device", "cpu", "--out", str(tmp_path / "run")])
    assert result.exit_code == 0, result.stderr


@pytest.mark.parametrize(
    ("reference", "words"),
    [
        ("quantum://clone", "no program here reads quantum://clone; found Protocol not known"),
        ("memory://nowhere/clone", "no images at 'memory://nowhere/clone'; .*check the URL"),
        ("clone:memory://nowhere/clone", "no images at 'memory://nowhere/clone'"),
        ("imagefolder:memory://x", "'imagefolder' is not read from URLs; .*clone or parquet"),
    ],
)
def test_mistakes_are_one_line(reference, words):
    with pytest.raises(GendataError, match=words) as error:
        open_images(reference)
    assert "\n" not in str(error.value)


def test_a_missing_client_names_its_package(monkeypatch):
    monkeypatch.setitem(sys.modules, "s3fs", None)
    monkeypatch.delitem(_registry, "s3", raising=False)  # an earlier test may have found it
    with pytest.raises(GendataError, match="no program here reads s3://bucket/c; .*s3fs"):
        open_images("s3://bucket/c")


def test_places_of_other_things(url):
    files = fsspec.filesystem("memory")
    files.pipe_file(f"{url}-notes/notes.txt", b"mine")
    with pytest.raises(GendataError, match="no image set .*; found notes.txt; expected a clone"):
        open_images(f"{url}-notes")
    with pytest.raises(GendataError, match="notes.txt' cannot be read; .*whole parquet file"):
        open_images(f"{url}-notes/notes.txt")
    with pytest.raises(GendataError, match="is not a clone"):
        verify_clone(f"{url}-notes")


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (PermissionError("Forbidden"), "may not be read; found Forbidden; .*credentials"),
        (RuntimeError("no\nroute"), "cannot be read; found RuntimeError: no route; .*connection"),
    ],
)
@pytest.mark.parametrize("operation", ["info", "open", "find"])
def test_what_a_client_says_is_one_line(url, monkeypatch, error, words, operation):
    def refuse(*_, **__):
        raise error

    monkeypatch.setattr(MemoryFileSystem, operation, refuse)
    with pytest.raises(GendataError, match=words) as caught:
        open_images(f"parquet:{url}")
    assert "\n" not in str(caught.value)


def test_a_store_that_is_lost_is_no_damaged_image(url, monkeypatch):
    images = open_images(url)

    def refuse(*_, **__):
        raise OSError("connection reset")

    monkeypatch.setattr(MemoryFile, "read", refuse)
    with pytest.raises(GendataError, match="cannot be read; found OSError: connection reset"):
        images[0]


def test_an_unfinished_clone_is_refused(url):
    files = fsspec.filesystem("memory")
    text = files.cat_file(f"{url}/run.json").decode()
    files.pipe_file(
        f"{url}/run.json", text.replace('"finished": true', '"finished": false').encode()
    )
    with pytest.raises(GendataError, match="is unfinished; .*clone:memory://"):
        open_images(url)
    assert len(open_images(f"clone:{url}?unfinished=true")) == 150


def test_large_sets_are_copied_once(folder, url, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr("gendata.images.parquet.HELD_BYTES", 10)
    assert_same(open_images(url), open_images(folder))
    copies = list((tmp_path / ".cache/gendata/flat").iterdir())
    assert len(copies) == 2
    open_images(url)
    assert sorted(copies) == sorted((tmp_path / ".cache/gendata/flat").iterdir())


def test_paths_in_chained_urls():
    place = RemotePath("zip://a/b::s3://bucket/x.zip") / "c.parquet"
    assert str(place) == "zip://a/b/c.parquet::s3://bucket/x.zip"
    assert place.name == "c.parquet" and place.parent.name == "b"


def test_what_is_a_url():
    assert is_url("s3://bucket/clone") and is_url("memory://clone")
    assert not any(map(is_url, ("clone", "/tmp/a://b", "c:\\clone", Path("s3://x"))))
