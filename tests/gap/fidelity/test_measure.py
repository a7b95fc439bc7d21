"""Fidelity as a whole and class by class: directions, what is left out, and its JSON."""

import json

import numpy as np
import pytest

from gendata.errors import GendataError
from gendata.features.extract import EncoderCard, Features
from gendata.gap.fidelity.findings import DEFINITIONS, FIGURES
from gendata.gap.fidelity.measure import measure_fidelity

CARD = EncoderCard("toy", "none", None, 6, "0")
CLASSES = ("cat", "dog", "eel")


def features(counts, seed=0, *, spread=1.0, shift=0.0, classes=CLASSES, card=CARD, name="toy"):
    """Normal clouds around a centre of each class."""
    generator = np.random.default_rng(seed)
    labels = np.repeat(np.arange(len(counts)), counts)
    centers = np.eye(6)[: len(counts)] * 10
    values = centers[labels] + spread * generator.normal(size=(len(labels), 6)) + shift
    return Features(values.astype(np.float32), labels, list(classes), card, name)


@pytest.fixture(scope="module")
def good():
    return measure_fidelity(features([80, 90, 100]), features([80, 70, 60], seed=1))


def test_overall_figures(good):
    assert tuple(good.overall.estimates) == FIGURES
    assert (good.overall.real, good.overall.synthetic) == (270, 210)
    figures = good.overall.estimates
    for name in ("precision", "recall", "density", "coverage"):
        assert figures[name].value == pytest.approx(getattr(good.manifolds, name))
        assert figures[name].low < figures[name].value < figures[name].high
    assert figures["rarity"].value == pytest.approx(np.nanmean(good.manifolds.rarity))
    assert figures["realism"].value == np.median(good.manifolds.realism)
    assert figures["kernel"].low < figures["kernel"].high
    assert good.overall.frechet_bias == pytest.approx(
        figures["frechet"].value - figures["frechet_corrected"].value
    )


def test_every_figure_is_defined():
    assert set(DEFINITIONS) == set(FIGURES)


def test_classes_are_measured_by_themselves(good):
    assert tuple(good.per_class) == CLASSES
    dog = good.per_class["dog"]
    alone = measure_fidelity(
        Features(*_only(features([80, 90, 100]), 1)),
        Features(*_only(features([80, 70, 60], seed=1), 1)),
    )
    assert (dog.real, dog.synthetic) == (90, 70)
    for name in ("kernel", "precision", "recall", "density", "coverage", "rarity", "realism"):
        assert dog.estimates[name] == alone.overall.estimates[name]
    assert dog.estimates["frechet"].value == pytest.approx(
        alone.overall.estimates["frechet"].value
    )
    assert not alone.per_class


def _only(whole, label):
    chosen = whole.labels == label
    return whole.values[chosen], np.zeros(chosen.sum(), dtype=np.int64), ["dog"], CARD


def test_images_of_a_wrong_class_are_unlike_the_real_ones():
    real, synthetic = features([80, 80, 80]), features([80, 80, 80], seed=1)
    values = synthetic.values.copy()
    values[:80], values[80:160] = synthetic.values[80:160], synthetic.values[:80]
    swapped = Features(values, synthetic.labels, CLASSES, CARD)
    found = measure_fidelity(real, swapped)
    assert found.overall.estimates["precision"].value > 0.8
    assert found.per_class["cat"].estimates["precision"].value == 0
    assert found.per_class["eel"].estimates["precision"].value > 0.7


def test_a_figure_of_0_or_1_is_not_certain():
    found = measure_fidelity(features([80, 80, 80]), features([80, 80, 80], shift=500.0))
    precision = found.overall.estimates["precision"]
    assert precision.value == 0 and 0 < precision.high < 0.05
    assert "rarity" not in found.overall.estimates
    assert "no synthetic image lies" in found.overall.absent["rarity"]


