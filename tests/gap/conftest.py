"""A report of everything that can be measured, of made-up images with hostile names."""

import numpy as np
import pytest

from gendata.features.extract import EncoderCard, Features
from gendata.gap.advice.evidence import evidence_of
from gendata.gap.advice.rules import advise
from gendata.gap.cross_source.extremes import lowest_and_highest
from gendata.gap.cross_source.findings import (
    CURVES,
    ClassExtremes,
    CrossFindings,
    CrossLosses,
    Ends,
)
from gendata.gap.cross_source.losses import spread_of
from gendata.gap.decomposition.measure import decompose
from gendata.gap.fidelity.measure import measure_fidelity
from gendata.gap.fidelity.published_fid import PublishedFid
from gendata.gap.measures.exchange import exchange_rates
from gendata.gap.measures.learning_runs import Runs
from gendata.gap.memorisation.measure import measure_memorisation
from gendata.gap.missing.measure import find_missing
from gendata.gap.result import CloneFindings, GapReport, Source
from gendata.gap.worth.findings import LearningCurve, Worth

CLASSES = ["<script>alert(1)</script>", "\"quotes' & $x^2$", "emoji 😀", "c" * 200]
CLONES = ["<img src=x onerror=alert(2)>", "gan 😀 'quoted' \"name\" " + "n" * 200]
CARD = EncoderCard("made-up", "none", 16, 8, "0")
PER_CLASS = 60


def features_of(seed, shift=0.0):
    """Features of four clouds, and images as dark as the first of their features says."""
    generator = np.random.default_rng(seed)
    labels = np.arange(4 * PER_CLASS) % 4
    values = generator.normal(size=(len(labels), 8)) + 3 * np.eye(8)[labels]
    values[labels == 1] += shift
    images = generator.integers(0, 200, (len(labels), 3, 16, 16)).astype(np.uint8)
    return Features(values.astype(np.float32), labels, CLASSES, CARD, "made up"), images


def worth_of(rate):
    generator = np.random.default_rng(1)
    sizes = np.array([5, 15, 60])

    def runs(factor):
        accuracy = 1 - 0.9 * (factor * sizes) ** -0.4
        return Runs(sizes, generator.random((3, 3, 400)) < accuracy[:, None])

    real, synthetic = runs(1.0), runs(rate)
    curves = [LearningCurve(sizes, each.accuracy) for each in (real, synthetic)]
    facts = {"classes": 4, "seeds": (0, 1, 2), "test_images": 400, "test_held_out": False}
    facts |= {"test_seen": 0, "trainings": 27, "steps": 100, "settings": {"network": "small-cnn"}}
    return Worth(exchange_rates(real, synthetic), *curves, **facts)


def findings_of(seed, shift):
    (real, real_images), (synthetic, images) = features_of(0), features_of(seed, shift)
    memorisation = measure_memorisation(real, synthetic)
    fidelity = measure_fidelity(real, synthetic)
    missing = find_missing(real, synthetic, fidelity.manifolds)
    found = CloneFindings(
        fidelity=fidelity,
        published_fid=PublishedFid(12.5, 0.01, 240, 240, CARD, 0, "clean-fid 0", "clean"),
        memorisation=memorisation,
        missing=missing,
        decomposition=decompose(real_images, images, real, synthetic),
        worth=worth_of(0.3),
        places={"missing": {"real": np.arange(3), "synthetic": np.arange(2)}},
        pairs=[(images[pair.synthetic], real_images[pair.real]) for pair in memorisation.pairs],
        groups=[
            [(real_images[example.real], images[example.synthetic]) for example in group.examples]
            for group in (*missing.groups, *missing.themes)
        ],
    )
    return CloneFindings(**{**vars(found), "advice": advise(evidence_of(found, "nowhere"))})


def losses_of(seed):
    generator = np.random.default_rng(seed)
    runs = 10 ** generator.normal(-2, 1.5, (2, 40))
    labels = np.arange(40) % 4
    pixels = generator.integers(0, 256, (40, 3, 28, 28), np.uint8)
    mean = runs.mean(axis=0)
    ends = [
        ClassExtremes(*(Ends(rows, mean[rows], pixels[rows]) for rows in (e.lowest, e.highest)))
        for e in lowest_and_highest(mean, labels, classes=4, count=3)
    ]
    by_class = [spread_of(runs[:, labels == label]) for label in range(4)]
    return CrossLosses(spread_of(runs), by_class, ends, mean)


def cross_of(names):
    generator = np.random.default_rng(0)
    return CrossFindings(
        seeds=(0, 1),
        trained_on=names,
        tested_on=[*names, "real test"],
        accuracy=generator.uniform(0.5, 1, (2, len(names), len(names) + 1)),
        curves={
            name: {curve: generator.uniform(0, 1, (2, 4)) for curve in CURVES} for name in names
        },
        clone_under_real={name: losses_of(1) for name in names[1:]},
        real_under_clone={name: losses_of(2) for name in names[1:]},
    )


def report_of(clones):
    """The whole report of some clones."""
    names = ["real", *clones]
    sources = [
        Source(name, "clone" if name in clones else "real", name, 80, 40, 4) for name in names
    ]
    return GapReport(
        classes=CLASSES,
        sources=[*sources, Source("real test", "test", "the test set", 80, 80)],
        parts=["everything"],
        cross=cross_of(names),
        clones={name: findings_of(seed, 4.0) for seed, name in enumerate(clones, 1)},
        seeds=(0, 1),
        environment={"command": f"gendata gap real '{clones[0]}'", "seeds": "0, 1"},
    )


@pytest.fixture(scope="package")
def report_of_two():
    """Of two clones with hostile names."""
    return report_of(CLONES)


@pytest.fixture(scope="package")
def report_of_one():
    """Of one clone."""
    return report_of(["a clone"])
