"""A Blender that paints discs, for tests of what is around it, and folders of objects for it."""

import os
import sys
from dataclasses import dataclass
from pathlib import Path

from gendata.render.blender import Blender

TESTS = Path(__file__).parent
TRIANGLE = "v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n"


@dataclass(frozen=True)
class FakeBlender(Blender):
    """Starts the worker beside this file."""

    path: str = "fake"
    is_python: bool = True
    version: str = "5.0.9"

    def command(self) -> list[str]:
        return [sys.executable, str(TESTS / "fake_worker.py")]

    def environment(self) -> dict[str, str]:
        paths = os.pathsep.join([str(TESTS.parent), os.environ.get("PYTHONPATH", "")])
        return {**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1"}


def use_fake_blender(monkeypatch=None) -> None:
    """Has samplers find this Blender and no other."""
    import gendata.samplers.blender as module

    def find(path=None) -> Blender:
        return FakeBlender()

    if monkeypatch is None:
        module.find_blender = find
    else:
        monkeypatch.setattr(module, "find_blender", find)


def write_objects(folder: Path, **classes: str) -> Path:
    """Writes objects: car="one two" makes car/one.obj and car/two.obj."""
    for name, objects in classes.items():
        (folder / name).mkdir(parents=True)
        for each in objects.split():
            (folder / name / f"{each}.obj").write_text(TRIANGLE)
    return folder
