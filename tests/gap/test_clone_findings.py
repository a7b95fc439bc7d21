"""The parts on features through `measure_gap`: followed to the images, kept, and added to."""

import json

import numpy as np
import pytest
import torch
from gap_toys import CLASSES, bars, inputs_of

from gendata.errors import GendataError
from gendata.features import extract
from gendata.gap import clone_findings, measure_gap
from gendata.gap.clone_findings import load_encoders
from gendata.images import ArrayImages

QUICK = {"seeds": 1, "epochs": 1, "progress": False, "device": "cpu", "batch_size": 16}
QUICK |= {"encoder_size": 32, "worth_steps": 8}
COPIED = 5  # the clone's first images are the real set's first


def collapsed():
    """One of two modes, and a few copies of real images."""
    clone, real = bars([0], per_class=50, seed=1), bars([0, 1])
    pixels = clone.images.clone()
    pixels[:COPIED] = real.images[:COPIED]
    return ArrayImages("collapsed", CLASSES, pixels, clone.labels)


PARTS = ["fidelity", "memorisation", "decomposition", "missing"]


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    out = tmp_path_factory.mktemp("gap")
    clones = {"collapsed": collapsed()}
    return measure_gap(bars([0, 1]), clones, out, parts=PARTS, **QUICK), out


