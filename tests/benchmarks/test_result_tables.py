"""Tables of results: the paper's layouts, what each sign means, and the files they go to."""

import csv
import json
import re
import statistics

import pytest
from study_records import record, runs

from gendata.benchmarks.protocol.result_tables import (
    comparison_table,
    results_table,
    write_results,
)
from gendata.benchmarks.protocol.statistics import summarise
from gendata.errors import GendataError

BASE = [0.700, 0.710, 0.705, 0.712, 0.698]
BETTER = [0.721, 0.728, 0.726, 0.731, 0.720]


def cells(table):
    """The table as a list of mappings from column to cell."""
    return [dict(zip(table.columns, row, strict=True)) for row in table.rows]


def row_named(table, method, **others):
    found = [
        row
        for row in cells(table)
        if row["method"] == method and all(row[k] == v for k, v in others.items())
    ]
    assert len(found) == 1
    return found[0]


def bold_cells(table):
    return {(table.rows[row][0], table.columns[column]) for row, column in table.bold}


def ours(label, method, acts_on=None, **changes):
    options = {} if acts_on is None else {"pg_on": acts_on}
    return runs(label, BETTER, method=method, options=options, **{"baseline": "Aug.", **changes})


def low_shot():
    """All rows of Table 4, in an order that is not its own."""
    return [
        *ours("all three", "pg+rg"),
        *ours("RG", "rg"),
        *ours("PG mixed", "pg", "fr"),
        *ours("RG and PG-F", "pg+rg", "f"),
        *ours("RG and PG-R", "pg+rg", "r"),
        *runs("A-GEM", BASE, method="a-gem", baseline="Aug.", shots=10),
        *runs("New", BASE, method="somebody-else", baseline="Aug."),
        *runs("LTDA", BASE[:3], method="ltda", baseline="Aug."),
        *runs("ADDA", BASE, method="adda"),
        *runs("DADA", BASE, method="dada"),
        *runs("DANN", BASE, method="dann"),
        *runs("Aug.", BASE, method="aug"),
        *runs("Adp.", BASE, method="adp"),
        *runs("Fake", BASE, method="fake"),
        *runs("Real", [0.9] * 5, method="real", source=None),
    ]


def test_low_shot_layout_is_table_4():
    table = results_table(low_shot(), "low-shot")
    assert table.columns[:4] == ["method", "RG", "PG-R", "PG-F"]
    assert [row[:4] for row in table.rows] == [
        ["Real", "-", "-", "-"],
        ["Fake", "-", "-", "-"],
        ["Adp.", "-", "-", "-"],
        ["Aug.", "-", "-", "-"],
        ["ADDA", "-", "-", "-"],
        ["DADA", "-", "-", "-"],
        ["DANN", "-", "-", "-"],
        ["LTDA", "-", "-", "-"],
        ["A-GEM", "-", "-", "-"],
        ["New", "-", "-", "-"],
        ["PG mixed", "-", "✓", "✓"],
        ["RG", "✓", "-", "-"],
        ["RG and PG-R", "✓", "✓", "-"],
        ["RG and PG-F", "✓", "-", "✓"],
        ["all three", "✓", "✓", "✓"],
    ]
    assert table.rules == {0, 4, 10}


def test_zero_shot_layout_is_table_2():
    records = []
    for init in ("imagenet", "random"):
        for source in ("gan", "diffusion"):
            place = {"init": init, "source": source, "setting": "zero-shot"}
            kl = {"method": "pg", "options": {"pg_loss": "kl"}}
            records += runs("Ours (KL)", BETTER, **kl, **place, baseline="Baseline")
            records += runs("Ours (L1)", BASE, **{**kl, "options": {"pg_loss": "l1"}}, **place)
            records += runs("ASG", BASE, method="asg", **place)
            records += runs("Baseline", BASE, method="fake", **place)
        records += runs("Real", [0.9] * 5, method="real", **{**place, "source": None})
    table = results_table(records, "zero-shot")
    assert table.columns == ["init", "method", "gan", "diffusion"]
    assert table.groups == [("", 2), ("Fashion-MNIST", 2)]
    names = ["Baseline", "ASG", "Ours (L1)", "Ours (KL)", "Real"]
    assert [row[:2] for row in table.rows] == [
        [init, name] for init in ("random", "imagenet") for name in names
    ]
    # Training on all real images has no rival; the best of each column and part is another.
    assert {table.rows[row][1] for row, _ in table.bold} == {"Ours (KL)"} and len(table.bold) == 4


def test_table_3_has_a_part_for_each_network():
    records = [
        *runs("Baseline", BASE, method="fake", network="wide"),
        *runs("Baseline", BETTER, method="fake", network="narrow"),
    ]
    table = results_table(records, "table3")
    assert table.columns == ["network", "method", "gan"]
    assert [row[0] for row in table.rows] == ["wide", "narrow"]


