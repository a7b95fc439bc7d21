"""Which Blender renders: where it is found, and how a worker is started in it.

Blender is either a Python that has `bpy` (this one, or another with the wheel that its version of
Python has) or a `blender` executable. Neither needs gendata installed: a worker is handed the
folder of this package.
"""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import gendata
from gendata.errors import GendataError

__all__ = ["SUPPORTED", "Blender", "explain_failure", "find_blender", "last_words"]

SUPPORTED = "5.0"
VARIABLE = "GENDATA_BLENDER"
INSTALL = f"pip install 'gendata[render]' (Python 3.11), or install Blender {SUPPORTED}"
STOPPED = re.compile(r"[A-Z]\w*(Error|Exception)\b|Fatal Python error")
LONGEST_QUESTION = 120.0  # seconds: a cold disk may take long to give its version
DEBIAN = "libx11-6 libxfixes3 libxi6 libxkbcommon0 libxrender1"
ASK_PYTHON = "from importlib.metadata import version; print('Blender', version('bpy'))"

# Only this package is taken from its folder: what lies beside it belongs to another Python.
BEGIN = """
import importlib.util, sys
spec = importlib.util.spec_from_file_location(
    "gendata", {start!r}, submodule_search_locations=[{folder!r}])
sys.modules["gendata"] = importlib.util.module_from_spec(spec)
spec.loader.exec_module(sys.modules["gendata"])
from gendata.render.worker.__main__ import main
main()
"""


@dataclass(frozen=True)
class Blender:
    """A Blender that can render.

    Attributes:
        path: of the executable.
        is_python: whether that is a Python with `bpy`, or `blender` itself.
        version: such as "5.0.1".
    """

    path: str
    is_python: bool
    version: str

    def command(self) -> list[str]:
        """The command that starts a worker."""
        start = Path(gendata.__file__).resolve()
        code = BEGIN.format(start=str(start), folder=str(start.parent))
        return [*_interpreter(self.path, self.is_python), code]

    def environment(self) -> dict[str, str]:
        """The environment of a worker: what another Python would take for its own is left out."""
        return _environment(self.path)


def find_blender(path: str | Path | None = None) -> Blender:
    """Finds the Blender to render with.

    Args:
        path: a Python that has bpy, or a `blender`; None: what the environment variable
            GENDATA_BLENDER names, else this Python if it has bpy, else `blender` on the PATH.

    Raises:
        GendataError: there is none, it cannot be started, it is of another version, or this is
            Windows.
    """
    if sys.platform == "win32":
        raise GendataError(
            "rendering does not work on Windows: workers inherit their connection",
            expected="Linux or macOS",
            do="run gendata in the Windows Subsystem for Linux",
        )
    chosen = str(path or os.environ.get(VARIABLE) or "")
    if chosen:
        found = shutil.which(os.path.expanduser(chosen))
        if found is None:
            raise GendataError(
                f"there is no Blender at '{chosen}'",
                found="a folder" if Path(chosen).is_dir() else "no program of that name",
                expected="a Python that has bpy, or a blender executable",
            )
    elif importlib.util.find_spec("bpy") is not None:
        found = sys.executable
    else:
        found = shutil.which("blender")
    if found is None:
        raise GendataError(
            "Blender is not found",
            expected=f"bpy in this Python, {VARIABLE}=PATH, or blender on the PATH",
            do=INSTALL,
        )
    is_python = Path(found).name.startswith("python")
    version = _version(found, is_python)
    if version.split(".")[:2] != SUPPORTED.split("."):
        raise GendataError(
            f"{found} is another version of Blender",
            found=version,
            expected=f"{SUPPORTED}.x",
            do=INSTALL,
        )
    return Blender(found, is_python, version)


def explain_failure(what: str, output: str) -> GendataError:
    """Says in one line why Blender stopped, from the last lines that it printed."""
    missing = re.search(r"(lib[\w.+-]+\.so[\w.]*): cannot open shared object", output)
    if missing:
        return GendataError(
            f"{what}: a system library is missing",
            found=missing[1],
            do=f"on Debian and Ubuntu: apt-get install {DEBIAN}",
        )
    if "No module named 'bpy'" in output or "No package metadata was found for bpy" in output:
        return GendataError(f"{what}: this Python has no bpy", do=INSTALL)
    return GendataError(what, found=last_words(output)[-600:] or "no message")


def last_words(output: str) -> str:
    """Says in one line what Blender printed when it stopped: Python's last error, else its end."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    errors = [line for line in lines if STOPPED.match(line)]
    told = [line for line in lines if not line.startswith("Extension modules:")]
    return " | ".join(errors[-1:] or told[-4:])  # Blender may follow it with words of its own


def _interpreter(path: str, is_python: bool) -> list[str]:
    """A command that runs the code that follows it."""
    if is_python:
        return [path, "-P", "-c"]
    return [path, "--background", "--factory-startup", "--python-exit-code", "1", "--python-expr"]


def _version(path: str, is_python: bool) -> str:
    """Asks for the version, without loading Blender."""
    command = [*_interpreter(path, True), ASK_PYTHON] if is_python else [path, "--version"]
    try:
        result = subprocess.run(
            command,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=LONGEST_QUESTION,
            env=_environment(path),
            stdin=subprocess.DEVNULL,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise GendataError(f"{path} cannot be run", found=error) from error
    version = re.search(r"Blender (\d+\.\d+\.\d+)", result.stdout)
    if version is None:
        raise explain_failure(f"{path} does not tell a version", result.stdout + result.stderr)
    return version[1]


def _environment(path: str, given: Mapping[str, str] = os.environ) -> dict[str, str]:
    foreign = set() if path == sys.executable else {"PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV"}
    return {name: value for name, value in given.items() if name not in foreign}
