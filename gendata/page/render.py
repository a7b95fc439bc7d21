"""Writing a page as one HTML file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from gendata.files import write_text
from gendata.page.blocks import Page
from gendata.page.names import printable, shortened

__all__ = ["render_page", "write_page"]


def render_page(page: Page) -> str:
    """Renders a page to HTML."""
    environment = Environment(
        loader=PackageLoader("gendata.page", ""),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_printable,
    )
    environment.filters["short"] = _short
    environment.filters["svg"] = Markup
    return environment.get_template("page.html").render(page=page)


def write_page(page: Page, path: Path) -> None:
    """Writes a page; the file is there in full or not at all."""
    write_text(path, render_page(page))


def _printable(value: Any) -> Any:
    return printable(value) if type(value) is str else value


def _short(text: str, length: int = 28) -> Markup | str:
    """Shortens a name for a narrow place; the full one shows when the pointer rests on it."""
    if len(text) <= length:
        return text
    return Markup('<span title="{}">{}</span>').format(printable(text), shortened(text, length))
