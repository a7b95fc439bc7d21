"""What a wheel holds, and that it works away from the checkout."""

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

PROGRAM = """
import sys
sys.path.insert(0, sys.argv[1])
import gendata, gendata.samplers, gendata.guidance, gendata.benchmarks
from gendata.assets import asset_names
assert gendata.__file__.startswith(sys.argv[1]), gendata.__file__
assert gendata.samplers.__file__.startswith(sys.argv[1]), gendata.samplers.__file__
images = gendata.open_images("fashion-mnist:test")
print(len(images), ",".join(asset_names()))
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Builds the wheel with the setuptools that is here, from a copy: a build leaves traces."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    for name in ("gendata", "samplers", "guidance", "benchmarks"):
        ignore = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / name, source / name, ignore=ignore)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source / name)
    arguments = ["wheel", "--no-deps", "--no-build-isolation", "--quiet", "--wheel-dir", folder]
    result = subprocess.run(
        [sys.executable, "-m", "pip", *map(str, arguments), str(source)],
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr
    (path,) = folder.glob("*.whl")
    return path


@pytest.mark.slow
def test_wheel_takes_one_name_and_carries_every_module(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0] for name in names if ".dist-info" not in name} == {"gendata"}
    for folder in ("gendata", "samplers", "guidance", "benchmarks"):
        for path in (ROOT / folder).rglob("*.py"):
            inside = path.relative_to(ROOT).as_posix()
            assert (inside if folder == "gendata" else f"gendata/{inside}") in names


@pytest.mark.slow
def test_wheel_works_away_from_the_checkout(wheel, tmp_path):
    site = tmp_path / "site"
    zipfile.ZipFile(wheel).extractall(site)
    result = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(site)], cwd=tmp_path, capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr
    expected = sorted(path.parent.name for path in ROOT.glob("gendata/assets/*/card.json"))
    assert result.stdout.split() == ["10000", ",".join(expected)]
