"""What tests inside Blender need: its interpreter, code that runs there, and pictures from it."""

import json
import os
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from gendata.render.settings import RenderSettings

ROOT = Path(__file__).parents[2]

BEFORE = """
import json, sys
import numpy as np
inputs = json.loads(open(sys.argv[1], encoding="utf-8").read())
found = {}
"""

AFTER = """
arrays = {name: each for name, each in found.items() if isinstance(each, np.ndarray)}
np.savez(sys.argv[2] + ".npz", **arrays)
rest = {name: each for name, each in found.items() if name not in arrays}
with open(sys.argv[2] + ".json", "w", encoding="utf-8") as file:
    json.dump(rest, file)
"""

RENDER = """
from gendata.render.parameters import Parameters
from gendata.render.settings import RenderSettings
from gendata.render.worker.renderer import Renderer
settings = {**inputs["settings"], "labels": tuple(inputs["settings"]["labels"])}
renderer = Renderer(RenderSettings(**settings), inputs["threads"])
from shapes import make_shapes
shapes = make_shapes()
for name, text in inputs["scenes"]:
    rendered = renderer.render(Parameters.from_json(text), shapes)
    for label in ("colour", "mask", "depth", "normal"):
        if getattr(rendered, label) is not None:
            found[f"{name}/{label}"] = getattr(rendered, label)
    found[f"{name}/centre"] = rendered.centre
    found[f"{name}/seconds"] = rendered.seconds
"""


def _has_bpy(python: str) -> bool:
    code = "import importlib.util, sys; sys.exit(importlib.util.find_spec('bpy') is None)"
    return subprocess.run([python, "-c", code], check=False).returncode == 0


@pytest.fixture(scope="session")
def blender() -> str:
    """A Python that has `bpy`: GENDATA_BLENDER, .venv/blender, or this one."""
    named = os.environ.get("GENDATA_BLENDER")
    candidates = [named] if named else [str(ROOT / ".venv/blender/bin/python"), sys.executable]
    for candidate in candidates:
        if Path(candidate).exists() and _has_bpy(candidate):
            return candidate
    pytest.skip("needs Blender (a Python with bpy, named by GENDATA_BLENDER)")


@pytest.fixture(scope="session")
def in_blender(blender, tmp_path_factory):
    """Runs code inside Blender, in a process of its own.

    The code finds its arguments in `inputs`, and what it puts into `found` comes back: arrays as
    they are, all else by JSON. It can import gendata and what lies in tests/render/worker.
    """

    def run(code: str, **inputs):
        folder = tmp_path_factory.mktemp("blender")
        (folder / "inputs.json").write_text(json.dumps(inputs), encoding="utf-8")
        (folder / "code.py").write_text(BEFORE + code + AFTER, encoding="utf-8")
        paths = os.pathsep.join((str(ROOT), str(ROOT / "tests/render/worker")))
        command = [blender, "code.py", "inputs.json", "answer"]
        environment = {**os.environ, "PYTHONPATH": paths}
        done = subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
        found = json.loads((folder / "answer.json").read_text(encoding="utf-8"))
        with np.load(folder / "answer.npz") as arrays:
            return found | dict(arrays)

    return run


@pytest.fixture(scope="session")
def render(in_blender):
    """Renders scenes, a dict of Parameters or pairs of a name and Parameters, in one process.

    The objects are those of shapes.py. By default there is no denoiser, so that pixels can be
    reckoned. Returns by name what `Rendered` holds.
    """

    def run(scenes, threads: int = 1, **settings):
        chosen = {"resolution": 64, "samples": 16, "denoiser": "none", **settings}
        pairs = list(scenes.items() if isinstance(scenes, dict) else scenes)
        found = in_blender(
            RENDER,
            settings=asdict(RenderSettings(**chosen)),
            threads=threads,
            scenes=[(name, parameters.to_json()) for name, parameters in pairs],
        )
        images = {name: SimpleNamespace(depth=None, normal=None) for name, _ in pairs}
        for key, value in found.items():
            name, label = key.rsplit("/", 1)
            setattr(images[name], label, value)
        return images

    return run
