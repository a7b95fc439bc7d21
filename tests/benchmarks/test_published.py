"""The paper's figures: against its text, line by line, and against what it says about them."""

import re

import pytest

from gendata.benchmarks.protocol.published import SOURCES, published, same_data


@pytest.fixture(scope="module")
def lines(shared):
    texts = [path.read_text(encoding="utf-8") for path in (shared / "papers").glob("003_*.txt")]
    if not texts:
        pytest.skip("needs the paper's text")
    return texts[0].splitlines()


def numbers(line):
    """Figures of a line of the text without its citations."""
    return [float(each) for each in re.findall(r"\d+\.\d+", re.sub(r"\[\d+\]", "", line))]


def printed(lines, caption, *, upto):
    """Lines of a table that hold figures, by the label they begin with, in order."""
    start = next(i for i, line in enumerate(lines) if line.startswith(caption))
    table = [line for line in lines[start + 1 : start + upto] if "\t" in line and numbers(line)]
    return [line for line in table if not line.startswith(("Dataset", "Source"))]


def figures(table, row, part=""):
    return [each.accuracy for each in published(table) if (each.row, each.part) == (row, part)]


def test_table_1(lines):
    rows = printed(lines, "Table 1.", upto=8)
    assert [numbers(row) for row in rows] == [
        figures("table1", row) for row in ("Real", "LSGM", "SG-XL")
    ]


def test_table_2(lines):
    rows = printed(lines, "Table 2.", upto=18)
    names = ["Baseline", "ASG", "CSG", "Ours (L1)", "Ours (KL)", "Real"]
    expected = [(part, row) for part in "AB" for row in names]
    assert len(rows) == len(expected)
    for line, (part, row) in zip(rows, expected, strict=True):
        assert f"\t{row}" in line
        assert numbers(line) == figures("table2", row, part)


def test_table_3(lines):
    rows = printed(lines, "Table 3.", upto=10)
    assert [row.split("\t")[0].split(" [")[0] for row in rows] == [
        "Baseline",
        "ASG",
        "Ours (L1)",
        "Ours (KL)",
        "Real",
    ]
    for line in rows:
        assert numbers(line) == figures("table3", line.split("\t")[0].split(" [")[0])


def test_table_4(lines):
    rows = printed(lines, "Table 4.", upto=22)
    assert len(rows) == 14
    for line in rows[:9]:
        name = line.split("\t")[0].split(" [")[0]
        assert numbers(line) == figures("table4", name)
    head = next(line for line in lines if line.startswith("Source\tRG"))
    for line in rows[9:]:
        marks = dict(zip(head.split("\t")[1:4], line.split("\t")[1:4], strict=True))
        names = [name for name in ("RG", "PG-R", "PG-F") if marks[name] == "v"]
        assert numbers(line) == figures("table4", f"Ours ({', '.join(names)})")


def test_what_the_paper_says_about_its_figures():
    def value(table, row, source, part="", data="CIFAR-10"):
        found = [
            each.accuracy
            for each in published(table)
            if (each.row, each.source, each.part, each.data) == (row, source, part, data)
        ]
        assert len(found) == 1
        return found[0]

    for data, source in SOURCES:
        # Table 4 starts from ImageNet weights, as part (B) of Table 2.
        assert value("table4", "Baseline (Fake)", source, data=data) == value(
            "table2", "Baseline", source, "B", data
        )
    for source in ("LSGM", "SG-XL"):
        assert value("table4", "Ours (RG)", source) == value("table4", "A-GEM", source)
    assert value("table4", "Ours (RG, PG-R, PG-F)", "SG-XL") == 81.93
    assert value("table3", "Ours (KL)", "SG-XL") > value("table3", "ASG", "SG-XL")
    assert value("table1", "Real", "Real") == 96.34


def test_figures_are_percentages_and_stand_once():
    for table in ("table1", "table2", "table3", "table4"):
        places = [(e.part, e.row, e.data, e.source) for e in published(table)]
        assert len(set(places)) == len(places)
        assert all(1 < each.accuracy < 100 for each in published(table))


@pytest.mark.parametrize(
    ("ours", "theirs", "same"),
    [
        ("CIFAR-10", "CIFAR-10", True),
        ("cifar10:train", "CIFAR-10", True),
        ("data/cifar10/", "CIFAR-10", True),
        ("cifar100", "CIFAR-10", False),
        ("CUB-200-2011", "CUB", True),
        ("oxford-flowers", "Flower", True),
        ("SDI-A", "SDI-A", True),
        ("SDI-A", "SDI-B", False),
        ("Fashion-MNIST", "CUB", False),
    ],
)
def test_names_of_data_sets(ours, theirs, same):
    assert same_data(ours, theirs) is same
