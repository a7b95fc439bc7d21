"""The documentation: its commands are accepted, its links lead somewhere, its Python exists."""

import ast
import importlib
import inspect
import json
import re
import shlex
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

import gendata
from gendata.cli import main

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
CARDS = sorted((ROOT / "gendata" / "assets").glob("*/card.json"))
BLOCK = re.compile(r"^```([\w.-]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")


def blocks(text: str, *languages: str) -> list[str]:
    return [code for language, code in BLOCK.findall(text) if language in languages]


def gendata_lines(text: str) -> list[list[str]]:
    """Arguments of every line that runs `gendata`, by name or by `-m gendata`."""
    found = []
    for line in re.sub(r"\\\n\s*", " ", text).splitlines():
        # Help texts explain a command on its own line, after a gap.
        command = re.split(r"\s{3,}|\s#\s", line.strip())[0]
        match = re.match(r"gendata\s+(?=[\w-])|\S.*?\s-m gendata\s+", command)
        if match:
            found.append(shlex.split(command[match.end() :]))
    return found


def documented_commands() -> list[tuple[str, list[str]]]:
    found = []
    for page in PAGES:
        for code in blocks(page.read_text(encoding="utf-8"), "", "sh", "bash"):
            found += [(page.name, line) for line in gendata_lines(code)]
    found += [("gendata --help", line) for line in gendata_lines(main.help)]
    with click.Context(main, **main.context_settings) as context:
        for name in main.list_commands(context):
            command = main.get_command(context, name)
            found += [(f"gendata {name} --help", line) for line in gendata_lines(command.help)]
    return found


COMMANDS = documented_commands()


def refusal(arguments: list[str]) -> str | None:
    """What click has against a command line; nothing is run."""
    with click.Context(main, info_name="gendata", **main.context_settings) as context:
        try:
            main.make_context("gendata", list(arguments))
            name, command, rest = main.resolve_command(context, list(arguments))
            command.make_context(name, rest, parent=context)
        except click.exceptions.Exit:  # --help and --version
            return None
        except click.ClickException as error:
            return error.format_message()
    return None


@pytest.mark.parametrize(
    ("place", "arguments"), COMMANDS, ids=[f"{p}: {shlex.join(a)}" for p, a in COMMANDS]
)
def test_commands_are_accepted(place, arguments):
    assert refusal(arguments) is None


@pytest.mark.parametrize(
    "line",
    [
        "sampel embedded:fashion-gan --per-class 2 --out clone",
        "sample embedded:fashion-gan --per-class two --out clone",
        "sample embedded:fashion-gan --per-klass 2 --out clone",
        "sample --per-class 2 --out clone",
        "sample embedded:fashion-gan --per-class 2",
        "gap fashion-mnist:train --out gap",
    ],
)
def test_wrong_commands_are_refused(line):
    assert refusal(shlex.split(line))


def test_every_command_is_documented():
    with click.Context(main, **main.context_settings) as context:
        names = set(main.list_commands(context))
    from_pages = {arguments[0] for place, arguments in COMMANDS if place.endswith(".md")}
    from_help = {place.split()[1] for place, _ in COMMANDS if place.startswith("gendata ")}
    assert names - from_pages <= {"bench"}  # studies are named by `gendata list studies`
    assert names <= from_help


TRAININGS = [arguments for _, arguments in COMMANDS if arguments[0] == "train"]


