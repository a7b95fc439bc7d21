import re
import warnings
from xml.etree import ElementTree

import numpy as np
import pytest

from gendata.gap.cross_source.losses import EDGES
from gendata.gap.report.figures import (
    LABEL_SPACING,
    Dots,
    Line,
    _spread_out,
    curve_panel,
    interval_panel,
    loss_panel,
)

HOSTILE = ("<script>alert(1)</script>", "\"'>&", "$x^2$", "😀的", "a\x00b\u202e", "c" * 200)
EPOCHS = np.arange(1, 6)


def line(name, height=0.5, colour=0):
    return Line(name, EPOCHS, np.full(5, height), np.full(5, 0.01), colour)


def texts(svg):
    root = ElementTree.fromstring(svg)
    return ["".join(element.itertext()) for element in root.iter() if element.tag.endswith("text")]


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_are_text_in_both_figures(name):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        curves = curve_panel([line(name), line("other", 0.9, 1)], name, percent=True).svg
        shares = np.full(len(EDGES) + 1, 1 / 37)
        bars = Line(name, shares, shares, shares, 1)
        losses = loss_panel(name, bars, line_of(shares), (0.5, 0.1), (0.1, 0.4)).svg
    for svg in (curves, losses):
        root = ElementTree.fromstring(svg)
        assert root.get("role") == "img" and name[:1] in root.get("aria-label")
        assert not any(element.tag.endswith("script") for element in root.iter())
        shown = name.split("\x00")[0][:14]
        assert any(shown in text for text in texts(svg))


def line_of(shares):
    return Line("real", shares, shares, shares, 0)


def test_figures_wear_the_page_and_repeat_no_id():
    first = curve_panel([line("a")], "t", percent=True).svg
    second = curve_panel([line("b")], "t", percent=False).svg
    assert "var(--series-0" in first and "var(--muted" in first
    assert "DejaVu" not in first and "<style" not in first and "<metadata" not in first
    ids = [
        element.get("id")
        for svg in (first, second)
        for element in ElementTree.fromstring(svg).iter()
        if element.get("id")
    ]
    assert len(ids) == len(set(ids)) > 0
    for svg in (first, second):
        for element in ElementTree.fromstring(svg).iter():
            target = element.get("href") or element.get("clip-path", "")[4:-1]
            assert not target or target[1:] in ids


def test_the_same_lines_give_the_same_bytes():
    assert curve_panel([line("a")], "t", percent=True) == curve_panel(
        [line("a")], "t", percent=True
    )


def test_the_two_shares_stand_in_the_figure_and_in_its_description():
    shares = np.zeros(len(EDGES) + 1)
    shares[0] = 1
    panel = loss_panel("t", line_of(shares), line_of(shares), (0.714, 0.38), (0.02, 0.145))
    assert {"71.4% real", "38.0% real", "real 2.0%", "real 14.5%"} <= set(texts(panel.svg))
    assert "71.4% of the images below 0.01, 2.0% above 1" in panel.svg


def test_labels_are_moved_apart_in_order():
    placed = _spread_out([0.99, 0.98, 0.985, 0.2])
    assert np.argsort(placed).tolist() == [3, 1, 2, 0]
    assert np.diff(sorted(placed)).min() >= LABEL_SPACING - 1e-9
    assert max(placed) <= 1 and placed[3] == 0.2


def test_a_single_epoch_and_a_single_seed_are_drawn():
    point = Line("a", [1], [0.5], [float("nan")], 0)
    assert "var(--series-0" in curve_panel([point], "t", percent=True).svg


def test_intervals_are_drawn_from_the_top_down_and_described():
    dots = [
        Dots("one", [0.2, 0.9], [0.1, 0.8], [0.3, 1.0], 1),
        Dots("<b>", [0.0, 0.5], [0.0, 0.4], [0.1, 0.6], 2),
    ]
    panel = interval_panel("parts", ["appearance", "quality"], dots, [0.05, float("nan")])
    root = ElementTree.fromstring(panel.svg)
    assert "one: appearance 0.20, quality 0.90. <b>: appearance 0.00" in root.get("aria-label")
    heights = {
        text: float(element.get("y") or re.search(r"[ ,(]([\d.]+)\)", element.get("transform"))[1])
        for element in root.iter()
        if element.tag.endswith("text") and (text := "".join(element.itertext())) in NAMES
    }
    assert heights["appearance"] < heights["quality"]
    assert "var(--series-1" in panel.svg and "var(--series-2" in panel.svg


NAMES = ("appearance", "quality")


def test_sizes_are_set_out_by_their_logarithms():
    sizes = Line("a", [1, 10, 100], [0.1, 0.5, 0.9], [0, 0, 0], 0)
    panel = curve_panel([sizes], "t", percent=True, x_label="images", ticks=[1, 10, 100])
    assert {"1", "10", "100"} <= set(texts(panel.svg))
    number, lines = r"([\d.]+) [\d.]+\s+", []
    for element in ElementTree.fromstring(panel.svg).iter():
        match = re.fullmatch(f"M {number}L {number}L {number}", element.get("d", ""))
        lines += [match] if match else []
    first, middle, last = map(float, lines[0].groups())
    assert middle - first == pytest.approx(last - middle, rel=1e-3)
