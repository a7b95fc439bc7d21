"""An image depends on its slot alone: restated by slow loops that know no shards or batches."""

import json

import numpy as np
import pytest
import torch
from tiny import (
    NAMES,
    TinyClassifier,
    TinySampler,
    TinySet,
    draw_tiny,
    read_clone_table,
    read_rejects,
)

from gendata.clone import ConfidenceFilter, draw_clone
from gendata.clone.identity import identity_difference, relocated
from gendata.clone.png import decode_image
from gendata.errors import UnusableImages
from gendata.seeds import hash_seed


def one_image(sampler, classifier, label, seed, batch=8):
    """Draws one image as a batch of equals: its pixels, its probabilities, whether it is bad."""
    labels = None if label is None else torch.full((batch,), label)
    try:
        images, bad = sampler.sample(labels, torch.full((batch,), seed)), False
    except UnusableImages as error:
        images, bad = error.images, True
    return images[0].permute(1, 2, 0).numpy(), classifier.probabilities(images)[0].numpy(), bad


def pixels_of(table):
    return np.stack([decode_image(row["bytes"]) for row in table["image"].to_pylist()])


def test_conditional_clone_is_the_first_accepted_attempt_of_each_slot(tmp_path):
    draw_tiny(tmp_path / "clone")
    table, sampler, classifier = (
        read_clone_table(tmp_path / "clone"),
        TinySampler(spoil=11),
        TinyClassifier(),
    )
    rows = iter(zip(table.to_pylist(), pixels_of(table), strict=True))
    refused = {name: 0 for name in NAMES}
    for ordinal in range(50):
        for label, name in enumerate(NAMES):
            for attempt in range(100):
                seed = hash_seed(3, label, ordinal, attempt)
                pixels, probabilities, bad = one_image(sampler, classifier, label, seed)
                if not bad and probabilities.argmax() == label and probabilities.max() > 0.6:
                    break
                refused[name] += 1
            row, stored = next(rows)
            assert row["key"] == f"c{label:02d}-{ordinal:06d}"
            assert row["image"]["path"] == row["key"] + ".png"
            assert (row["label"], row["conditioned_label"], row["seed"]) == (label, label, seed)
            assert np.array_equal(stored, pixels)
            assert np.array_equal(np.float32(row["probabilities"]), probabilities)
            assert row["confidence"] == probabilities.max()
    assert next(rows, None) is None
    report = read_rejects(tmp_path / "clone")
    assert {entry["name"]: entry["attempts"] for entry in report["classes"]} == {
        name: 50 + count for name, count in refused.items()
    }
    assert set(report["rejects"]) == {"nan", "disagreement", "low-confidence"}


def test_unconditional_clone_is_the_first_accepted_draws_of_each_class(tmp_path):
    draw_tiny(tmp_path / "clone", "unconditional")
    sampler, classifier = TinySampler(None, spoil=11), TinyClassifier()
    found: dict[int, list] = {label: [] for label in range(3)}
    draws = 0
    while any(len(rows) < 50 for rows in found.values()):
        pixels, probabilities, bad = one_image(sampler, classifier, None, hash_seed(3, draws))
        label = int(probabilities.argmax())
        if not bad and probabilities.max() > 0.6:
            found[label].append((hash_seed(3, draws), pixels))
        draws += 1
    table = read_clone_table(tmp_path / "clone")
    for row, stored in zip(table.to_pylist(), pixels_of(table), strict=True):
        ordinal = int(row["key"].rpartition("-")[2])
        seed, pixels = found[row["label"]][ordinal]
        assert (row["seed"], row["conditioned_label"]) == (seed, -1)
        assert np.array_equal(stored, pixels)
    report = read_rejects(tmp_path / "clone")
    assert report["attempts"] == draws
    spare = sum(len(rows) - 50 for rows in found.values())
    assert report["rejects"]["class-full"] == spare
    assert report["other"]["rejects"] == {"nan": report["rejects"]["nan"]}


@pytest.mark.parametrize("filtered", [False, True])
def test_finite_set_gives_each_image_at_most_once(tmp_path, filtered):
    keep = ConfidenceFilter(TinyClassifier(), 0.6) if filtered else None
    source = TinySet()
    draw_clone(source, 25, tmp_path / "clone", filter=keep, batch_size=8, shard_size=20)
    table = read_clone_table(tmp_path / "clone")
    rows = table["seed"].to_numpy()
    assert len(set(rows)) == 75
    assert np.array_equal(source.labels[rows], table["label"].to_numpy())
    order = np.random.default_rng(0).permutation(120).tolist()
    for label in range(3):  # in the order of the permutation
        places = [order.index(row) for row in rows[table["label"].to_numpy() == label]]
        assert places == sorted(places)
    if not filtered:
        assert table["confidence"].to_numpy().dtype == np.float32
        assert np.isnan(table["confidence"].to_numpy()).all()
        assert all(not values for values in table["probabilities"].to_pylist())