def test_a_cell_is_mean_and_sample_deviation_in_percent():
    found = row_named(results_table(runs("Fake", BASE)), "Fake")["gan"]
    expected = f"{100 * statistics.mean(BASE):.1f} ± {100 * statistics.stdev(BASE):.1f}"
    assert found == expected == "70.5 ± 0.6"
    assert row_named(results_table([record("Fake", 0, 0.7)]), "Fake")["gan"] == "70.0"


def test_marks_follow_the_corrected_p_and_its_direction():
    records = [
        *runs("Aug.", BASE, method="aug"),
        *runs("RG", BETTER, baseline="Aug."),
        *runs("ADDA", [b - (a - b) for a, b in zip(BETTER, BASE, strict=True)], baseline="Aug."),
        *runs("DANN", [0.71, 0.70, 0.71, 0.70, 0.71], baseline="Aug."),
    ]
    table = results_table(records, "low-shot")
    p = {e.row: e.comparison.holm_p for e in summarise(records) if e.comparison}
    assert p["RG"] < 0.001 and p["ADDA"] < 0.05 and p["DANN"] > 0.05
    assert row_named(table, "RG")["gan"].endswith("***")
    assert row_named(table, "ADDA")["gan"].endswith("†")
    assert re.fullmatch(r"[\d.]+ ± [\d.]+", row_named(table, "DANN")["gan"])
    assert "Holm" in table.caption and "paired" in table.caption


def test_other_numbers_of_seeds_are_shown():
    table = results_table(low_shot(), "low-shot")
    assert row_named(table, "LTDA")["gan"].endswith("(n=3)")
    assert "(n=" not in row_named(table, "ADDA")["gan"]
    assert "over 5 seeds unless n says otherwise" in table.caption
    assert "unless" not in results_table(runs("Fake", BASE)).caption


def test_the_best_of_each_column_is_bold():
    records = [
        *runs("Aug.", BASE, method="aug"),
        *runs("RG", BETTER),
        *runs("Aug.", BETTER, method="aug", source="diffusion"),
        *runs("RG", BASE, source="diffusion"),
        *runs("Real", [0.99] * 5, source=None),
    ]
    table = results_table(records, "low-shot")
    assert bold_cells(table) == {("RG", "gan"), ("Aug.", "diffusion")}
    few = [{**each, "shots": 10} for each in records if each["row"] != "Real"]
    few += runs("Few", [0.99] * 5, method="real", source=None, shots=10)
    assert {row for row, _ in bold_cells(results_table(few, "low-shot"))} == {"Few"}
    assert not results_table(runs("RG", BASE)).bold  # without a rival nothing is best


def test_the_selection_rule_is_named_and_the_oracle_is_marked():
    assert "last epoch" in results_table(runs("Fake", BASE)).caption
    both = [*runs("Fake", BASE), *runs("Fake", BETTER, select="oracle")]
    table = results_table(both)
    assert "ORACLE" in table.caption and "no fair figure" in table.caption
    assert [row["select"] for row in cells(table)] == ["last", "oracle"]


def test_the_student_is_named_once():
    records = runs("Fake", BASE, method="fake")
    assert "Student: small-cnn, random initial weights." in results_table(records).caption
    records += runs("Fake", BASE, method="fake", init="imagenet")
    table = results_table(records, "low-shot")
    assert "Student" not in table.caption and table.columns[0] == "init"


def test_shots_and_synthetic_images_make_columns_of_their_own():
    records = [
        *runs("Fake", BASE, method="fake"),
        *runs("Fake", BETTER, method="fake", source="diffusion"),
        *runs("RG", BASE, shots=100),
        *runs("RG", BETTER, shots=10),
    ]
    table = results_table(records, "low-shot")
    assert table.columns[4:] == ["gan, 10 shots", "gan, 100 shots", "diffusion"]
    # What has no shots is the same run in each column; what was not run is said to be missing.
    assert row_named(table, "Fake")["gan, 10 shots"] == row_named(table, "Fake")["gan, 100 shots"]
    assert row_named(table, "RG")["diffusion"] == "–"
    sizes = [*runs("Fake", BASE, per_class=1000), *runs("Fake", BASE, per_class=50)]
    assert results_table(sizes).columns[-2:] == ["gan, 50 a class", "gan, 1,000 a class"]