@pytest.mark.parametrize("arguments", TRAININGS, ids=map(shlex.join, TRAININGS))
def test_trainings_have_these_methods_and_options(arguments, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("clone", "few"):
        export = ["export", "fashion-mnist:train", "--per-class", "2", "--out", name]
        assert CliRunner().invoke(main, export).exit_code == 0
    result = CliRunner().invoke(main, [*arguments, "--dry-run"])
    assert result.exit_code == 0, result.output


def test_wrong_method_options_are_refused():
    line = "train --synthetic clone --method pg --out run --dry-run -o pg_wait=1"
    assert CliRunner().invoke(main, shlex.split(line)).exit_code == 2


def broken_links(page: Path, text: str) -> list[str]:
    """Relative links without a file, or to a heading that their page does not have."""
    broken = []
    for target in LINK.findall(BLOCK.sub("", text)):
        if re.match(r"[a-z]+:", target):
            continue
        file, _, anchor = target.partition("#")
        path = page.parent / file if file else page
        if not path.exists():
            broken.append(target)
        elif anchor and anchor not in anchors(path.read_text(encoding="utf-8")):
            broken.append(target)
    return broken


def anchors(text: str) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", BLOCK.sub("", text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    assert not broken_links(page, page.read_text(encoding="utf-8"))


def test_broken_links_are_found(tmp_path):
    text = "# A title\n[a](nowhere.md) [b](page.md#a-title) [c](#none) [d](https://e.org)\n"
    page = tmp_path / "page.md"
    page.write_text(text)
    assert broken_links(page, text) == ["nowhere.md", "#none"]


def resolved(dotted: str) -> object:
    """What `gendata.x.y` names: an attribute or a module.

    Raises:
        AttributeError: nothing.
    """
    found: object = gendata
    path = "gendata"
    for name in dotted.split(".")[1:]:
        path += f".{name}"
        try:
            found = getattr(found, name)
        except AttributeError:
            try:
                found = importlib.import_module(path)
            except ModuleNotFoundError as error:
                raise AttributeError(f"there is no {path}") from error
    return found


def check_python(code: str) -> None:
    """Compiles a block, resolves what it takes from gendata, and compares calls of it."""
    tree = ast.parse(code)
    names: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.split(".")[0] == "gendata":
                    resolved(alias.name)
                    names["gendata"] = "gendata"
        elif isinstance(node, ast.ImportFrom) and node.module.split(".")[0] == "gendata":
            for alias in node.names:
                names[alias.asname or alias.name] = f"{node.module}.{alias.name}"
    for dotted in names.values():
        resolved(dotted)
    for node in ast.walk(tree):
        root, _, rest = ast.unparse(node).partition(".") if _is_dotted(node) else ("", "", "")
        if root in names:
            resolved(".".join(filter(None, (names[root], rest))))
        if isinstance(node, ast.Call) and _is_dotted(node.func):
            root, _, rest = ast.unparse(node.func).partition(".")
            if root in names:
                entry = resolved(".".join(filter(None, (names[root], rest))))
                keywords = {each.arg: None for each in node.keywords if each.arg}
                inspect.signature(entry).bind(*node.args, **keywords)


def _is_dotted(node: ast.AST) -> bool:
    while isinstance(node, ast.Attribute):
        node = node.value
    return isinstance(node, ast.Name)


PYTHON = [
    (page.name, number, code)
    for page in PAGES
    for number, code in enumerate(blocks(page.read_text(encoding="utf-8"), "python"), start=1)
]


@pytest.mark.parametrize(
    ("place", "number", "code"), PYTHON, ids=[f"{place}-{number}" for place, number, _ in PYTHON]
)
def test_python_blocks_name_what_exists(place, number, code):
    check_python(code)


@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("import gendata\ngendata.draw_clown()", AttributeError),
        ("from gendata.images import open_image", AttributeError),
        ("import gendata.imagery", AttributeError),
        ("import gendata\ngendata.open_images('x', downlod=True, strict", SyntaxError),
        ("import gendata\ngendata.draw_clone(1, 2, 'out', thresh=3)", TypeError),
        ("from gendata.seeds import hash_seed as h\nh(0, run=3)", TypeError),
    ],
)
def test_wrong_python_is_found(code, error):
    with pytest.raises(error):
        check_python(code)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_names_in_prose_exist(page):
    prose = BLOCK.sub("", page.read_text(encoding="utf-8"))
    for span in re.findall(r"`([^`\n]+)`", prose):
        for dotted in re.findall(r"(?<![\w./])gendata(?:\.[a-zA-Z_]\w*)+", span):
            resolved(dotted)


@pytest.mark.parametrize("card", CARDS, ids=lambda card: card.parent.name)
def test_recipes_are_those_of_the_cards(card):
    content = json.loads(card.read_text(encoding="utf-8"))
    page = (ROOT / "docs" / "embedded.md").read_text(encoding="utf-8")
    lines = {line for code in blocks(page, "") for line in code.splitlines()}
    assert content["command"] in lines
    assert content["figures"].get("measured by", content["command"]) in lines


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_make_targets_exist(page):
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    code = "\n".join(blocks(page.read_text(encoding="utf-8"), ""))
    assert set(re.findall(r"^make ([\w-]+)", code, re.MULTILINE)) <= targets