def test_the_lost_mode_is_what_is_missing(measured):
    found = measured[0].clones["collapsed"]
    places = found.places["missing"]["real"]
    lost = (places[found.missing.rows] // 3) % 2 == 1
    assert len(lost) > 20 and lost.mean() > 0.9
    precision, coverage = (
        found.fidelity.overall.estimates[name].value for name in ("precision", "coverage")
    )
    assert precision > coverage + 0.2
    assert found.decomposition.content.low > 0.1  # of 108 images, 36 a class


def test_copies_are_found_among_all_real_images_and_shown(measured):
    found = measured[0].clones["collapsed"]
    memorisation = found.memorisation
    assert memorisation.images[:2] == (120, 150)  # all, not the 108 that are compared
    assert memorisation.copies.share.value == pytest.approx(COPIED / 150)
    for pair, (synthetic, real) in zip(memorisation.pairs[:COPIED], found.pairs, strict=False):
        assert pair.kind == "copy" and (synthetic == real).all()
        assert found.places["memorisation"]["synthetic"][pair.synthetic] < COPIED


def test_what_is_shown_are_the_images_of_the_rows(measured):
    report, _ = measured
    found, real, clone = report.clones["collapsed"], bars([0, 1]), collapsed()
    places = found.places["missing"]
    for group, images in zip(found.missing.groups, found.groups, strict=False):
        for example, (shown, nearest) in zip(group.examples, images, strict=True):
            assert (real.images[int(places["real"][example.real])].numpy() == shown).all()
            place = int(places["synthetic"][example.synthetic])
            assert (clone.images[place].numpy() == nearest).all()


def test_everything_is_written_and_can_be_read(measured):
    report, out = measured
    read = json.loads((out / "gap.json").read_text("utf-8"))
    assert read["schema"] == 2 and read["parts"] == PARTS and "accuracy" not in read
    clone = read["clones"]["collapsed"]
    assert set(clone) == {*PARTS, "advice", "places"}
    assert clone["fidelity"]["overall"]["real"] == 108
    assert clone["advice"][0]["action"]
    html = (out / "report.html").read_text("utf-8")
    assert "Which real images are missing" in html and "Trained here" not in html
    assert "precision" in (out / "gap.csv").read_text("utf-8")
    assert (out / "features").is_dir() and not (out / "classifiers").exists()


def test_features_are_kept_and_parts_can_be_added_but_not_dropped(measured, monkeypatch):
    report, out = measured
    clones = {"collapsed": collapsed()}

    def extracted(*_, **__):
        raise AssertionError("features were extracted again")

    monkeypatch.setattr(extract, "_computed", extracted)
    more = [*PARTS, "cross-source"]
    again = measure_gap(bars([0, 1]), clones, out, parts=more, **QUICK)
    assert again.parts == ["cross-source", *PARTS] and again.cross is not None
    ours, theirs = (each.clones["collapsed"].to_json() for each in (again, report))
    assert ours["missing"] == theirs["missing"] and ours["fidelity"] == theirs["fidelity"]
    assert again.clones["collapsed"].decomposition.loss_asymmetry == pytest.approx(
        float(again.cross.asymmetry("collapsed").mean())
    )
    with pytest.raises(GendataError, match="report of more parts; found cross-source, mem"):
        measure_gap(bars([0, 1]), clones, out, parts=["fidelity", "decomposition"], **QUICK)
    with pytest.raises(GendataError, match="encoder_size 32 there, 48 now"):
        measure_gap(bars([0, 1]), clones, out, parts=more, **{**QUICK, "encoder_size": 48})


def test_test_images_are_asked_what_is_missing_and_hold_the_copies_to_account():
    real, clones = bars([0, 1]), {"collapsed": collapsed()}
    parts = ["memorisation", "missing"]
    options = {**QUICK, "limit": 60, "test": bars([0, 1], per_class=30, seed=2)}
    report = measure_gap(real, clones, parts=parts, **options)
    found = report.clones["collapsed"]
    assert found.missing.images == (54, 54)  # as many test images as are compared
    assert found.memorisation.held_out == "test"
    assert found.memorisation.images == (54, 54, 54)  # the limit holds for the search as well
    assert [source.name for source in report.sources] == ["real", "collapsed", "real test"]


def test_worth_trains_on_all_that_there_is(tmp_path):
    real, clones = bars([0, 1], per_class=12), {"collapsed": bars([0], per_class=6, seed=1)}
    options = {**QUICK, "test": bars([0, 1], per_class=10, seed=2)}
    report = measure_gap(real, clones, tmp_path, parts=["worth"], **options)
    worth = report.clones["collapsed"].worth
    assert worth.real.sizes[-1] == 12 and worth.synthetic.sizes[-1] == 6
    assert report.clones["collapsed"].advice is not None
    assert len(list((tmp_path / "worth").iterdir())) == worth.trainings


def test_a_part_that_lacks_images_is_refused_before_anything_is_trained(tmp_path):
    few = {"clone": bars([0], per_class=6, seed=1)}
    with pytest.raises(GendataError, match="few images for the part decomposition; found 15 that"):
        measure_gap(bars([0, 1]), few, tmp_path, **QUICK)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("side", "given", "expected"), [(12, None, 64), (96, None, 96), (300, None, 224), (12, 32, 32)]
)
def test_the_encoder_s_size_follows_the_real_images_unless_it_is_given(side, given, expected):
    labels = np.arange(12) % 3
    pixels = torch.zeros(12, 3, side, side, dtype=torch.uint8)
    images = ArrayImages("flat", CLASSES, pixels, labels)
    inputs = inputs_of(images, images)
    size = {"input_size": given}
    encoders = load_encoders(inputs, [], "embedded:efficientnet-lite0", size, None)
    assert encoders.features is None and encoders.published is None
    few = {name: 1 for name in clone_findings.FEWEST}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(clone_findings, "FEWEST", few)
        encoders = load_encoders(inputs, ["missing"], "embedded:efficientnet-lite0", size, None)
    assert encoders.features.input_size == expected


def test_clean_fid_is_asked_about_all_images_of_both_sets(tmp_path):
    clones = {"collapsed": collapsed()}
    options = {**QUICK, "parts": ["fidelity"], "fid": "embedded:efficientnet-lite0"}
    report = measure_gap(bars([0, 1]), clones, tmp_path, **options)
    published = report.clones["collapsed"].published_fid
    assert (published.real_images, published.synthetic_images) == (120, 150)
    assert report.parts == ["fidelity", "fid"] and published.fid > 0
    assert "By clean-fid itself" in (tmp_path / "report.html").read_text("utf-8")
    assert "clean_kid" in (tmp_path / "gap.csv").read_text("utf-8")