def test_collapsed_clones_lose_recall_and_swapped_ones_precision():
    real = features([100, 100, 100])
    collapsed = features([100, 100, 100], seed=2, spread=0.1)
    there, back = measure_fidelity(real, collapsed), measure_fidelity(collapsed, real)
    assert there.overall.estimates["precision"].low > 0.9
    assert there.overall.estimates["recall"].high < 0.2
    assert back.overall.estimates["precision"].value == there.overall.estimates["recall"].value
    assert back.overall.estimates["recall"].value == there.overall.estimates["precision"].value


def test_classes_with_too_few_images_are_left_out_with_the_reason():
    found = measure_fidelity(features([80, 80, 80]), features([80, 0, 49], seed=1))
    assert found.per_class["cat"].estimates
    for name, count in (("dog", 0), ("eel", 49)):
        assert not found.per_class[name].estimates
        assert set(found.per_class[name].absent) == set(FIGURES)
        assert f"80 real and {count} synthetic" in found.per_class[name].absent["recall"]


def test_classes_of_equal_features_are_left_out_with_the_reason():
    synthetic = features([80, 80, 80], seed=1)
    values = synthetic.values.copy()
    values[80:160] = values[80]
    found = measure_fidelity(
        features([80, 80, 80]), Features(values, synthetic.labels, CLASSES, CARD)
    )
    assert (
        "all features of the synthetic set are equal" in found.per_class["dog"].absent["frechet"]
    )
    assert found.per_class["cat"].estimates and found.overall.estimates


def test_frechet_distances_of_small_classes_are_left_out():
    generator = np.random.default_rng(0)
    card = EncoderCard("wide", "none", None, 90, "0")
    labels = np.repeat([0, 1], [60, 100])
    real, synthetic = (
        Features(generator.normal(size=(160, 90)).astype(np.float32), labels, ["a", "b"], card)
        for _ in range(2)
    )
    found = measure_fidelity(real, synthetic)
    assert "more than 90 are needed" in found.per_class["a"].absent["frechet"]
    assert "precision" in found.per_class["a"].estimates
    assert "frechet" in found.per_class["b"].estimates
    assert "owed to the small number" in found.overall.warnings["frechet"][0]
    few = [Features(each.values[:80], labels[:80], ["a", "b"], card) for each in (real, synthetic)]
    overall = measure_fidelity(*few).overall
    assert "80 images are too few" in overall.warnings["frechet"][0]
    assert "frechet" in overall.estimates and "frechet_corrected" in overall.absent


def test_json_has_plain_values_and_what_decided_them(good):
    data = json.loads(json.dumps(good.to_json(), allow_nan=False))
    assert data["encoder"]["name"] == "toy" and data["encoder"]["resize"] == "none"
    assert (data["nearest_k"], data["rarity_k"], data["seed"]) == (5, 3, 0)
    assert data["version"] and data["overall"]["real"] == 270
    assert set(data["overall"]["figures"]["recall"]) == {"value", "low", "high"}
    assert data["per_class"]["eel"]["synthetic"] == 60


def test_the_seed_decides_the_intervals_alone(good):
    again = measure_fidelity(features([80, 90, 100]), features([80, 70, 60], seed=1))
    other = measure_fidelity(features([80, 90, 100]), features([80, 70, 60], seed=1), seed=1)
    assert again.to_json() == good.to_json()
    one, two = good.overall.estimates["density"], other.overall.estimates["density"]
    assert one.value == two.value and one != two


@pytest.mark.parametrize(
    ("synthetic", "words"),
    [
        (features([5, 0, 0]), "synthetic set has too few"),
        (features([80, 80, 80], spread=np.nan), "not finite"),
        (features([80, 0, 0], spread=0.0), "synthetic set are equal"),
        (features([80, 80, 80], card=EncoderCard("other", "none", None, 6, "0")), "encoders"),
        (features([80, 80, 80], classes=("cat", "dog", "fox")), "fox"),
        (features([0, 0, 0]), "no images"),
    ],
)
def test_mistakes(synthetic, words):
    with pytest.raises(GendataError, match=words):
        measure_fidelity(features([80, 80, 80]), synthetic)
