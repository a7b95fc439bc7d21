"""Tables in every form: aligned text, Markdown, LaTeX that compiles, JSON."""

import json
import re
import shutil
import subprocess
from dataclasses import replace

import pytest

from gendata.benchmarks.tables import Table, latex_escaped

TABLE = Table(
    ("init", "method", "gan", "diffusion", "n"),
    [("random", "A_1 & B", "71.2 ± 0.4*", "–", "5"), ("random", "C|D", "[1]", "9 %", "5")],
    "Accuracy (%), λ = 1.",
    groups=[("", 2), ("Fashion-MNIST, 32 pixels", 2), ("", 1)],
    bold={(0, 2)},
    rules={0, 1},
    label="tab:zero shot",
)


def test_text_draws_rules_and_groups():
    assert TABLE.text().splitlines()[2:] == [
        "                 Fashion-MNIST, 32 pixels",
        "init    method   gan          diffusion    n",
        "------  -------  -----------  -----------  -",
        "random  A_1 & B  71.2 ± 0.4*  –            5",
        "------  -------  -----------  -----------  -",
        "random  C|D      [1]          9 %          5",
    ]


def test_markdown_escapes_and_sets_bold():
    head, rule, first, second = TABLE.markdown().splitlines()
    group = "Fashion-MNIST, 32 pixels"
    assert head == f"| init | method | {group}: gan | {group}: diffusion | n |"
    assert rule == "| --- | --- | --- | --- | --- |"
    assert first == "| random | A_1 & B | **71.2 ± 0.4\\*** | – | 5 |"
    assert second == "| random | C\\|D | [1] | 9 % | 5 |"
    assert "<script" not in Table(("a",), [("<script>",)]).markdown()


def test_latex():
    text = TABLE.latex()
    assert text.splitlines() == [
        r"% \usepackage{booktabs,amssymb,graphicx}",
        r"\begin{table}",
        r"\centering",
        r"\caption{Accuracy (\%), $\lambda$ = 1.}",
        r"\label{tab:zero-shot}",
        r"\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%",
        r"\begin{tabular}{lllll}",
        r"\toprule",
        r"\multicolumn{2}{l}{} & \multicolumn{2}{l}{Fashion-MNIST, 32 pixels} & "
        r"\multicolumn{1}{l}{} \\",
        r"\cmidrule(lr){3-4}",
        r"init & method & gan & diffusion & n \\",
        r"\midrule",
        r"random & A\_1 \& B & \textbf{71.2 $\pm$ 0.4$^{*}$} & -- & 5 \\",
        r"\midrule",
        r"random & C$|$D & {[}1] & 9 \% & 5 \\",
        r"\bottomrule",
        r"\end{tabular}}",
        r"\end{table}",
    ]


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="needs LaTeX")
def test_latex_compiles_and_fits_the_line(tmp_path):
    wide = replace(TABLE, rows=[["a long name of a method"] * 5, TABLE.rows[1]], label="tab:wide")
    body = "\n".join(table.latex() for table in (TABLE, wide))
    packages = r"\usepackage{booktabs,amssymb,graphicx}"
    document = rf"\documentclass{{article}}{packages}\begin{{document}}{body}\end{{document}}"
    (tmp_path / "tables.tex").write_text(document, encoding="utf-8")
    run = subprocess.run(
        ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "tables.tex"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        errors="replace",
    )
    assert run.returncode == 0, run.stdout
    assert "Overfull" not in run.stdout
    assert (tmp_path / "tables.pdf").stat().st_size


@pytest.mark.parametrize("text", ["a&b", "50%", "$5", "#1", "a_b", "{x}", "~", "^", "\\", "[n=3]"])
def test_latex_leaves_no_special_bare(text):
    """What is left after the commands of the escapes are taken out has no meaning to LaTeX."""
    escaped = latex_escaped(text)
    assert escaped != text or text == "n"
    bare = re.sub(r"\\(text\w+)\{\}|\\[&%$#_{}]|\{\[\}", "", escaped)
    assert not re.search(r"[&%$#_{}~^\\]", bare)


def test_latex_signs():
    assert latex_escaped("1 ± 2** †\n✓ ≤ <") == (
        r"1 $\pm$ 2$^{**}$ $^{\dagger}$ $\checkmark$ $\leq$ $<$"
    )


def test_json():
    found = json.loads(TABLE.json())
    assert found["columns"] == ["init", "method", "gan", "diffusion", "n"]
    assert found["rows"][0] == ["random", "A_1 & B", "71.2 ± 0.4*", "–", "5"]
    assert found["bold"] == [[0, 2]] and found["groups"][1] == ["Fashion-MNIST, 32 pixels", 2]
    assert found["caption"] == TABLE.caption
