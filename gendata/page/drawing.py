"""Matplotlib figures as inline SVG that wears the page's colours and type.

A figure is drawn in placeholder colours; in the SVG they become CSS variables, so that one figure
serves a light page, a dark one and paper. Text stays text: it can be searched and read aloud, no
glyph is missing, and names are escaped by the XML writer.
"""

from __future__ import annotations

import hashlib
import io
import re
import warnings
from typing import Any
from xml.etree import ElementTree

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gendata.page.names import printable

__all__ = ["INK", "MUTED", "RULE", "SERIES", "TINT", "axes_of_panel", "svg_of"]

INK, MUTED, RULE, TINT = "#010101", "#020202", "#030303", "#040404"
SERIES = ("#0a0a00", "#0a0a01", "#0a0a02", "#0a0a03", "#0a0a04", "#0a0a05")

# Placeholder to variable, with the light theme's colour for an SVG taken out of its page.
_VARIABLES = {
    INK: "var(--ink, #1c1b19)",
    MUTED: "var(--muted, #6b675f)",
    RULE: "var(--rule, #dedad2)",
    TINT: "var(--tint, #f1eee8)",
    SERIES[0]: "var(--series-0, #2a5d9f)",
    SERIES[1]: "var(--series-1, #c2541b)",
    SERIES[2]: "var(--series-2, #23806a)",
    SERIES[3]: "var(--series-3, #8a4f9e)",
    SERIES[4]: "var(--series-4, #8a6b12)",
    SERIES[5]: "var(--series-5, #b23a62)",
}

WIDTH, HEIGHT = 360, 232  # CSS pixels of a panel at its natural size, the width of a phone
_SETTINGS: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "gendata",
    "text.parse_math": False,
    "font.size": 10,
}
_SVG, _LINK = "{http://www.w3.org/2000/svg}", "{http://www.w3.org/1999/xlink}href"


def axes_of_panel(right: float = 0.97) -> tuple[Figure, Axes]:
    """Makes a figure with bare axes; `right` is where they end, as a share of the width."""
    figure = Figure(figsize=(WIDTH / 72, HEIGHT / 72), dpi=72)
    figure.patch.set_visible(False)
    axes = figure.add_axes((0.115, 0.17, right - 0.115, 0.8))
    axes.patch.set_visible(False)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set_color(RULE)
    axes.tick_params(length=0, pad=5, labelcolor=MUTED)
    axes.set_axisbelow(True)
    return figure, axes


def svg_of(figure: Figure, alt: str) -> str:
    """Renders a figure to one <svg> element; `alt` is what a screen reader says instead."""
    file = io.StringIO()
    with matplotlib.rc_context(_SETTINGS), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing")  # the browser has them
        for text in figure.findobj(matplotlib.text.Text):
            text.set_parse_math(False)
        figure.savefig(file, format="svg", metadata={"Date": None})
    root = ElementTree.fromstring(file.getvalue())
    root.remove(root.find(f"{_SVG}metadata"))  # type: ignore[arg-type]
    root.remove(root.find(f"{_SVG}defs"))  # type: ignore[arg-type]  # its <style> styles the page
    digest = hashlib.sha256(file.getvalue().encode()).hexdigest()[:8]
    for element in root.iter():
        _restyle(element, digest)
    for size in ("width", "height"):
        del root.attrib[size]
    root.set("role", "img")
    root.set("aria-label", printable(alt))
    ElementTree.register_namespace("", _SVG.strip("{}"))
    return ElementTree.tostring(root, encoding="unicode")


def _restyle(element: ElementTree.Element, digest: str) -> None:
    """Puts in the page's colours and type, and makes the SVG's ids unique in the page."""
    style = element.attrib.get("style", "")
    style = re.sub(r"font-family:[^;]*;?\s*", "", style)
    # Older matplotlib (seen in 3.8) writes the family inside the `font` shorthand.
    style = re.sub(r"(font: [^;]*?px) [^;]*", r"\1 var(--sans, sans-serif)", style)
    style = re.sub(r"#[0-9a-f]{6}", lambda match: _VARIABLES.get(match[0], match[0]), style)
    if style:
        element.set("style", style)
    if element.attrib.get("transform", "").startswith("rotate(-0"):
        del element.attrib["transform"]
    if "id" in element.attrib:
        element.set("id", f"{element.attrib['id']}-{digest}")
    if _LINK in element.attrib:
        element.set("href", f"{element.attrib.pop(_LINK)}-{digest}")
    if "clip-path" in element.attrib:
        element.set("clip-path", element.attrib["clip-path"].replace(")", f"-{digest})"))