def test_conditional_sampler_labelled_by_the_classifier_fills_every_class(tmp_path):
    draw_tiny(tmp_path / "clone", filter=ConfidenceFilter(TinyClassifier(), 0.6, "classifier"))
    table = read_clone_table(tmp_path / "clone")
    labels, probabilities = table["label"].to_numpy(), np.array(table["probabilities"].to_pylist())
    assert np.bincount(labels).tolist() == [50, 50, 50]
    assert np.array_equal(probabilities.argmax(1), labels)


@pytest.mark.parametrize("kind", ["conditional", "unconditional"])
def test_shard_size_changes_nothing_but_the_files(tmp_path, kind):
    for size in (7, 64, 1000):
        draw_tiny(tmp_path / str(size), kind, shard_size=size)
    small, middle, large = (read_clone_table(tmp_path / str(size)) for size in (7, 64, 1000))
    assert small.equals(middle) and small.equals(large)
    assert (
        read_rejects(tmp_path / "7")
        == read_rejects(tmp_path / "64")
        == read_rejects(tmp_path / "1000")
    )
    assert len(list((tmp_path / "7").glob("shard-*"))) == 22
    assert len(list((tmp_path / "1000").glob("shard-*"))) == 1


def test_batch_size_changes_rounding_alone(tmp_path):
    tables = []
    for size in (1, 7, 64):
        draw_tiny(tmp_path / str(size), filter=None, batch_size=size)
        tables.append(read_clone_table(tmp_path / str(size)))
    for other in tables[1:]:
        for column in ("key", "seed", "label", "conditioned_label"):
            assert other[column].equals(tables[0][column])
        difference = np.abs(pixels_of(other).astype(int) - pixels_of(tables[0]))
        assert difference.max() <= 1
        assert (difference == 0).mean() >= 0.999


def test_every_batch_has_one_size(tmp_path):
    sampler = TinySampler(spoil=3)
    draw_clone(
        sampler,
        7,
        tmp_path / "clone",
        batch_size=16,
        filter=ConfidenceFilter(TinyClassifier(), 0.6),
    )
    assert sampler.sizes == {16}


def test_classes_of_choice_are_those_of_the_whole_clone(tmp_path):
    draw_tiny(tmp_path / "whole")
    clone = draw_tiny(tmp_path / "part", classes=["cat", 0])
    assert list(clone.classes) == ["ant", "cat"]
    whole, part = read_clone_table(tmp_path / "whole"), read_clone_table(tmp_path / "part")
    by_key = {row["key"]: row["sha256"] for row in whole.to_pylist()}
    assert {row["key"]: row["sha256"] for row in part.to_pylist()} == {
        key: digest for key, digest in by_key.items() if not key.startswith("c01")
    }
    assert set(part["label"].to_pylist()) == {0, 1}
    assert set(part["conditioned_label"].to_pylist()) == {0, 2}


@pytest.mark.parametrize("kind", ["conditional", "unconditional"])
def test_extension_appends_and_equals_a_larger_clone(tmp_path, kind):
    draw_tiny(tmp_path / "large", kind)
    draw_tiny(tmp_path / "grown", kind, per_class=20)
    before = {path: path.read_bytes() for path in (tmp_path / "grown").glob("shard-*")}
    draw_tiny(tmp_path / "grown", kind, per_class=33, extend=True)
    draw_tiny(tmp_path / "grown", kind, extend=True)
    assert len(before) == 3
    assert all(path.read_bytes() == content for path, content in before.items())
    assert read_clone_table(tmp_path / "grown").equals(read_clone_table(tmp_path / "large"))
    assert read_rejects(tmp_path / "grown") == read_rejects(tmp_path / "large")
    extents = json.loads((tmp_path / "grown/run.json").read_text())["extents"]
    assert extents == [20, 33, 50]


def test_contents_decide_and_not_places():
    def settings(name, digest, judge="j.pt", **options):
        sampler = {"name": name, "sha256": digest, "options": options, "settings": {}}
        return {"sampler": sampler, "filter": {"name": judge, "sha256": "f", "threshold": 0.5}}

    there, now = settings("a.pkl", "d"), settings("b.pkl", "d", "k.pt")
    assert identity_difference(there, now) == "" and relocated(there, now) == now
    other = settings("b.pkl", "e")
    assert "sampler.name" in identity_difference(there, other), "it helps to see which file it was"
    assert identity_difference(settings("a", ""), settings("b", "")), (
        "without a digest names count"
    )
    assert identity_difference(there, settings("a.pkl", "d", psi=2)) == (
        "sampler.options.psi null there, 2 now"
    )
    one, two = settings("python:m:one", "d"), settings("python:m:two", "d")
    assert "sampler.name" in identity_difference(one, two), "another function of the same file"
    there["filter"] = now["filter"] = None
    there["sampler"]["files"] = {"centroids": "a.npy"}
    moved = settings("b.pkl", "d") | {"filter": None}
    moved["sampler"]["files"] = {"centroids": "b.npy"}
    assert identity_difference(there, moved) == "" and relocated(there, moved) == moved
