"""With Blender itself: the same bytes whatever happens to the processes."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner
from PIL import Image
from tiny import read_clone_table

import gendata
from gendata.cli import main
from gendata.render.blender import find_blender
from gendata.render.pool import Pool

pytestmark = [pytest.mark.blender, pytest.mark.slow]

SEEDS = torch.arange(10) * 7_000_003 + 1
LABELS = torch.tensor([3, 4] * 5)
SMALLEST = {"workers": 1, "resolution": 8, "samples": 1, "denoiser": "none", "labels": ""}
WRAPPER = """#!/bin/sh
[ "$1" = --version ] && echo "Blender {version}" && exit
while [ $# -gt 2 ]; do shift; done
{python} -c "$2"  # not exec: the worker is a child of this shell
"""


@pytest.fixture(autouse=True)
def use_blender(blender, monkeypatch):
    monkeypatch.setenv("GENDATA_BLENDER", blender)


def load(**options):
    options = {"resolution": 24, "workers": 2, "labels": "mask,depth,normal,box,centre", **options}
    return gendata.load_sampler("blender:embedded", device="cpu", **options)


@pytest.fixture(scope="module")
def reference(blender):
    sampler = load(workers=1, blender=blender)
    described = sampler.sample_described(LABELS, SEEDS)
    sampler.close()
    return described


def assert_same(described, reference, rows=slice(None)):
    assert torch.equal(described.images, reference.images[rows])
    chosen = torch.arange(len(SEEDS))[rows].numpy()
    assert described.columns.equals(reference.columns.take(chosen))


def test_images_are_pictures_of_something(reference):
    assert not reference.unusable
    flat = reference.images.flatten(1).float()
    assert (flat.std(1) > 5).all() and len({row.numpy().tobytes() for row in flat}) == 10
    assert min(reference.columns["visible"].to_pylist()) >= 0.01


def test_order_workers_and_restarts_change_nothing(reference):
    backwards = torch.arange(9, -1, -1)
    sampler = load(recycle=2)
    assert_same(
        sampler.sample_described(LABELS[backwards], SEEDS[backwards]), reference, backwards
    )
    sampler.close()


def test_files_may_move(blender, tmp_path):
    """Textures come from their names: elsewhere they give the same pixels and the same columns."""
    found = []
    for place, suffix in (("here", ""), ("there/and", " again")):
        folder = tmp_path / f"{place}{suffix}"
        folder.mkdir(parents=True)
        for name, colour in (("green.png", (0, 255, 0)), ("red.png", (255, 0, 0))):
            Image.new("RGB", (4, 4), colour).save(folder / name)
        options = {"material.kind": "texture", "material.texture.files": str(folder)}
        sampler = load(preset="fixed", workers=1, **options)
        found.append(sampler.sample_described(LABELS[:6], SEEDS[:6]))
        sampler.close()
    here, there = found
    assert torch.equal(here.images, there.images) and here.columns.equals(there.columns)
    names = [
        json.loads(each)["object"]["material"]["texture"]
        for each in here.columns["parameters"].to_pylist()
    ]
    assert set(names) == {"green.png", "red.png"}
    for image, name in zip(here.images.float(), names, strict=True):
        red, green, _ = image.mean((1, 2))
        assert (red > 1.5 * green) if name == "red.png" else (green > 1.5 * red)


def test_killed_worker_changes_nothing(reference, monkeypatch):
    sampler, killed, render = load(), [], Pool.render

    def killing(self, requests):
        for count, answer in enumerate(render(self, requests)):
            # An image that costs two workers is given up, so the second has another one in hand.
            fresh = [
                worker.process.pid
                for worker in self._workers.values()
                if worker.ready and worker.jobs and not worker.jobs[0].losses
            ]
            if count >= 2 and len(killed) < 2 and set(fresh) - set(killed):
                killed.append(min(set(fresh) - set(killed)))
                os.kill(killed[-1], signal.SIGKILL)
            yield answer

    monkeypatch.setattr(Pool, "render", killing)
    assert_same(sampler.sample_described(LABELS, SEEDS), reference)
    assert len(set(killed)) == 2 and sampler.pool.started == 4
    sampler.close()


def test_blender_executable_is_as_good(reference, blender, tmp_path):
    program = tmp_path / "blender"
    version = find_blender(blender).version
    program.write_text(WRAPPER.format(version=version, python=blender))
    program.chmod(0o755)
    sampler = load(blender=str(program), workers=1)
    assert not sampler.blender.is_python
    assert_same(sampler.sample_described(LABELS[:3], SEEDS[:3]), reference, slice(0, 3))
    workers = list(sampler.pool._workers.values())
    for worker in workers:  # the shell and its child
        worker.kill()
    assert not any(Path(f"/proc/{worker.process.pid}").exists() for worker in workers)


def test_killed_parent_continues_to_the_same_clone(tmp_path):
    words = "render embedded --per-class 6 --classes car --classes knife --resolution 16"
    words += " --shard-size 3 --batch-size 4 --device cpu -o samples=1 --labels mask --out"

    def start(out):
        command = [sys.executable, "-m", "gendata", *words.split(), str(out)]
        return subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)

    process = start(tmp_path / "killed")
    deadline = time.monotonic() + 120
    while not list((tmp_path / "killed").glob("shard-*")):
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.01)
    process.kill()
    process.wait()
    assert not (tmp_path / "killed/README.md").exists()
    assert start(tmp_path / "killed").wait() == start(tmp_path / "whole").wait() == 0
    tables = [
        read_clone_table(tmp_path / name).drop_columns(["confidence"])
        for name in ("killed", "whole")
    ]
    assert tables[0].equals(tables[1]) and len(tables[0]) == 12


@pytest.mark.cluster
@pytest.mark.timeout(240)
def test_a_cluster_renders_the_same(tmp_path, only_cluster):
    words = ["render", "embedded", "--classes", "car", "--per-class", "8", "--resolution", "16"]
    words += ["--shard-size", "4", "--device", "cpu"]
    for out, more in (("alone", []), ("cluster", ["--cluster", "ray"])):
        command = [sys.executable, "-m", "gendata", *words, *more, "--out", str(tmp_path / out)]
        with only_cluster:
            ended = subprocess.run(command, capture_output=True, text=True)
        assert ended.returncode == 0, ended.stderr
    alone, cluster = (
        read_clone_table(tmp_path / out).drop_columns(["confidence"])
        for out in ("alone", "cluster")
    )
    assert len(alone) == 8 and cluster.equals(alone)


def test_broken_meshes_are_reported_and_the_rest_is_rendered(tmp_path, shared):
    car = tmp_path / "objects" / "car"
    car.mkdir(parents=True)
    good = next((shared / "data/meshes/car").glob("*.glb")).read_bytes()
    (car / "good.glb").write_bytes(good)
    (car / "empty.obj").write_bytes(b"")
    (car / "cut.glb").write_bytes(good[: len(good) // 2])
    (car / "nan.obj").write_text("v 0 0 0\nv 1 nan 0\nv 0 1 0\nf 1 2 3\n")
    words = f"render {tmp_path / 'objects'} --per-class 6 --resolution 16 --device cpu"
    with pytest.warns(UserWarning, match="cannot be rendered"):
        result = CliRunner().invoke(main, [*words.split(), "--out", str(tmp_path / "out")])
    assert result.exit_code == 0, result.output
    for name in ("empty", "cut", "nan"):
        assert f"not rendered: car/{name}: " in result.stderr
    table = read_clone_table(tmp_path / "out")
    assert set(table["object"].to_pylist()) == {"car/good"} and len(table) == 6


@pytest.mark.timeout(1200)
def test_memory_stays_flat_over_500_images(monkeypatch):
    sampler, memory, render = load(**SMALLEST), [], Pool.render

    def watching(self, requests):
        for answer in render(self, requests):
            memory.append(answer[1].header["memory"])
            yield answer

    monkeypatch.setattr(Pool, "render", watching)
    labels = torch.arange(500) % len(sampler.classes)
    sampler.sample_described(labels, 11 + torch.arange(500))
    assert sampler.pool.started == 1 and len(memory) == 500
    sampler.close()
    # By the 250th image every object and every environment has been in memory.
    assert max(memory[250:]) - max(memory[:250]) < 30 * 2**20, [
        each >> 20 for each in memory[::25]
    ]
