from html.parser import HTMLParser

import numpy as np
import pytest

from gendata.errors import GendataError
from gendata.gap.report.figures import Line, curve_panel
from gendata.page import render_page, write_page
from gendata.page.blocks import (
    Cell,
    Figure,
    ImageGrid,
    ImagePair,
    ImagePairs,
    ImageRow,
    KeyFigure,
    KeyFigures,
    Page,
    Row,
    Section,
    Step,
    Steps,
    Strip,
    Table,
    Text,
)

HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>&amp;😀" + "c" * 200


def page_of(name):
    """A page in which one name stands in every place that takes text."""
    image = np.zeros((3, 8, 8), np.uint8)
    panel = curve_panel([Line(name, [1, 2], [0.1, 0.2], [0, 0], 0)], name, percent=True)
    rows = [Row(name, [Cell(name, name, 0.5)], 1), Row(name, [name], None, name)]
    groups = [("", 0), (name, 1)]
    around = {"title": name, "caption": name, "definitions": {name: name}}
    blocks = [
        Text(name),
        KeyFigures([KeyFigure(name, name, name, name)], name),
        Steps([Step(name, name)], name),
        Table([name], rows, name, name, groups, True, **around),
        Figure([panel], [(name, 0)], **around),
        ImageGrid([name], [ImageRow(name, [Strip([image], name, [name])], name)], **around),
        ImagePairs([ImagePair([image, image], name, name)], **around),
    ]
    return Page(name, name, [Section(name, blocks, name)], {name: name}, name)


class Reader(HTMLParser):
    def __init__(self, html):
        super().__init__()
        self.tags, self.attributes, self.text = [], [], []
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.attributes += attributes

    def handle_data(self, data):
        self.text.append(data)


def test_a_hostile_name_is_text_in_every_place():
    plain, hostile = Reader(render_page(page_of("name"))), Reader(render_page(page_of(HOSTILE)))
    hostile.tags = [tag for tag in hostile.tags if tag != "span"]  # shortened names
    assert hostile.tags == [tag for tag in plain.tags if tag != "span"]
    assert "script" not in hostile.tags
    assert not any(name.startswith("on") for name, _ in hostile.attributes)
    values = [value for name, value in hostile.attributes if name in ("alt", "title")]
    assert values.count(HOSTILE) >= 5
    assert sum(HOSTILE in text for text in hostile.text) >= 10


def test_nothing_is_fetched_and_nothing_runs():
    reader = Reader(render_page(page_of("name")))
    links = [v for name, v in reader.attributes if name in ("src", "href", "srcset", "action")]
    assert links and all(link.startswith(("data:", "#")) for link in links)
    policy = dict(reader.attributes)["content"], reader.attributes
    assert any("default-src 'none'" in str(value) for _, value in reader.attributes), policy


def test_long_names_are_shortened_with_the_whole_one_at_hand():
    html = render_page(page_of("c" * 200))
    assert f'<span title="{"c" * 200}">{"c" * 27}…</span>' in html


def test_heat_and_series_colours_reach_the_style():
    html = render_page(page_of("name"))
    assert 'style="--heat: 0.500"' in html and "--colour: var(--series-1)" in html


def test_definitions_open_at_a_click_without_a_script_and_are_printed():
    reader = Reader(render_page(page_of("name")))
    assert reader.tags.count("details") == reader.tags.count("summary") == 6
    assert "script" not in reader.tags
    css = render_page(page_of("name")).split("@media print")[1]
    assert "details::details-content { content-visibility: visible" in css
    plain = Page("t", "s", [Section("t", [Table(["a"], [Row("b", ["c"])])])])
    assert "details" not in Reader(render_page(plain)).tags


def test_a_pair_is_one_picture_of_two_images():
    dark, light = np.zeros((3, 8, 8), np.uint8), np.full((3, 8, 8), 255, np.uint8)
    sprite = ImagePair([dark, light], "two").sprite()
    assert sprite.slots == 2 and sprite.width > 2 * sprite.height


def test_a_grid_without_images_is_written():
    grid = ImageGrid(["kept"], [ImageRow("empty class", [Strip([], "none")])])
    assert "empty class" in render_page(Page("t", "s", [Section("t", [grid])]))


def test_strips_of_a_grid_share_one_scale():
    image = np.zeros((3, 28, 28), np.uint8)
    rows = [ImageRow("a", [Strip([image] * 5, "a")]), ImageRow("b", [Strip([image] * 2, "b")])]
    (long,), (short,) = ImageGrid(["kept"], rows).sprites()
    assert long.width == short.width and long.slots == short.slots == 5


def test_the_file_is_there_in_full_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "new" / "report.html"
    write_page(page_of("first"), path)
    before = path.read_bytes()
    assert [file.name for file in path.parent.iterdir()] == ["report.html"]

    def full_disk(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full_disk)
    with pytest.raises(GendataError, match="the disk is full"):
        write_page(page_of("second"), path)
    assert path.read_bytes() == before
    assert [file.name for file in path.parent.iterdir()] == ["report.html"]