def test_the_papers_figures_stand_beside_ours():
    place = {"data": "cifar10:train", "source": "own-gan", "init": "imagenet"}
    records = [
        *runs("Fake", BASE, method="fake", **place),
        *ours("all", "pg+rg", shots=10, **place),
        *runs("Few", BASE, method="real", shots=10, **{**place, "source": None}),
        *runs("Real", BASE, method="real", **{**place, "source": None}),
        *runs("Fake", BASE, method="fake"),
    ]
    table = results_table(records, "low-shot", beside="table4")
    assert table.columns[5:] == ["own-gan, 10 shots", "paper: LSGM", "paper: SG-XL", "gan"]
    assert table.groups[1:] == [("cifar10:train", 3), ("Fashion-MNIST", 1)]
    paper = {
        row["method"]: (row["paper: LSGM"], row["paper: SG-XL"])
        for row in cells(table)
        if row["init"] == "imagenet"
    }
    assert paper == {
        "Fake": ("85.57", "78.94"),
        "all": ("85.94", "81.93"),
        "Real": ("91.80", "91.80"),  # all of them, which the few are not
        "Few": ("–", "–"),
    }
    assert "Table 4 of Wang et al. 2024" in table.caption
    own = results_table(runs("Fake", BASE), beside="table3")
    assert own.columns[-1] == "gan" and "none of these data sets" in own.caption


def test_table_2_compares_equal_initial_weights():
    place = {"data": "CIFAR-10", "method": "fake"}
    records = [*runs("Fake", BASE, **place), *runs("Fake", BASE, init="imagenet", **place)]
    table = results_table(records, beside="table2")
    assert [row["paper: SG-XL"] for row in cells(table)] == ["72.22", "78.94"]


def test_comparisons_show_every_test():
    records = [*runs("RG", BETTER, baseline="Aug."), *runs("Aug.", BASE)]
    table = comparison_table(summarise(records))
    (row,) = cells(table)
    found = next(e for e in summarise(records) if e.row == "RG").comparison
    assert row["baseline"] == "Aug." and row["seeds"] == "5"
    mean = 100 * statistics.mean(a - b for a, b in zip(BETTER, BASE, strict=True))
    assert row["difference"] == f"{mean:+.2f} ± {100 * found.error:.2f}"
    assert float(row["p (sign flips)"]) == 2 / 32 == 0.0625
    assert row["p"] == ("<0.0001" if found.p < 0.0001 else f"{found.p:.4f}")
    alone = comparison_table(summarise([record("RG", 0, 0.7, baseline="Aug.")]))
    assert cells(alone)[0]["p"] == "–" and "no finished run" in cells(alone)[0]["note"]


def test_all_files_are_written_and_agree(tmp_path):
    records = low_shot()
    records[0] = {**records[0], "command": "gendata bench low-shot --seeds 9", "seconds": 3600}
    records[1] = {**records[1], "last_accuracy": float("nan")}
    table = write_results(records, tmp_path / "out", "low-shot")
    out = tmp_path / "out"
    assert {path.name for path in out.iterdir()} == {
        f"results.{kind}" for kind in ("json", "md", "tex", "txt", "csv")
    }
    content = json.loads((out / "results.json").read_text(), parse_constant=pytest.fail)
    assert content["table"] == json.loads(table.json())
    assert content["runs"][1]["last_accuracy"] is None and len(content["runs"]) == len(records)
    assert content["provenance"]["commands"]["gendata bench low-shot --seeds 9"] == ["all three"]
    assert content["provenance"]["seeds"] == [0, 1, 2, 3, 4]
    page = (out / "results.md").read_text()
    assert table.markdown() in page and "- Device: cpu" in page and "torch 2.9" in page
    assert "\n```\ngendata bench low-shot --seeds 9\n```\n" in page
    assert table.latex() in (out / "results.tex").read_text()
    assert table.text() in (out / "results.txt").read_text()
    lines = list(csv.DictReader((out / "results.csv").read_text().splitlines()))
    assert [float(line["accuracy"]) for line in lines] == [each["accuracy"] for each in records]
    assert lines[1]["last_accuracy"] == ""


def test_latex_of_a_study_is_balanced(tmp_path):
    write_results(low_shot(), tmp_path, "low-shot")
    text = (tmp_path / "results.tex").read_text()
    bare = text.replace(r"\{", "").replace(r"\}", "").replace(r"\$", "")
    assert bare.count("{") == bare.count("}") and bare.count("$") % 2 == 0
    for table in text.split(r"\begin{tabular}")[1:]:
        columns = len(re.match(r"\{(l+)\}", table)[1])
        for line in table.splitlines():
            if line.endswith(r"\\") and "multicolumn" not in line:
                assert len(re.findall(r"(?<!\\)&", line)) == columns - 1
    assert all(ord(each) < 128 for each in text)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"layout": "table9"}, "unknown layout; found table9; expected one of zero-shot"),
        ({"beside": "table1"}, "unknown table of the paper; found table1"),
    ],
)
def test_unknown_layouts_are_refused(arguments, message, tmp_path):
    with pytest.raises(GendataError, match=message):
        write_results(runs("Fake", BASE), tmp_path / "out", **arguments)
    assert not (tmp_path / "out").exists()
