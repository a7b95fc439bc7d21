"""`gendata render`, with a Blender that paints discs: kills, shares and mistakes."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner
from fake_blender import use_fake_blender, write_objects
from PIL import Image
from tiny import read_clone_table

from gendata.cli import main
from gendata.images import open_images

TESTS = Path(__file__).parents[1]
PROGRAM = f"""
import sys
sys.path[:0] = [{str(TESTS.parent)!r}, {str(TESTS)!r}]
from PIL import Image
from fake_blender import use_fake_blender
use_fake_blender()
from gendata.cli import main
main()
"""


@pytest.fixture(autouse=True)
def fake(monkeypatch):
    use_fake_blender(monkeypatch)


@pytest.fixture
def objects(tmp_path):
    return write_objects(tmp_path / "objects", bus="red blue", car="one two shy", van="x")


def arguments(objects, out, *more):
    return [
        *("render", objects, "--per-class", 20, "--resolution", 16, "--shard-size", 9),
        *("--labels", "mask,box", "--device", "cpu", "-o", "workers=2", "--out", out, *more),
    ]


def run(*words, status=0):
    result = CliRunner().invoke(main, [str(word) for word in words])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == status, result.output
    return result


def contents(folder):
    """All rows; without a filter the confidence is not a number, and unequal to itself."""
    return read_clone_table(folder).drop_columns(["confidence"])


@pytest.fixture
def reference(objects, tmp_path):
    run(*arguments(objects, tmp_path / "reference"))
    return contents(tmp_path / "reference")


def test_what_was_moved_is_the_same(objects, tmp_path, monkeypatch):
    """Contents decide, not places: of the objects, of a factors file, of the folder one is in."""
    factors = tmp_path / "mine.yaml"
    factors.write_text("preset: fixed\nobject:\n  scale: 1..2\n")
    monkeypatch.chdir(tmp_path)
    run(*arguments("objects", "clone", "--factors", "mine.yaml"))
    (tmp_path / "elsewhere").mkdir()
    objects = objects.rename(tmp_path / "elsewhere" / "things")
    factors = factors.rename(tmp_path / "elsewhere" / "own.yaml")
    monkeypatch.chdir(tmp_path / "elsewhere")
    verify = ("verify", tmp_path / "clone", "--all", "--device", "cpu")
    refused = run(*verify, status=2).stderr
    assert "no objects at 'objects'" in refused and "--sampler" in refused
    run(*verify, "--sampler", "blender:things", "-o", "factors=own.yaml")
    more = ("--per-class", 21, "--extend", "--factors")
    run(*arguments("things", tmp_path / "clone", *more, "own.yaml"))
    run(*verify)  # now it knows where they lie
    factors.write_text("preset: fixed\nobject:\n  scale: 1..3\n")
    refused = run(*verify, status=2).stderr
    assert "settings.factors.object.scale" in refused and len(refused) < 400
    refused = run(*arguments("things", tmp_path / "clone", *more, "own.yaml"), status=2).stderr
    assert "sampler.settings.factors.object.scale" in refused and "own.yaml" not in refused


def test_render_continue_verify_and_filter_by_a_column(objects, tmp_path, reference):
    folder = tmp_path / "reference"
    assert len(reference) == 60 and len(set(reference["sha256"].to_pylist())) == 60
    assert {"parameters", "scale", "mask", "box"} < set(reference.column_names)
    before = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    run(*arguments(objects, folder, "-o", "workers=1", "-o", "recycle=5"))  # free options
    assert {path: path.stat().st_mtime_ns for path in folder.iterdir()} == before
    assert list(open_images(folder).classes) == ["bus", "car", "van"]
    verified = json.loads(run("verify", folder, "--all", "--json", "--device", "cpu").stdout)
    assert verified["ok"] and verified["redrawn"]["identical_images"] == 1
    assert verified["redrawn"]["changed_columns"] == {}
    refused = run(*arguments(objects, folder, "-o", "samples=9"), status=2)
    assert "samples 4 there, 9 now" in refused.stderr


@pytest.mark.parametrize("shares", [1, 3])
def test_shares_workers_and_batches_change_nothing(objects, tmp_path, reference, shares):
    for share in range(shares):
        options = ("-o", f"workers={share + 1}", "-o", "recycle=9", "--shard", f"{share}/{shares}")
        drawn = run(*arguments(objects, tmp_path / "out", *options, "--json"))
        assert json.loads(drawn.stdout)["finished"] == (share == shares - 1)
    assert contents(tmp_path / "out").equals(reference)


def start(objects, out) -> subprocess.Popen:
    words = [str(word) for word in arguments(objects, out)]
    environment = {**os.environ, "FAKE_SECONDS": "0.05"}
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, *words], env=environment, stderr=subprocess.PIPE, text=True
    )


def children(process: int) -> list[int]:
    found = subprocess.run(["pgrep", "-P", str(process)], capture_output=True, text=True)
    return [int(word) for word in found.stdout.split()]


def wait_for(condition, process: subprocess.Popen):
    deadline = time.monotonic() + 60
    while not (found := condition()):
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.01)
    return found


@pytest.mark.slow
def test_killed_parent_continues_to_the_same_clone(objects, tmp_path, reference):
    folder = tmp_path / "out"
    for files in (1, 3):
        process = start(objects, folder)
        wait_for(lambda files=files: len(list(folder.glob("shard-*"))) >= files, process)
        workers = children(process.pid)
        process.kill()
        process.communicate()
        assert len(workers) == 2 and not (folder / "README.md").exists()
        deadline = time.monotonic() + 20
        while any(Path(f"/proc/{worker}").exists() for worker in workers):
            assert time.monotonic() < deadline, "a worker outlives its parent"
            time.sleep(0.02)
    run(*arguments(objects, folder))
    assert contents(folder).equals(reference)
    assert not list(folder.rglob(".*"))


@pytest.mark.slow
def test_killed_workers_cost_nothing(objects, tmp_path, reference):
    folder = tmp_path / "out"
    process = start(objects, folder)
    killed = set()
    for files in (1, 3):
        wait_for(lambda files=files: len(list(folder.glob("shard-*"))) >= files, process)
        worker = wait_for(
            lambda: [each for each in children(process.pid) if each not in killed], process
        )[0]
        os.kill(worker, signal.SIGKILL)
        killed.add(worker)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 0 and "Traceback" not in errors
    assert contents(folder).equals(reference)


def test_dry_run_estimates_and_writes_nothing(objects, tmp_path):
    result = json.loads(run(*arguments(objects, tmp_path / "out", "--dry-run", "--json")).stdout)
    assert result["images"] == 60 and result["draws"] >= 60 and result["timed"] == 32
    assert result["seconds"] == pytest.approx(result["draws"] / result["images_per_second"], 0.05)
    assert result["bytes"] > 60 * 100
    text = run(*arguments(objects, tmp_path / "out", "-n")).stdout
    assert "would render 60 images" in text and "Blender 5.0.9" in text
    assert not (tmp_path / "out").exists()


def test_dry_run_of_what_cannot_be_rendered_is_refused(tmp_path):
    bad = write_objects(tmp_path / "bad", car="bad")
    with pytest.warns(UserWarning, match="car/bad cannot be rendered"):
        refused = run(*arguments(bad, tmp_path / "out", "--dry-run"), status=2)
    assert "images tried can be used" in refused.stderr and "car 0 of" in refused.stderr


def test_a_url_as_the_folder(objects, tmp_path, monkeypatch):
    monkeypatch.setenv("GENDATA_STAGING", str(tmp_path / "staging"))
    monkeypatch.chdir(tmp_path)
    url = f"memory://{tmp_path.name}/clone"
    assert url in run(*arguments(objects, url, "--dry-run")).stdout
    run(*arguments(objects, url))
    assert len(open_images(url)) == 60
    assert not (tmp_path / "memory:").exists()


def test_a_warning_is_one_line(tmp_path):
    """Without the line of code that it came from."""
    objects = write_objects(tmp_path / "objects", car="good bad", van="x")
    process = start(objects, tmp_path / "out")
    told = [line for line in process.communicate()[1].splitlines() if "car/bad" in line]
    assert told == [
        "gendata: car/bad cannot be rendered: it is empty",
        "not rendered: car/bad: it is empty",
    ]


def test_bad_meshes_are_listed_at_the_end(tmp_path):
    objects = write_objects(tmp_path / "objects", car="good bad", van="x bad2")
    with pytest.warns(UserWarning, match="cannot be rendered"):
        result = run(*arguments(objects, tmp_path / "out", "--json"))
    lines = result.stderr.splitlines()
    assert "not rendered: car/bad: it is empty" in lines
    assert "not rendered: van/bad2: it is empty" in lines
    report = json.loads(result.stdout)
    assert report["accepted"] == 40 and report["rejects"].keys() == {"mesh"}
    assert "car/bad" not in read_clone_table(tmp_path / "out")["object"].to_pylist()


def test_class_without_a_good_mesh_is_a_clear_report(tmp_path):
    objects = write_objects(tmp_path / "objects", car="bad", van="x")
    with pytest.warns(UserWarning):
        result = run(*arguments(objects, tmp_path / "out", "--attempts", 5), status=2)
    assert "class 'car' cannot be filled" in result.stderr and "mesh" in result.stderr
    assert "threshold" not in result.stderr, "there is none"
    with pytest.warns(UserWarning):
        short = run(*arguments(objects, tmp_path / "out", "--attempts", 5, "--short"))
    assert "short: car, 0 images" in short.stdout


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["-o", "resolution=32"], "use --resolution"),
        (["-o", "preset=fixed"], "use --preset"),
        (["-o", "object.scalee=2"], "object.scale"),
        (["--preset", "none"], "none"),
        (["--factors", "gone.yaml"], "cannot read the factors in gone.yaml"),
        (["--labels", "masks"], "no label 'masks'"),
        (["--shard", "2/2"], "no such share"),
        (["--classes", "boat"], "no class 'boat'"),
    ],
)
def test_mistakes_end_in_one_line(objects, tmp_path, more, message):
    result = run(*arguments(objects, tmp_path / "out", *more), status=2)
    assert message in result.stderr and len(result.stderr.splitlines()) == 1


def test_doctor_names_the_blender(objects, tmp_path):
    words = ["doctor", f"blender:{objects}", "--per-class", 5, "-o", "resolution=16", "--trial", 8]
    result = json.loads(run(*words, "--batch-size", 8, "--json", "--device", "cpu").stdout)
    engine = next(each for each in result["checks"] if each["check"] == "engine")
    assert "Blender 5.0.9 (fake), cpu" in engine["text"] and result["ok"]


def test_doctor_says_where_blender_is_missing(objects, monkeypatch):
    monkeypatch.undo()
    monkeypatch.setenv("GENDATA_BLENDER", "/nowhere/blender")
    result = run("doctor", f"blender:{objects}", "--per-class", 5, status=1)
    assert "there is no Blender at '/nowhere/blender'" in result.stdout


def sheet(objects, out, *more, status=0):
    return run("render", objects, "--resolution", 16, "--sheet", out, *more, status=status)


def test_sheet_shows_factors_without_a_clone(objects, tmp_path):
    result = sheet(objects, tmp_path / "sheet.png", "--classes", "van", "--json")
    told = json.loads(result.stdout)
    assert told["class"] == "van" and {"camera.roll", "light.radius"} < set(told["rows"])
    with Image.open(tmp_path / "sheet.png") as image:
        assert image.width > 8 * 64 and image.height > len(told["rows"]) * 64
    assert {path.name for path in tmp_path.iterdir()} == {"objects", "sheet.png"}


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--per-class", "3", "--out", "x"], "--per-class, --out"),
        (["--dry-run"], "--dry-run"),
        (["--classes", "van", "--classes", "car"], "one class"),
        (["--classes", "boat"], "no class 'boat'"),
        (["--sheet", "folder"], "sheet.png"),
    ],
)
def test_mistakes_about_sheets_end_in_one_line(objects, tmp_path, more, message):
    result = sheet(objects, tmp_path / "sheet.png", *more, status=2)
    assert message in result.stderr and len(result.stderr.splitlines()) == 1


@pytest.mark.parametrize("given", [["--out", "x"], ["--per-class", "3"]])
def test_a_clone_needs_both_place_and_number(objects, given):
    assert "Missing option" in run("render", objects, *given, status=2).stderr
