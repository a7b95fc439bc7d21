"""The picture of a study: what it shows, that nothing overlaps or is cut off, its files."""

import itertools
from xml.etree import ElementTree

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text
from study_records import runs

from gendata.benchmarks.protocol.layout import arranged
from gendata.benchmarks.protocol.plot import _styles, plot_results
from gendata.benchmarks.protocol.statistics import summarise
from gendata.errors import GendataError

GENERATOR = np.random.default_rng(5)


def around(mean, n=5):
    return (mean + 0.005 * GENERATOR.standard_normal(n)).clip(0, 1).tolist()


def study(sources=("gan", "diffusion"), n=5, **changes):
    records = []
    for source in sources:
        place = {"source": source, **changes}
        records += runs("Fake", around(0.71, n), method="fake", **place)
        records += runs("Aug.", around(0.76, n), method="aug", **place)
        name = "Real Guidance and Pretrained Guidance on both"
        records += runs(name, around(0.79, n), method="pg+rg", baseline="Aug.", **place)
        records += runs("PG $x_1$ <b>", around(0.73, n), method="pg", baseline="Fake", **place)
    return [*records, *runs("Real", around(0.68, n), method="real", source=None, **changes)]


@pytest.fixture
def drawn(monkeypatch):
    """Keeps the figures that are drawn."""
    figures = []
    original = Figure.savefig

    def savefig(self, *arguments, **keywords):
        figures.append(self)
        return original(self, *arguments, **keywords)

    monkeypatch.setattr(Figure, "savefig", savefig)
    return figures


def texts_of(figure):
    """Every visible text with its place in pixels."""
    renderer = FigureCanvasAgg(figure).get_renderer()
    figure.draw(renderer)
    ticks = {
        id(label): low <= place <= high
        for axes in figure.axes
        for axis in (axes.xaxis, axes.yaxis)
        for low, high in [sorted(axis.get_view_interval())]
        for place, label in zip(axis.get_majorticklocs(), axis.get_majorticklabels(), strict=True)
    }
    return [
        (text.get_text(), text.get_window_extent(renderer))
        for text in figure.findobj(Text)
        if text.get_visible() and text.get_text().strip() and ticks.get(id(text), True)
    ]


def assert_legible(figure):
    """No text runs into another or out of the picture."""
    width, height = figure.get_size_inches() * figure.dpi
    texts = texts_of(figure)
    assert texts
    for text, box in texts:
        inside = box.x0 >= -1 and box.y0 >= -1 and box.x1 <= width + 1 and box.y1 <= height + 1
        assert inside, f"'{text}' is cut off"
    for (one, box), (other, its) in itertools.combinations(texts, 2):
        across = min(box.x1, its.x1) - max(box.x0, its.x0)
        down = min(box.y1, its.y1) - max(box.y0, its.y0)
        assert across < 1 or down < 1, f"'{one}' and '{other}' overlap"


def sizes(kind):
    """Studies of all shapes that a user may ask for."""
    many = [each for i in range(6) for each in runs(f"method {i}", around(0.7 + i / 50))]
    return {
        "three": study(("gan", "diffusion", "a generator with a rather long name of its own")),
        "five": study(tuple("abcde")),
        "inits": [*study(), *study(init="imagenet")],
        "one seed": study(n=1),
        "rows": [*study(("gan",)), *many],
        "shots": [e for shots in (5, 10, 100) for e in study(shots=shots)],
        "per_class": [e for n in (50, 100) for e in study(("gan",), per_class=n)],
    }[kind]


@pytest.mark.parametrize(
    "kind",
    ["three", "five", "inits", "one seed", "rows", "shots", "per_class"],
)
def test_texts_neither_overlap_nor_are_cut_off(kind, drawn, tmp_path):
    plot_results(sizes(kind), tmp_path / "results.png")
    assert_legible(drawn[0])


def marks(axes, marker):
    return [line for line in axes.lines if line.get_marker() == marker]


def test_every_seed_and_every_mean_is_shown(drawn, tmp_path):
    records = study(("gan",))
    plot_results(records, tmp_path / "results.png")
    (axes,) = drawn[0].axes
    shown = sorted(x for line in marks(axes, "o") for x in line.get_xdata())
    assert shown == pytest.approx(sorted(100 * each["accuracy"] for each in records))
    order = [label.get_text() for label in axes.get_yticklabels()]
    assert [name[:4] for name in order] == ["Real", "Fake", "Aug.", "PG $", "Real"]
    means = {line.get_ydata()[0]: line.get_xdata()[0] for line in marks(axes, "D")}
    fake = [100 * each["accuracy"] for each in records if each["row"] == "Fake"]
    assert means[order.index("Fake")] == pytest.approx(np.mean(fake))
    low, high = axes.get_xlim()
    assert low < min(shown) and max(shown) < high


