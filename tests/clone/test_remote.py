"""A clone at a URL: the same files, whole ones only, and a run goes on from what is there."""

import json
import uuid
from pathlib import Path

import fsspec
import pytest
from click.testing import CliRunner
from tiny import KINDS, draw_tiny, read_clone_table, read_rejects

from gendata.cli import main
from gendata.clone import remote, verify_clone
from gendata.clone.remote import staging_folder
from gendata.errors import GendataError
from gendata.images import open_images


@pytest.fixture(autouse=True)
def staging(tmp_path, monkeypatch):
    monkeypatch.setenv("GENDATA_STAGING", str(tmp_path / "staging"))
    monkeypatch.setattr(remote, "PAUSE", 0.01)


@pytest.fixture
def url():
    url = f"memory://{uuid.uuid4().hex}/clone"
    yield url
    fsspec.filesystem("memory").store.clear()


def fetched(url, folder: Path) -> Path:
    files, root = fsspec.core.url_to_fs(url, skip_instance_cache=True)
    files.get(root, str(folder), recursive=True)
    return folder


@pytest.mark.parametrize("kind", KINDS)
def test_clone_at_a_url_is_the_one_of_a_folder(tmp_path, url, kind):
    clone = draw_tiny(url, kind)
    assert len(clone) == 150 and clone[0][0].shape == (3, 12, 12)
    draw_tiny(tmp_path / "one", kind)
    there = fetched(url, tmp_path / "two")
    assert read_clone_table(there).equals(read_clone_table(tmp_path / "one"))
    names = {path.relative_to(tmp_path / "one") for path in (tmp_path / "one").rglob("*.*")}
    assert names == {path.relative_to(there) for path in there.rglob("*.*")}
    for name in names:
        assert (there / name).read_bytes() == (tmp_path / "one" / name).read_bytes()


class Stopped(Exception):
    """What stops a run."""


@pytest.mark.parametrize("kind", KINDS)
def test_stopped_run_goes_on_from_the_store_alone(tmp_path, url, kind, monkeypatch):
    make = KINDS[kind]

    def failing(pause):
        sampler = make(pause)
        draw = sampler.sample

        def sample(labels, seeds):
            if sampler.calls == 15:
                raise Stopped
            return draw(labels, seeds)

        sampler.sample = sample
        return sampler

    monkeypatch.setitem(KINDS, kind, failing)
    with pytest.raises(Stopped):
        draw_tiny(url, kind)
    there = fetched(url, tmp_path / "half")
    done = len(list(there.rglob("*.parquet")))
    assert done and not json.loads((there / "run.json").read_text())["finished"]
    counted = []

    def counting(pause):
        counted.append(make(pause))
        return counted[0]

    monkeypatch.setitem(KINDS, kind, counting)
    (staging_folder(url, None) / "run.json").unlink()  # of no other use: the store is the truth
    assert len(draw_tiny(url, kind)) == 150
    monkeypatch.setitem(KINDS, kind, make)
    draw_tiny(tmp_path / "one", kind)
    there = fetched(url, tmp_path / "two")
    assert read_clone_table(there).equals(read_clone_table(tmp_path / "one"))
    assert read_rejects(there) == read_rejects(tmp_path / "one")
    everything = make(0.0)
    monkeypatch.setitem(KINDS, kind, lambda pause: everything)
    draw_tiny(tmp_path / "all", kind)
    assert counted[0].calls < everything.calls, "nothing was taken from the store"


@pytest.mark.parametrize("kind", KINDS)
def test_jobs_share_a_url(tmp_path, url, kind):
    assert draw_tiny(url, kind, shard=(1, 2)) is None
    assert len(draw_tiny(url, kind, shard=(0, 2))) == 150
    draw_tiny(tmp_path / "one", kind)
    there = fetched(url, tmp_path / "two")
    assert read_clone_table(there).equals(read_clone_table(tmp_path / "one"))
    assert json.loads((there / "run.json").read_text())["finished"]


def test_finished_clone_is_neither_sent_nor_fetched_again(url, monkeypatch):
    draw_tiny(url)
    files = fsspec.filesystem("memory")
    before = {path: files.modified(path) for path in files.find(url)}
    assert len(before) == 11
    fetch, fetched_files = remote.publish, []
    monkeypatch.setattr(
        remote, "publish", lambda *each: fetched_files.append(each) or fetch(*each)
    )
    assert len(draw_tiny(url)) == 150
    assert {path: files.modified(path) for path in files.find(url)} == before
    assert not fetched_files


