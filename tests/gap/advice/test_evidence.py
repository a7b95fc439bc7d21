import json

import pytest

from gendata.gap.advice.evidence import evidence_of
from gendata.gap.result import CloneFindings


def test_every_figure_that_was_measured_is_taken(report_of_one):
    (found,) = report_of_one.clones.values()
    evidence = evidence_of(found, "nowhere")
    assert evidence.precision == found.fidelity.overall.estimates["precision"]
    assert evidence.content == found.decomposition.content
    assert evidence.quality == found.decomposition.quality
    assert evidence.uncovered.value == pytest.approx(found.missing.excess)
    assert evidence.copied == found.memorisation.look_alikes.excess  # no pixels were read
    assert evidence.gain == found.worth.exchange.synthetic_ahead[0].gain
    assert evidence.rate.value == found.worth.exchange.at_size.rate.value
    assert evidence.passing is None


def test_what_was_not_measured_stays_unknown():
    assert set(vars(evidence_of(CloneFindings(), "nowhere")).values()) == {None}


@pytest.mark.parametrize("text", ["{", "[]", "{}"])
def test_a_folder_of_another_kind_says_nothing_of_a_filter(tmp_path, text):
    (tmp_path / "rejects.json").write_text(text)
    assert evidence_of(CloneFindings(), str(tmp_path)).passing is None


def test_a_clone_s_folder_says_what_passed_its_filter(tmp_path):
    rejects = {
        "attempts": 200,
        "accepted": 90,
        "rejects": {"low-confidence": 100, "class-full": 10},
    }
    (tmp_path / "rejects.json").write_text(json.dumps(rejects))
    assert evidence_of(CloneFindings(), str(tmp_path)).passing == 0.5
