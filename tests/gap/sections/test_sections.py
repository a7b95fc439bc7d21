"""What the sections show of a report in which everything was measured, and of one without."""

import re

import pytest

from gendata.gap.measures.exchange import Equivalent
from gendata.gap.report.page import gap_page, gap_sections
from gendata.gap.result import GapReport, Source
from gendata.gap.sections import headlines
from gendata.gap.sections.losses import loss_section
from gendata.page import render_page
from gendata.page.blocks import ImageGrid, ImagePairs, KeyFigures, Page, Steps, Table

TITLES = [
    "In short",
    "What a synthetic image is worth",
    "Trained here, tested there",
    "What is news to the other's classifier",
    "How fast they are learnt",
    "Appearance, quality, content",
    "Near the real images, and all of them?",
    "Which real images are missing",
    "Are real images repeated?",
]


MADE = {}


def sections_of(report):
    """The sections of a report, made once."""
    if id(report) not in MADE:
        MADE[id(report)] = gap_sections(report)
    return MADE[id(report)]


def blocks_of(report, kind):
    return [block for s in sections_of(report) for block in s.blocks if isinstance(block, kind)]


def section(report, title):
    return next(each for each in sections_of(report) if each.title == title)


def test_all_sections_stand_in_order(report_of_two, report_of_one):
    for report in (report_of_two, report_of_one):
        titles = [each.title for each in sections_of(report)]
        assert titles[: len(TITLES)] == TITLES
        assert len(titles) == len(TITLES) + len(report.clones)


def test_what_was_not_measured_has_no_section():
    sources = [Source("real", "real", "r", 2, 2), Source("c", "clone", "c", 2, 2)]
    report = GapReport(classes=["a"], sources=sources)
    assert [each.title for each in gap_sections(report)] == ["In short"]
    assert "What c lacks against r" in render_page(gap_page(report))


def test_one_clone_has_key_figures_and_several_stand_side_by_side(report_of_one, report_of_two):
    (figures,) = blocks_of(report_of_one, KeyFigures)
    assert len(figures.figures) == 9 and all(each.definition for each in figures.figures)
    assert not blocks_of(report_of_two, KeyFigures)
    first = section(report_of_two, "In short").blocks[0]
    assert isinstance(first, Table) and list(first.columns) == list(report_of_two.clones)
    assert len(first.rows) == 9 and all(row.definition for row in first.rows)


def test_advice_is_given_for_each_clone(report_of_two):
    steps = [each for each in blocks_of(report_of_two, Steps)]
    assert len(steps) == 2 and all(each.steps for each in steps)


def test_the_class_table_starts_with_what_the_clone_lacks_most(report_of_two):
    cross = report_of_two.cross
    for clone in report_of_two.clones:
        mean = cross.class_asymmetry(clone).mean(axis=0)
        expected = sorted(zip(-mean, report_of_two.classes, strict=True), key=lambda each: each[0])
        tables = section(report_of_two, "What is news to the other's classifier").blocks
        table = next(each for each in tables if clone[:20] in getattr(each, "title", ""))
        assert [row.label for row in table.rows] == [name for _, name in expected]
        assert len(table.columns) == sum(span for _, span in table.groups) == 7
        assert all(len(row.cells) == 7 for row in table.rows)


def test_of_many_classes_the_most_asymmetric_are_shown(report_of_two, monkeypatch):
    monkeypatch.setattr("gendata.gap.sections.losses.SHOWN_CLASSES", 2)
    clone = next(iter(report_of_two.clones))
    asymmetry = abs(report_of_two.cross.class_asymmetry(clone).mean(axis=0))
    tables = loss_section(report_of_two, report_of_two.cross).blocks
    table = next(each for each in tables if clone[:20] in getattr(each, "title", ""))
    farthest = sorted(asymmetry)[-2:]
    shown = {row.label for row in table.rows}
    assert len(shown) == 2 and "The 2 most asymmetric classes" in table.caption
    for name, value in zip(report_of_two.classes, asymmetry, strict=True):
        assert (name in shown) == (value in farthest)


def test_missing_images_are_shown_by_group_beside_how_many_they_are(report_of_two):
    found = next(iter(report_of_two.clones.values()))
    grids = [each for each in blocks_of(report_of_two, ImageGrid) if "missing" in each.title]
    group, row = found.missing.groups[0], grids[0].rows[0]
    assert row.note == f"{len(group.rows)} of {group.size} uncovered"
    real, nearest = found.groups[0][0]
    assert (row.strips[0].images[0] == real).all() and (row.strips[1].images[0] == nearest).all()


def test_suspicious_pairs_are_synthetic_beside_real(report_of_one):
    (found,) = report_of_one.clones.values()
    pairs = blocks_of(report_of_one, ImagePairs)
    assert bool(pairs) == bool(found.memorisation.pairs)
    for block in pairs:
        for shown, images in zip(block.pairs, found.pairs, strict=False):
            assert (shown.images[0] == images[0]).all() and (shown.images[1] == images[1]).all()


@pytest.mark.parametrize("title", TITLES[1:])
def test_every_section_says_how_many_images_and_defines_its_figures(report_of_two, title):
    html = render_page(Page("t", "s", [section(report_of_two, title)]))
    if title != "How fast they are learnt":
        assert "<details" in html
        assert re.search(r"\d (\w+ ){0,2}images", html) or "seeds" in html


def test_no_number_is_nan_on_the_page(report_of_two):
    assert not re.search(
        r">\s*(nan|inf|None)\b", render_page(Page("t", "s", sections_of(report_of_two)))
    )


@pytest.mark.parametrize(
    ("value", "note", "undetermined", "shown"),
    [
        ("less than 0.62", "", False, ("< 0.62", "")),
        ("at least 1.0", "", False, ("≥ 1.0", "")),
        ("0.30", "0.21 to 0.39", False, ("0.30", "0.21 to 0.39")),
        ("not determined", "train more", True, ("–", "not determined: train more")),
    ],
)
def test_the_worth_is_short_enough_for_a_key_figure(
    report_of_one, monkeypatch, value, note, undetermined, shown
):
    monkeypatch.setattr(headlines, "rate_text", lambda exchange: (value, note))
    monkeypatch.setattr(Equivalent, "undetermined", undetermined)
    assert headlines.headlines(report_of_one)[0].values["a clone"] == shown
