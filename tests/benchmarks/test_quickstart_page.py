"""What the quickstart's page says of methods and filters."""

import pytest
import torch
from tiny import NAMES, TinyClassifier, TinySampler, TinySet

from gendata.benchmarks.quickstart import METHODS, Outcome, results_table
from gendata.benchmarks.quickstart_page import filter_section, result_section, summary, verdict
from gendata.clone import ConfidenceFilter, draw_clone
from gendata.page.blocks import KeyFigures, Table

RESULTS = {
    "fake": [0.50, 0.60],
    "pg": [0.70, 0.72],
    "real": [0.40, 0.42],
    "aug": [0.65, 0.65],
    "rg": [0.64, 0.66],
    "pg+rg": [0.80, 0.84],
}
COUNTS = {"clone": 300, "few": 30, "test": 1000, "epochs": 4, "seeds": 2}


def outcome(**known):
    nothing = {"samplers": {}, "clones": {}, "folders": {}, "gap": None}
    rest = {"results": RESULTS, "counts": COUNTS, "seconds": 1.0, "command": ""}
    return Outcome(**{**nothing, **rest, **known})


def test_summary_names_the_best_of_each_setting():
    assert summary(outcome(), METHODS) == (
        "Without a single real image, Pretrained Guidance is right on 71.0% of real test images "
        "(synthetic only (baseline) 55.0%). With 30 real images, Pretrained + Real Guidance is "
        "right on 82.0% of real test images (few real only 41.0%, both mixed (Aug.) 65.0%, Real "
        "Guidance 65.0%)."
    )


def test_results_show_means_spreads_and_the_best_of_each_setting():
    figures, table = result_section(outcome(), METHODS).blocks
    assert isinstance(figures, KeyFigures) and isinstance(table, Table)
    cells = {row.label: row.cells[1] for row in table.rows}
    baseline, best = cells["synthetic only (baseline)"], cells["Pretrained + Real Guidance"]
    assert (baseline.text, baseline.note) == ("55.0%", "± 7.1%")
    assert best.heat == 1 and cells["few real only"].heat == 0
    assert [head for head, cell in cells.items() if cell.strong] == [
        *("Pretrained Guidance", "Pretrained + Real Guidance")
    ]
    once = outcome(results={name: values[:1] for name, values in RESULTS.items()})
    once = outcome(results=once.results, counts={**COUNTS, "seeds": 1})
    assert result_section(once, METHODS).blocks[1].rows[0].cells[1].note == ""


def test_terminal_table_shows_every_seed():
    text = results_table(outcome()).text()
    assert "50.0%  60.0%" in text and "1,000 real test images" in text


class Turned(TinyClassifier):
    """The same judge with its outputs in another order."""

    def __init__(self):
        super().__init__()
        self.classes = NAMES[::-1]

    def probabilities(self, images):
        return super().probabilities(images).flip(1)


@pytest.mark.parametrize(
    ("sampler", "heading", "columns"),
    [
        (TinySampler(spoil=11), "Kept and rejected: tiny", 2),
        (TinySampler(None), "Kept: tiny", 1),
        (TinySet(), "Kept: tiny", 1),
    ],
    ids=["conditional", "unconditional", "finite"],
)
def test_rejected_images_are_shown_where_they_can_be_remade(tmp_path, sampler, heading, columns):
    judge = Turned()
    accept = ConfidenceFilter(judge, 0.6)
    clone = draw_clone(sampler, 12, tmp_path, filter=accept, batch_size=8, progress=False)
    found = outcome(samplers={"tiny": sampler}, clones={"tiny": clone}, folders={"tiny": tmp_path})
    section = filter_section(found, "tiny", judge)
    (grid,) = section.blocks
    assert section.title == heading and len(grid.columns) == columns
    assert {len(row.strips) for row in grid.rows} == {columns}
    assert sorted(row.label for row in grid.rows) == sorted(NAMES)
    for row in grid.rows if columns == 2 else []:
        away = row.strips[1]
        assert len(away.images) == len(away.notes)
        for image, note in zip(away.images, away.notes, strict=True):
            seen = judge.probabilities(torch.as_tensor(image)[None])[0]
            assert note == f"{judge.classes[int(seen.argmax())]} {float(seen.max()):.2f}"


def test_verdict_is_short():
    assert verdict(torch.tensor([0.1, 0.9]), ["a", "a very long name"]) == "a very  0.90"
