"""The published figures of rendered images, intervals, and real classes under other names."""

import csv
import re

import numpy as np
import pytest
import torch
from scipy import stats
from study_records import record

from gendata.benchmarks.protocol.presets import load_presets
from gendata.benchmarks.protocol.rendered.arguments import protocol_of, runs_of
from gendata.benchmarks.protocol.rendered.bank import RenderedBank
from gendata.benchmarks.protocol.rendered.cost import cost_of
from gendata.benchmarks.protocol.rendered.figures import Figures, difference, mean_difference
from gendata.benchmarks.protocol.rendered.published import FACTORS, family_of, published_rows
from gendata.benchmarks.protocol.rendered.real import matched
from gendata.benchmarks.protocol.rendered.tables import published_losses
from gendata.benchmarks.protocol.sweep import Sweep
from gendata.errors import GendataError
from gendata.images import ArrayImages, open_images
from gendata.render.presets import fixings

STUDIES = ("rendered", "factors", "capacity", "quantity")


@pytest.fixture(scope="module")
def text(shared):
    texts = [path.read_text(encoding="utf-8") for path in (shared / "papers").glob("000_*.txt")]
    if not texts:
        pytest.skip("needs the paper's text")
    return texts[0]


@pytest.mark.parametrize("backbone", ["ResNet-50", "ViT-B", "Mixer-B"])
def test_every_published_row_stands_in_the_slides(text, backbone):
    lines = text.splitlines()
    numbers = [[float(each) for each in re.findall(r"\d+\.\d+", line)] for line in lines]
    doubtful = {11.77, 72.70}  # rows of which the readings of the picture disagree
    rows = published_rows(backbone)
    assert len(rows) == (10 if backbone == "ViT-B" else 9)
    for row in rows:
        figures = list(row.figures.values())
        if figures[0] not in doubtful:
            places = [
                n for line in numbers for n in range(len(line)) if line[n : n + 4] == figures
            ]
            assert places, (row, figures)


def test_the_published_factors_are_those_of_the_shared_file(shared):
    with (shared / "data" / "tang_factor_study.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert {
        (row["factor"], row["value"]): (float(row["iid"]), float(row["iid_wo_bg"])) for row in rows
    } == FACTORS


def test_the_published_ranking():
    """Camera, then material, then scale; lights least; no background is ruinous on backgrounds."""
    losses = published_losses()
    order = sorted(losses, key=lambda each: -losses[each])
    assert order == ["background", "camera", "material", "object_scale", "illumination"]
    assert losses["camera"] == pytest.approx(87.63 - (24.60 + 27.21 + 32.82 + 33.79) / 4)
    assert losses["object_scale"] == pytest.approx(87.63 - (68.77 + 80.80 + 77.61) / 3)
    assert FACTORS["background", "none"][1] > FACTORS["full", "random"][1] + 15


def test_every_fixing_of_the_renderer_has_a_published_row():
    assert [(each.factor, each.value) for each in fixings()] == list(FACTORS)


@pytest.mark.parametrize(
    ("network", "family"),
    [
        ("torchvision-resnet50", "ResNet-50"),
        ("cifar-resnet20", "ResNet-50"),
        ("small-vit", "ViT-B"),
        ("mixer-l16", "Mixer-B"),
        ("small-cnn", None),
    ],
)
def test_the_published_backbone_of_a_kind(network, family):
    assert family_of(network) == family


def runs(row, *values, images=200):
    tests = [{"IID": {"accuracy": v, "mean": v, "images": images}} for v in values]
    return [
        record(row, seed, value, tests=each)
        for seed, (value, each) in enumerate(zip(values, tests, strict=True))
    ]


def summary(row, *values, images=200):
    (found,) = Figures(runs(row, *values, images=images)).of("IID", "accuracy").values()
    return found


def test_a_difference_over_seeds_is_paired():
    own, other = [0.5, 0.6, 0.55], [0.7, 0.75, 0.8]
    found = difference(summary("a", *own), summary("b", *other))
    test = stats.ttest_rel(own, other)
    interval = test.confidence_interval(0.95)
    assert found.seeds == 3 and found.value == pytest.approx(-0.2)
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high))
    one = mean_difference([summary("a", *own)], summary("b", *other))
    assert (one.value, one.low, one.high) == pytest.approx((found.value, found.low, found.high))


def test_a_difference_of_one_seed_is_newcombe_s():
    """His published example: 56 of 70 against 48 of 80, method 10."""
    found = difference(summary("a", 56 / 70, images=70), summary("b", 48 / 80, images=80))
    assert found.value == pytest.approx(0.2)
    assert (found.low, found.high) == pytest.approx((0.0524, 0.3339), abs=1e-4)


def test_a_mean_over_values_of_one_seed():
    rows = [summary("a", 0.5), summary("b", 0.6)]
    found = mean_difference(rows, summary("random", 0.9))
    variance = (0.25 / 200 + 0.24 / 200) / 4 + 0.09 / 200
    assert found.value == pytest.approx(-0.35)
    assert found.high - found.value == pytest.approx(1.959964 * variance**0.5)