def test_lost_file_of_the_store_is_sent_again(url):
    draw_tiny(url)
    files = fsspec.filesystem("memory")
    files.rm(f"{url}/shard-00001.parquet")
    draw_tiny(url)
    assert files.exists(f"{url}/shard-00001.parquet")


def test_other_settings_are_refused(url):
    draw_tiny(url)
    with pytest.raises(GendataError, match="seed 3 there, 4 now"):
        draw_tiny(url, seed=4)


def test_something_else_at_the_url_is_refused(url):
    with fsspec.open(f"{url}/notes.txt", "w") as file:
        file.write("mine")
    with pytest.raises(GendataError, match="is not a clone; found notes.txt"):
        draw_tiny(url)


def test_mistakes_are_one_line(tmp_path, monkeypatch):
    with pytest.raises(GendataError, match="no program here reads quantum://clone"):
        draw_tiny("quantum://clone")
    (tmp_path / "file").write_text("x")
    with pytest.raises(GendataError, match="cannot be used; found"):
        draw_tiny(f"file://{tmp_path / 'file' / 'clone'}")
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(GendataError, match="--shard i/n"):
        draw_tiny("memory://clone")


def test_folder_urls(tmp_path):
    draw_tiny(f"file://{tmp_path / 'clone'}")
    draw_tiny(tmp_path / "one")
    assert read_clone_table(tmp_path / "clone").equals(read_clone_table(tmp_path / "one"))


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_jobs_share_a_bucket(tmp_path, bucket, kind):
    url = f"s3://{bucket}/deep/{kind}"
    assert draw_tiny(url, kind, shard=(1, 2)) is None
    assert len(draw_tiny(url, kind, shard=(0, 2))) == 150
    draw_tiny(tmp_path / "one", kind)
    there = fetched(url, tmp_path / "two")
    assert read_clone_table(there).equals(read_clone_table(tmp_path / "one"))
    images, same = open_images(url), open_images(tmp_path / "one")
    assert images.labels.tolist() == same.labels.tolist()
    assert all((images[row][0] == same[row][0]).all() for row in (0, 77, 149))
    assert verify_clone(url, count=0)["problem_count"] == 0
    with pytest.raises(GendataError, match="no images at 's3://.*/nothing'"):
        open_images(f"s3://{bucket}/nothing")
    with pytest.raises(GendataError, match="no images at 's3://there-is-no-such-bucket/clone'"):
        open_images("s3://there-is-no-such-bucket/clone")


@pytest.fixture
def bucket(monkeypatch):
    """A bucket of a server on this machine, where both are installed."""
    pytest.importorskip("s3fs")
    server = pytest.importorskip("moto.server").ThreadedMotoServer("127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    for name, value in {
        "AWS_ACCESS_KEY_ID": "nobody",
        "AWS_SECRET_ACCESS_KEY": "nothing",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
    }.items():
        monkeypatch.setenv(name, value)
    # A client is kept for later use, and would look for the server of an earlier test.
    fsspec.get_filesystem_class("s3").clear_instance_cache()
    name = f"clones-{uuid.uuid4().hex}"  # the server's state outlives it
    fsspec.filesystem("s3", skip_instance_cache=True).mkdir(name)
    yield name
    server.stop()


def test_command_draws_into_a_url(url):
    words = ["sample", "embedded:fashion-gan", "--per-class", "2", "--batch-size", "10"]
    words += ["--out", url, "--device", "cpu", "--shard-size", "10"]
    assert f"into {url}: 2 of each" in invoke(*words, "--dry-run").stdout
    result = invoke(*words, "--json")
    assert result.exit_code == 0, result.stderr
    report = json.loads(result.stdout)
    assert report["out"] == url and report["accepted"] == 20
    assert fsspec.filesystem("memory").exists(f"{url}/README.md")
    refused = invoke(*words, "--cluster", "ray")
    assert refused.exit_code == 2 and "share a folder" in refused.stderr


def invoke(*words):
    return CliRunner().invoke(main, words)
