"""The house: who may import whom, what is packaged, and that help costs nothing."""

import ast
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TOP_LEVEL = {"samplers", "guidance", "benchmarks"}

# From the top down: a part may import parts of its own row and of the rows below it.
ROWS = [
    {"cli", "__main__"},
    {"benchmarks", "gap", "clone", "assets.recipes"},
    {"samplers", "guidance", "training", "transfer", "features"},
    {"render", "models", "images", "page"},
    {"types", "errors", "files", "seeds", "registry", "settings_difference"}
    | {"allocator", "assets"},
]


def python_files() -> list[Path]:
    return [
        path
        for folder in ("gendata", *sorted(TOP_LEVEL))
        for path in sorted((ROOT / folder).rglob("*.py"))
    ]


def part_of(module: str) -> str | None:
    """`gendata.images.open` -> `images`; None for `gendata` itself."""
    names = module.split(".")[1:]
    if names[:2] == ["assets", "recipes"]:
        return "assets.recipes"
    return names[0] if names else None


def row_of(part: str) -> int:
    rows = [number for number, row in enumerate(ROWS) if part in row]
    assert rows, f"'{part}' stands in no row of the house"
    return rows[0]


def imported_modules(path: Path) -> set[str]:
    """Modules imported at run time: what stands under `if TYPE_CHECKING` is left out."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    skipped = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        for inner in ast.walk(node)
    }
    found = set()
    for node in ast.walk(tree):
        if id(node) in skipped:
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            found.add(node.module)
    return found


@pytest.mark.parametrize("path", python_files(), ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_point_down(path):
    parts = path.relative_to(ROOT).with_suffix("").parts
    module = ".".join(parts if parts[0] == "gendata" else ("gendata", *parts))
    own = part_of(module.removesuffix(".__init__"))
    for imported in imported_modules(path):
        assert imported.split(".")[0] not in TOP_LEVEL, f"bare import of {imported}"
        if own is None or not imported.startswith("gendata."):
            continue
        other = part_of(imported)
        assert row_of(other) >= row_of(own), f"{own} imports {other}, which stands above it"
        assert {own, other} != {"samplers", "guidance"}


def test_packages_are_listed():
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    found = set()
    for path in python_files():
        if path.name == "__init__.py":
            parts = path.parent.relative_to(ROOT).parts
            found.add(".".join(parts if parts[0] == "gendata" else ("gendata", *parts)))
    assert set(listed) == found


def test_help_imports_no_torch():
    code = (
        "import sys; from click.testing import CliRunner; from gendata.cli import main;"
        "result = CliRunner().invoke(main, ['--help']); assert result.exit_code == 0;"
        "print('torch' in sys.modules, 'numpy' in sys.modules)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.stdout.split() == ["False", "False"], result.stderr


def test_import_gendata_is_cheap():
    code = "import sys, gendata; print('torch' in sys.modules, 'draw_clone' in dir(gendata))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.stdout.split() == ["False", "True"], result.stderr


def test_files_fit_one_sitting():
    long = {
        str(path.relative_to(ROOT)): lines
        for path in python_files()
        if (lines := path.read_text(encoding="utf-8").count("\n")) > 400
    }
    assert not long
