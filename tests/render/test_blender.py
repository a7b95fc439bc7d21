"""Which Blender is taken, what is said where there is none, and what a worker is started with."""

import os
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import pytest

import gendata.render.blender as module
from gendata.errors import GendataError
from gendata.render.blender import Blender, explain_failure, find_blender
from gendata.render.placement import find_places
from gendata.render.pool import Pool
from gendata.render.settings import RenderSettings

PROGRAM = """#!/bin/sh
{body}
"""


def write_program(folder: Path, name: str, body: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_text(PROGRAM.format(body=body))
    path.chmod(0o755)
    return path


def executable(folder: Path, version: str = "5.0.3") -> Path:
    """A `blender` that says its version, and what it was started with."""
    body = f'[ "$1" = --version ] && echo "Blender {version}" && echo "build date: …" && exit'
    return write_program(folder, "blender", body)


@pytest.fixture(autouse=True)
def nothing_found(monkeypatch, tmp_path):
    """Neither bpy here nor GENDATA_BLENDER nor `blender` on the PATH."""
    monkeypatch.delenv("GENDATA_BLENDER", raising=False)
    monkeypatch.setenv("PATH", f"{tmp_path / 'path'}:/bin:/usr/bin")
    monkeypatch.setattr(module.importlib.util, "find_spec", lambda name: None)


def test_option_comes_before_variable_before_bpy_before_path(monkeypatch, tmp_path):
    with pytest.raises(GendataError, match=r"Blender is not found; .*pip install 'gendata\[ren"):
        find_blender()
    on_path = executable(tmp_path / "path")
    assert find_blender() == Blender(str(on_path), False, "5.0.3")
    monkeypatch.setattr(module.importlib.util, "find_spec", lambda name: "bpy")
    monkeypatch.setattr(module, "_version", lambda path, is_python: "5.0.1")
    assert find_blender() == Blender(sys.executable, True, "5.0.1")
    variable = executable(tmp_path / "variable")
    monkeypatch.setenv("GENDATA_BLENDER", str(variable))
    assert find_blender().path == str(variable)
    option = write_program(tmp_path / "option", "python3.11", "")
    assert find_blender(option) == Blender(str(option), True, "5.0.1")


@pytest.mark.parametrize("version", ["4.5.3", "5.1.0", "6.0.0"])
def test_other_versions_are_refused(tmp_path, version):
    with pytest.raises(GendataError, match=f"found {version}; expected 5.0.x; pip install"):
        find_blender(executable(tmp_path, version))


def test_windows_is_told(tmp_path, monkeypatch):
    executable(tmp_path / "path")
    monkeypatch.setattr(module.sys, "platform", "win32")
    with pytest.raises(GendataError, match="not work on Windows.*; expected Linux or macOS"):
        find_blender()


def test_missing_program_is_told(tmp_path):
    with pytest.raises(GendataError, match="no Blender at 'nowhere'; found no program"):
        find_blender("nowhere")
    with pytest.raises(GendataError, match="found a folder"):
        find_blender(tmp_path)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (
            "echo 'error while loading shared libraries: libXi.so.6: cannot open shared object "
            "file: No such file' >&2; exit 127",
            "found libXi.so.6; .*apt-get install libx11-6 libxfixes3 libxi6 libxkbcommon0 libxr",
        ),
        ("echo Segmentation fault >&2; exit 139", "found Segmentation fault"),
        ("exit 1", "found no message"),
    ],
)
def test_what_blender_lacks_is_told_in_one_line(tmp_path, body, message):
    with pytest.raises(GendataError, match=message) as caught:
        find_blender(write_program(tmp_path, "blender", body))
    assert "\n" not in str(caught.value)


def test_python_without_bpy_is_told(tmp_path):
    bare = write_program(tmp_path, "python3", f'exec {sys.executable} -S "$@"')
    with pytest.raises(GendataError, match="this Python has no bpy; pip install"):
        find_blender(bare)


def test_libraries_are_named_by_their_debian_packages():
    text = "ImportError: libxkbcommon.so.0: cannot open shared object file: No such file"
    assert "libxkbcommon0" in str(explain_failure("Blender cannot render here", text))
    assert "apt-get" not in str(explain_failure("Blender cannot render here", "out of memory"))


def test_the_last_error_is_told_whatever_blender_says_after_it():
    text = """Blender 3.4.1
    Traceback (most recent call last):
      File "<string>", line 8, in <module>
    ModuleNotFoundError: No module named 'numpy'
    Error: script failed, expression:
    main()
    ', exiting.
    """
    told = explain_failure("Blender does not start", text)
    assert "found ModuleNotFoundError: No module named 'numpy'" in str(told)
    told = explain_failure("Blender does not start", "one\ntwo\n\nSegmentation fault\n")
    assert "found one | two | Segmentation fault" in str(told)


def test_commands_of_both_kinds():
    python = Blender("/x/python3", True, "5.0.1").command()
    assert python[:3] == ["/x/python3", "-P", "-c"] and len(python) == 4
    blender = Blender("/x/blender", False, "5.0.1").command()
    assert blender[0] == "/x/blender" and blender[-2] == "--python-expr"
    assert {"--background", "--factory-startup"} < set(blender) and blender[-1] == python[-1]


def test_another_python_does_not_get_our_paths(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", "/ours")
    monkeypatch.setenv("OTHER", "kept")
    other = Blender("/x/python3", True, "5.0.1").environment()
    assert "PYTHONPATH" not in other and other["OTHER"] == "kept"
    assert Blender(sys.executable, True, "5.0.1").environment()["PYTHONPATH"] == "/ours"


FOREIGN = """
import sys
class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {names!r}:
            raise AssertionError(f"{{name}} was imported")
sys.meta_path.insert(0, Blocked())
"""


def test_worker_needs_only_numpy_and_takes_only_our_package(tmp_path):
    """Started as it is inside Blender, from nowhere near the checkout, up to where bpy comes."""
    names = ["torch", "click", "pyarrow", "PIL", "scipy", "yaml", "tqdm"]
    start = Blender(sys.executable, True, "5.0.1").command()[-1]
    code = FOREIGN.format(names=names) + start.replace("\nmain()\n", "\n")
    code += "import gendata.render.worker.serve as serve; print(serve.__file__)"
    command = [sys.executable, "-P", "-S", "-c", code]  # without site-packages: no numpy either
    environment = {name: each for name, each in os.environ.items() if name != "PYTHONPATH"}
    result = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment)
    assert "No module named 'numpy'" in result.stderr, result.stderr
    command = [sys.executable, "-P", "-c", code]
    result = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment)
    assert result.stdout.strip().endswith("serve.py"), result.stderr


@pytest.mark.blender
def test_worker_starts_where_gendata_is_not_installed(blender, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "numpy.py").write_text("raise SystemExit('the wrong numpy')")
    found = find_blender(blender)
    assert found.version.startswith("5.0.")
    settings = asdict(RenderSettings(resolution=16))
    places = find_places("cpu", 1)
    with Pool(found.command(), found.environment(), settings, places) as pool:
        ((_, result),) = pool.render([lambda: {"parameters": "{}", "sources": {}}])
    assert result.status == "error" and "KeyError" in result.header["why"]
    assert pool.version == found.version and result.header["memory"] > 2**26
