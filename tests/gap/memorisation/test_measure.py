"""Copies of every kind are found, new images are not called copies, and mistakes are named."""

import io
import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from toy_pictures import ellipses, features_of

from gendata.errors import GendataError
from gendata.gap.memorisation.findings import DEFINITIONS, memorisation_sentence
from gendata.gap.memorisation.measure import measure_memorisation
from gendata.gap.memorisation.pixels import pixels_of

TRAIN, NEW, TEST = ellipses(400, 0), ellipses(120, 1), ellipses(300, 2)


def jpeg(images: torch.Tensor, quality: int) -> torch.Tensor:
    pictures = []
    for image in images:
        file = io.BytesIO()
        Image.fromarray(image.permute(1, 2, 0).numpy()).save(file, "JPEG", quality=quality)
        pictures.append(torch.from_numpy(np.array(Image.open(file))).permute(2, 0, 1))
    return torch.stack(pictures)


def noisy(images: torch.Tensor) -> torch.Tensor:
    noise = 6 * torch.randn(images.shape, generator=torch.Generator().manual_seed(0))
    return (images.float() + noise).clamp(0, 255).byte()


def measure(synthetic, train=TRAIN, test=TEST, **options):
    return measure_memorisation(
        features_of(train),
        features_of(synthetic),
        None if test is None else features_of(test),
        train_pixels=pixels_of(train),
        synthetic_pixels=pixels_of(synthetic),
        test_pixels=None if test is None else pixels_of(test),
        **options,
    )


@pytest.mark.parametrize(
    "change",
    [
        noisy,
        lambda images: jpeg(images, 60),
        lambda images: noisy(images.flip(3)),
        lambda images: (1.15 * images.float()).clamp(0, 255).byte(),
        lambda images: (0.7 * images.float()).byte(),
    ],
    ids=["noise", "jpeg", "mirrored", "brighter", "darker"],
)
@pytest.mark.parametrize("test", [TEST, None], ids=["test set", "left out"])
def test_changed_training_images_are_near_duplicates(change, test):
    copied = 3 * np.arange(60)
    synthetic = torch.cat([change(TRAIN[copied]), NEW])
    found = measure(synthetic, test=test, pairs=60)
    near = np.isin(found.kinds, ["close in pixels", "copy"])
    assert near[:60].mean() > 0.85 and near[60:].mean() < 0.05
    assert found.near_duplicates.is_more and found.suspicious.is_more
    right = [
        pair for pair in found.pairs if pair.synthetic < 60 and pair.kind != "close in features"
    ]
    assert len(right) > 50
    assert all(pair.real == copied[pair.synthetic] for pair in right)
    assert "memorised" in memorisation_sentence(found) or found.copies.share.value > 0


@pytest.mark.parametrize("test", [TEST, None], ids=["test set", "left out"])
def test_new_images_are_not_called_memorised(test):
    found = measure(NEW, test=test)
    for compared in (found.near_duplicates, found.look_alikes, found.suspicious):
        assert not compared.is_more
        assert compared.reference.value <= (0.02 if compared is found.suspicious else 0.01)
    assert found.copies.share.value == 0
    assert found.authenticity.excess.low < 0 < found.authenticity.excess.high
    assert memorisation_sentence(found).startswith("No sign")
    assert found.held_out == ("left out" if test is None else "test")


def test_copies_are_found_mirrored_or_not_and_ranked_first():
    synthetic = torch.cat([NEW[:50], noisy(TRAIN[5:15]), TRAIN[20:24], TRAIN[30:32].flip(3)])
    found = measure(synthetic)
    assert found.copies.share.value == 6 / 66
    assert np.flatnonzero(found.kinds == "copy").tolist() == [60, 61, 62, 63, 64, 65]
    copies = {pair.synthetic: pair for pair in found.pairs[:6]}
    assert {row: pair.real for row, pair in copies.items()} == {
        **{60 + row: 20 + row for row in range(4)},
        **{64 + row: 30 + row for row in range(2)},
    }
    assert [copies[row].mirrored for row in range(60, 66)] == [False] * 4 + [True] * 2
    assert all(pair.pixel_distance < 1e-6 for pair in copies.values())
    assert {pair.kind for pair in found.pairs[6:14]} == {"close in pixels"}
    assert "copies, pixel for pixel" in memorisation_sentence(found)


def test_a_twin_in_features_alone_is_no_copy():
    real, synthetic = features_of(TRAIN), features_of(NEW)
    values = synthetic.values.copy()
    values[:30] = real.values[40:70] + 1e-4  # another picture of the same content
    pixels = {"train_pixels": pixels_of(TRAIN), "synthetic_pixels": pixels_of(NEW)}
    found = measure_memorisation(real, replace(synthetic, values=values), **pixels)
    assert (found.kinds[:30] == "close in features").mean() > 0.9
    assert found.look_alikes.is_more and not found.near_duplicates.is_more
    assert [pair.real for pair in found.pairs if pair.synthetic == 3] == [43]
    assert "not in their pixels" in memorisation_sentence(found)
    assert not found.closeness.authentic[:30].any()