def test_real_classes_under_other_names():
    names = ["airplane", "automobile", "bird", "horse", "truck"]
    labels = np.array([4, 2, 0, 1, 3, 0])
    pixels = torch.arange(6, dtype=torch.uint8).view(6, 1, 1, 1).expand(6, 3, 4, 4).contiguous()
    ours = ["aeroplane", "bus", "car", "horse", "truck"]
    found = matched(ArrayImages("photos", names, pixels, labels), ours)
    assert list(found.classes) == ours and len(found) == 5
    assert [ours[label] for label in found.labels] == [
        *("truck", "aeroplane", "car", "horse", "aeroplane")
    ]
    assert [int(found[row][0][0, 0, 0]) for row in range(5)] == [0, 2, 3, 4, 5]
    assert found[1][1] == 0
    with pytest.raises(GendataError, match="too few of the rendered classes"):
        matched(ArrayImages("photos", names, pixels, labels), ["bird", "knife"])


def test_the_embedded_classes_that_cifar_10_has(shared):
    photos = open_images(shared / "data" / "cifar10" / "test.parquet")
    found = matched(photos, ["aeroplane", "car", "horse", "truck"])
    assert np.bincount(found.labels).tolist() == [1000] * 4


@pytest.mark.parametrize("study", STUDIES)
@pytest.mark.parametrize("name", ["rendered", "rendered-cifar10", "paper/rendered"])
def test_presets_reckon_their_cost(tmp_path, name, study):
    protocol = protocol_of(study, load_presets(name)[0], {"device": "cpu"})
    bank = RenderedBank(protocol, tmp_path / "out")
    planned = Sweep(tmp_path / "out", "command").plan(bank, runs_of(protocol))
    cost = cost_of(bank, planned, {})
    assert None not in (cost.rendering_hours, cost.training_hours, cost.gigabytes)
    if not name.startswith("paper/"):
        assert cost.rendering_hours + cost.training_hours < 0.5, "30 minutes on two cores"
        assert protocol.left_open() == [] or name == "rendered-cifar10"


def test_the_paper_s_protocol():
    preset = load_presets("paper/rendered")[0]
    protocol = protocol_of("rendered", preset, {"device": "cpu"})
    found = {name: protocol.settings[name] for name in ("iterations", "batch_size", "clip")}
    assert found == {"iterations": 200_000, "batch_size": 64, "clip": 1.0}
    assert (protocol.settings["learning_rate"], protocol.settings["weight_decay"]) == (0.01, 1e-4)
    assert protocol.settings["optimizer"] == "sgd" and protocol.settings["schedule"] == "cosine"
    assert {each.per_class * 10 for each in protocol.trainings} == {120_000, 12_800_000}
    assert [each.per_class * 10 for each in protocol.tests.values()] == [60_000, 60_000]
    assert len(protocol.trainings) == 3 * 3 * 2
    tests = protocol.tests.values()
    assert len({each.seed for each in tests}) == 1 and protocol.seed not in {
        each.seed for each in tests
    }
    factors = protocol_of("factors", preset, {"device": "cpu"})
    assert [each.row.label.partition(": ")[0] for each in factors.trainings] == [
        "random",
        *(factor for factor, _ in FACTORS if factor != "full"),
    ]
    assert len({each.seed for each in factors.drawings.values()}) == 1, "paired seeds"


def test_a_study_has_its_own_number_of_seeds():
    preset = load_presets("rendered")[0]
    assert protocol_of("rendered", preset, {"device": "cpu"}).seeds == (0,)
    assert protocol_of("factors", preset, {"device": "cpu"}).seeds == (0, 1, 2)
    given = {"seeds": 2, "seed": 5, "device": "cpu"}
    assert protocol_of("factors", preset, given).seeds == (5, 6)


def test_the_options_reach_whom_they_are_for():
    preset = load_presets("rendered")[0]
    options = {"learning_rate": 0.1, "camera.azimuth": 90}
    protocol = protocol_of("factors", preset, {"options": options, "size": 64, "device": "cpu"})
    assert protocol.settings["learning_rate"] == 0.1 and protocol.settings["size"] == 64
    drawing = protocol.drawings["material: metal"]
    assert drawing.options == {
        "preset": "s2rda",
        "resolution": 64,
        "camera.azimuth": 90,
        "material.kind": "metal",
    }
    bare = protocol.tests["IID w/o background"].options
    assert bare["background.kind"] == "none" and bare["camera.azimuth"] == 90


@pytest.mark.parametrize("name", ["rendered", "rendered-cifar10"])
@pytest.mark.parametrize(
    ("given", "rendered", "trained"),
    [
        ({}, 32, 32),
        ({"size": 64}, 64, 64),
        ({"options": {"resolution": 64}}, 64, 64),
        ({"options": {"resolution": 64}, "size": 32}, 64, 32),
    ],
)
def test_the_size_of_the_images(name, given, rendered, trained):
    """They are trained on as they are rendered, unless both sizes are given."""
    preset = load_presets(name)[0]
    protocol = protocol_of("rendered", preset, {**given, "device": "cpu"})
    sets = [*protocol.drawings.values(), *protocol.tests.values()]
    assert {each.options["resolution"] for each in sets} == {rendered}
    assert protocol.settings["size"] == trained