def test_what_differs_from_its_baseline_is_filled(drawn, tmp_path):
    base = [0.700, 0.710, 0.705, 0.712, 0.698]
    records = [
        *runs("Aug.", base, method="aug"),
        *runs(
            "RG", [each + 0.02 + 0.001 * (i % 2) for i, each in enumerate(base)], baseline="Aug."
        ),
        *runs("DANN", [0.71, 0.70, 0.71, 0.70, 0.71], baseline="Aug."),
    ]
    plot_results(records, tmp_path / "results.png")
    (axes,) = drawn[0].axes
    order = [label.get_text() for label in axes.get_yticklabels()]
    faces = {
        order[int(line.get_ydata()[0])]: line.get_markerfacecolor() for line in marks(axes, "D")
    }
    assert faces == {"Aug.": "w", "RG": "k", "DANN": "w"}
    dashed = [
        line for line in axes.lines if line.get_linestyle() == "--" and len(line.get_xdata())
    ]
    assert [line.get_xdata()[0] for line in dashed] == pytest.approx([100 * np.mean(base)])


def test_two_seeds_have_no_interval_in_the_picture(drawn, tmp_path):
    """That of two seeds half a point apart is nine points wide."""
    plot_results(
        [*runs("Fake", [0.7, 0.71]), *runs("PG", [0.72, 0.715])], tmp_path / "results.png"
    )
    (axes,) = drawn[0].axes
    low, high = axes.get_xlim()
    assert high - low < 3
    assert "interval" not in "".join(each.get_text() for each in drawn[0].legends[0].get_texts())


def test_panels_of_one_data_set_share_their_range(drawn, tmp_path):
    plot_results(sizes("inits"), tmp_path / "results.png")
    assert len(drawn[0].axes) == 4
    assert len({axes.get_xlim() for axes in drawn[0].axes}) == 1
    titles = [axes.get_title(loc="left") for axes in drawn[0].axes]
    assert titles[0] == "Fashion-MNIST, gan\nrandom" and titles[3].endswith("diffusion\nimagenet")


def test_curves_over_shots(drawn, tmp_path):
    records = []
    for shots, mean in ((10, 0.6), (100, 0.7), (1000, 0.8)):
        records += runs("RG", around(mean), shots=shots)
        records += runs("Aug.", around(mean - 0.05), shots=shots)
    records += runs("Fake", [0.5, 0.52], method="fake")
    plot_results(records, tmp_path / "results.png")
    (axes,) = drawn[0].axes
    assert axes.get_xscale() == "log"
    curves = {line.get_label(): line for line in drawn[0].legends[0].get_lines()}
    assert set(curves) == {"RG", "Aug."}  # what has no shots is a level line with its name
    assert len({line.get_marker() for line in curves.values()}) == 2
    lines = [line for line in axes.lines if list(line.get_xdata()) == [10, 100, 1000]]
    expected = [
        100 * np.mean([e["accuracy"] for e in records if (e["row"], e["shots"]) == ("RG", shots)])
        for shots in (10, 100, 1000)
    ]
    assert any(list(line.get_ydata()) == pytest.approx(expected) for line in lines)
    assert "Fake" in [text.get_text() for text in axes.texts]
    assert any(list(line.get_ydata()) == pytest.approx([51, 51]) for line in axes.lines)


def test_names_are_shown_as_they_are(tmp_path):
    path = plot_results(study(), tmp_path / "results.svg")
    words = [e.text for e in ElementTree.parse(path).iter() if e.tag.endswith("text")]
    assert "PG $x_1$ <b>" in words and "mean of Aug." in words


@pytest.mark.parametrize("suffix", ["png", "svg", "pdf"])
def test_the_same_runs_give_the_same_bytes(suffix, tmp_path):
    records = study(("gan",))
    paths = [plot_results(records, tmp_path / f"{name}.{suffix}") for name in "ab"]
    one, other = (path.read_bytes() for path in paths)
    start = {"png": b"\x89PNG", "svg": b"<?xml", "pdf": b"%PDF"}[suffix]
    assert one == other and one.startswith(start)


def test_another_kind_of_file_is_refused(tmp_path):
    with pytest.raises(GendataError, match=r"found \.jpg; expected \.png, \.svg, \.pdf"):
        plot_results(study(), tmp_path / "results.jpg")
    assert not list(tmp_path.iterdir())


def test_marks_do_not_need_colour():
    (part,) = arranged(summarise(sizes("shots")), "low-shot")
    styles = _styles([(part, [])], "shots")
    assert len({(style["marker"], style["ls"]) for style in styles.values()}) == len(styles) > 3