def test_typical_images_are_not_called_copies():
    # Nearer to the training images than held-out ones are, but to many of them at once.
    mean = TRAIN.float().mean(dim=0)
    typical = (0.5 * NEW.float() + 0.5 * mean).byte()
    found = measure(typical)
    assert not found.near_duplicates.is_more and not found.look_alikes.is_more


def test_real_and_synthetic_swapped_is_another_question():
    synthetic = torch.cat([noisy(TRAIN[:100]), NEW])
    there = measure(synthetic, test=None)
    back = measure(TRAIN, train=synthetic, test=None)
    assert there.near_duplicates.share.value == pytest.approx(100 / 220, abs=0.05)
    assert back.near_duplicates.share.value == pytest.approx(100 / 400, abs=0.05)


def test_a_clone_that_repeats_itself():
    repeated = torch.cat([NEW[:60], NEW[:20], noisy(NEW[:40])])
    found = measure(repeated).repetition
    assert found.repeated.value == 20 / 120
    assert found.crowded.is_more and found.crowded.share.value > 0.6
    assert found.space == "pixels" and found.compared == 120
    assert set(found.rows[:40]) == set(range(20)) | set(range(60, 80))
    digests = pixels_of(repeated).digests
    assert digests[found.rows[:40]].tolist() == digests[found.others[:40]].tolist()
    collapsed = measure(noisy(NEW[:1].repeat(100, 1, 1, 1)))
    assert collapsed.repetition.crowded.share.value == 1 > collapsed.suspicious.share.value
    assert not measure(NEW).repetition.crowded.is_more


def test_the_order_of_the_images_changes_nothing_but_rows():
    synthetic = torch.cat([noisy(TRAIN[:20]), TRAIN[30:33], NEW[:60]])
    generator = np.random.default_rng(0)
    train_order, order = generator.permutation(400), generator.permutation(len(synthetic))
    found = measure(synthetic, test=None, pairs=60)
    other = measure(synthetic[order], train=TRAIN[train_order], test=None, pairs=60)
    assert found.kinds[order].tolist() == other.kinds.tolist()
    assert (found.authenticity, found.suspicious) == (other.authenticity, other.suspicious)
    pairs = {(order[pair.synthetic], train_order[pair.real]) for pair in other.pairs}
    assert pairs == {(pair.synthetic, pair.real) for pair in found.pairs}
    assert [pair.kind for pair in found.pairs] == [pair.kind for pair in other.pairs]


def test_without_pixels_nothing_is_called_a_copy():
    found = measure_memorisation(features_of(TRAIN), features_of(TRAIN[:50]), features_of(TEST))
    assert found.copies is None and found.near_duplicates is None
    assert found.look_alikes.share.value == 1 and found.authenticity.share.value == 0
    assert found.repetition.space == "features" and found.repetition.repeated is None
    plain = found.to_json()
    assert plain["copies"] is None and plain["pairs"][0]["pixel_distance"] is None
    json.dumps(plain, allow_nan=False)


def test_classes_are_counted_one_by_one_and_everything_becomes_json():
    labels = np.arange(120) % 2
    synthetic = torch.cat([noisy(TRAIN[:60]), NEW[:60]])
    order = np.argsort(np.arange(120) // 60 != labels, kind="stable")
    images = synthetic[np.argsort(order)]
    found = measure_memorisation(
        features_of(TRAIN, np.arange(400) % 2),
        features_of(images, labels),
        train_pixels=pixels_of(TRAIN),
        synthetic_pixels=pixels_of(images),
    )
    for label, entry in enumerate(found.per_class):
        of_class = labels == label
        assert entry.images == 60 and entry.name == ("full", "hollow")[label]
        assert entry.suspicious.value == np.mean(found.kinds[of_class] != "")
    plain = json.loads(json.dumps(found.to_json(), allow_nan=False))
    assert plain["images"] == {"training": 400, "synthetic": 120, "held_out": 400}
    assert plain["threshold"]["share"] == 0.01 and plain["encoder"]["name"] == "toy"
    assert set(DEFINITIONS) == {*list(plain)[:5], "repeated", "crowded"}


def test_mistakes_are_named():
    real, synthetic = features_of(TRAIN), features_of(NEW)
    not_finite = synthetic.values.copy()
    not_finite[3, 0] = np.nan
    pixels = pixels_of(TRAIN)
    cases = [
        ("finite", real, replace(synthetic, values=not_finite), {}),
        ("class lists", real, replace(synthetic, classes=["a", "b"]), {}),
        ("encoders", real, replace(synthetic, encoder=replace(real.encoder, resize="other")), {}),
        ("too few training images", features_of(TRAIN[:2]), synthetic, {}),
        ("repeats itself", real, features_of(NEW[:1]), {}),
        ("no images", real, features_of(NEW[:0]), {}),
        ("pixels of some sets only", real, synthetic, {"train_pixels": pixels}),
        (
            "not those of its features",
            real,
            synthetic,
            {"train_pixels": pixels, "synthetic_pixels": pixels},
        ),
        ("no such share", real, synthetic, {"share": 1.5}),
    ]
    for message, first, second, options in cases:
        with pytest.raises(GendataError, match=message):
            measure_memorisation(first, second, **options)
