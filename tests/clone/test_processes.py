"""Processes, jobs and kills change nothing."""

import multiprocessing
import random
import signal
import time

import pytest
from tiny import draw_tiny, draw_tiny_quietly, read_clone_table, read_rejects

# A clean server imports torch once and forks the processes; nothing of pytest is in them.
context = multiprocessing.get_context("forkserver")
context.set_forkserver_preload(["gendata.clone", "gendata.images.open", "pandas"])
KINDS = ("conditional", "unconditional")


@pytest.fixture(scope="module", params=KINDS)
def reference(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("reference") / "clone"
    draw_tiny(folder, request.param)
    return request.param, read_clone_table(folder), read_rejects(folder)


def start(*arguments, **settings):
    process = context.Process(target=draw_tiny_quietly, args=arguments, kwargs=settings)
    process.start()
    return process


def assert_same(folder, reference):
    assert read_clone_table(folder).equals(reference[1])
    assert read_rejects(folder) == reference[2]
    assert not list(folder.rglob(".*")), "temporary files stay"


@pytest.mark.parametrize(("world", "shard_size"), [(1, 9), (2, 20), (3, 7), (3, 1000)])
def test_ranks_draw_the_clone_that_one_process_draws(tmp_path, reference, world, shard_size):
    folder = tmp_path / "clone"
    ranks = [
        start(folder, reference[0], rank=(rank, world), shard_size=shard_size, pause=0.005)
        for rank in range(world)
    ]
    for rank in ranks:
        rank.join(60)
    codes = [rank.exitcode for rank in ranks]
    for rank in ranks:
        rank.kill()
    assert codes == [0] * world
    assert_same(folder, reference)


def test_jobs_at_any_time_draw_their_shares(tmp_path, reference):
    folder = tmp_path / "clone"
    assert draw_tiny(folder, reference[0], shard=(1, 3)) is None
    assert not (folder / "README.md").exists()
    assert draw_tiny(folder, reference[0], shard=(0, 3)) is None
    clone = draw_tiny(folder, reference[0], shard=(2, 3))
    assert clone is not None and len(clone) == 150
    assert_same(folder, reference)


@pytest.mark.parametrize("seed", [0, 1])
def test_killed_runs_continue_to_the_same_clone(tmp_path, reference, seed):
    folder, moments = tmp_path / "clone", random.Random(seed)
    for files in sorted(moments.sample(range(13), 3)):
        process = start(folder, reference[0], pause=0.02, shard_size=9)
        deadline = time.monotonic() + 60
        while len(list(folder.rglob("*.parquet"))) < files or not (folder / "run.json").exists():
            assert process.is_alive() and time.monotonic() < deadline
            time.sleep(0.002)
        time.sleep(moments.uniform(0, 0.03))  # within a batch, or while a file is written
        process.kill()
        process.join(60)
        assert process.exitcode == -signal.SIGKILL, "the run finished before it was killed"
        assert not (folder / "README.md").exists()
    draw_tiny(folder, reference[0], shard_size=9)
    assert_same(folder, reference)


def test_finished_clone_is_not_drawn_again(tmp_path):
    draw_tiny(tmp_path / "clone")
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "clone").iterdir()}
    draw_tiny(tmp_path / "clone")
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "clone").iterdir()} == before


def test_lost_shard_is_drawn_again(tmp_path, reference):
    folder = tmp_path / "clone"
    draw_tiny(folder, reference[0])
    (folder / "shard-00001.parquet").unlink()
    draw_tiny(folder, reference[0])
    assert_same(folder, reference)
