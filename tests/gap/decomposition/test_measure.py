"""Gaps that were made on purpose, from drawings whose features are known."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from gendata.errors import GendataError
from gendata.features.extract import EncoderCard, Features
from gendata.gap.cross_source.losses import spread_of
from gendata.gap.decomposition.findings import DEFINITIONS
from gendata.gap.decomposition.measure import decompose

SIDE = 16
CARD = EncoderCard("pooled", "none", None, 48, "1")


def encode(images):
    """Means over 4x4 pixels: colour and blur move them, and so does what is shown."""
    return torch.nn.functional.avg_pool2d(images.float(), 4).flatten(1)


def drawings(count, seed, kinds=8):
    """A bright disc in one of eight places on a dark, textured ground: (images, labels)."""
    generator = np.random.default_rng(seed)
    labels = np.arange(count) % kinds
    generator.shuffle(labels)
    angle = labels * np.pi / 4 + generator.normal(scale=0.15, size=count)
    center = 7.5 + 5 * np.stack([np.sin(angle), np.cos(angle)], axis=1)
    down, across = np.mgrid[:SIDE, :SIDE]
    distance = np.hypot(down - center[:, :1, None], across - center[:, 1:, None])
    disc = 120 / (1 + np.exp(4 * (distance - generator.uniform(2.2, 3, (count, 1, 1)))))
    ground = generator.normal(60, 6, (count, 3, 1, 1))
    texture = generator.normal(scale=6, size=(count, 3, SIDE, SIDE))
    levels = ground + texture + disc[:, None] * np.array([1, 0.8, 0.5]).reshape(1, 3, 1, 1)
    return np.clip(np.round(levels), 0, 255).astype(np.uint8), labels // 2


def features_of(images, labels):
    values = encode(torch.from_numpy(images)).numpy()
    return Features(values, labels, ["a", "b", "c", "d"], CARD, "drawn")


REAL = drawings(400, 0)


def gap_to(images, labels, **options):
    return decompose(
        REAL[0],
        images,
        features_of(*REAL),
        features_of(images, labels),
        encode=options.pop("encode", encode),
        **options,
    )


def values(found):
    return found.appearance.value, found.quality.value, found.content.value


def blurred(images):
    """A kernel (1, 2, 1) in both directions, borders repeated."""
    wide = np.pad(images.astype(float), ((0, 0), (0, 0), (1, 1), (1, 1)), mode="edge")
    across = wide[..., :-2] + 2 * wide[..., 1:-1] + wide[..., 2:]
    levels = across[:, :, :-2] + 2 * across[:, :, 1:-1] + across[:, :, 2:]
    return np.round(levels / 16).astype(np.uint8)


def cut(images, share=1.0):
    """Quarters of the first images in another order."""
    found, last = images.copy(), int(share * len(images))
    half = SIDE // 2
    quarters = [images[:last, :, y : y + half, x : x + half] for y in (0, half) for x in (0, half)]
    order = np.random.default_rng(5).permuted(np.tile(np.arange(4), (last, 1)), axis=1)
    mixed = np.stack(quarters)[order.T, np.arange(last)]
    rows = [np.concatenate([mixed[0], mixed[1]], axis=3), np.concatenate([mixed[2], mixed[3]], 3)]
    found[:last] = np.concatenate(rows, axis=2)
    return found


def test_other_images_of_the_same_kind_have_no_gap():
    found = gap_to(*drawings(400, 1))
    assert max(values(found)) < 0.13
    assert found.appearance.low <= 0.03 and found.content.low <= 0.03
    halves = found.floor
    for part in (halves.appearance, halves.quality, halves.content):
        assert part.gap.value < 0.2


def test_appearance_moves_alone():
    images, labels = drawings(400, 1)
    for changed in (blurred(images), (images * [[[0.7]], [[1.0]], [[1.2]]]).astype(np.uint8)):
        appearance, quality, content = values(gap_to(changed, labels))
        assert appearance > 0.9 and quality < 0.2 and content < 0.12


def test_without_an_encoder_the_look_moves_the_others_too():
    images, labels = drawings(400, 1)
    changed = (images * [[[0.5]], [[1.0]], [[1.4]]]).astype(np.uint8)
    found = gap_to(changed, labels, encode=None)
    assert found.look is None and found.to_json()["look"] is None
    assert found.quality.value > gap_to(changed, labels).quality.value + 0.2


def test_quality_moves_with_the_share_that_is_broken():
    images, labels = drawings(400, 1)
    found = [values(gap_to(cut(images, share), labels)) for share in (0.25, 0.6, 1.0)]
    quality = [each[1] for each in found]
    # A disc that lands in another of the eight places is no broken image.
    assert quality == sorted(quality) and quality[0] > 0.1 and quality[-1] > 0.55
    assert quality[1] - quality[0] > 0.12
    assert all(appearance < 0.2 for appearance, _, _ in found)


def test_content_moves_with_the_share_that_is_left_out():
    images, labels = drawings(1600, 1)
    found = []
    for missing in (1, 2):  # of four classes
        kept = np.flatnonzero(labels >= missing)[:400]
        found.append(values(gap_to(images[kept], labels[kept])))
    assert [each[2] for each in found] == pytest.approx([0.25, 0.5], abs=0.08)
    assert all(appearance < 0.15 and quality < 0.15 for appearance, quality, _ in found)


def test_content_within_classes_counts_too():
    """Each class shows a disc in two places; one of them is never drawn."""
    images, labels = drawings(800, 1)
    left = images[:, :, :, :8].mean(axis=(1, 2, 3)) > images[:, :, :, 8:].mean(axis=(1, 2, 3))
    found = gap_to(images[left][:350], labels[left][:350])
    assert found.content.value > 0.3 and found.quality.value < 0.15


def test_few_images_copied_often_lack_content():
    images, labels = drawings(16, 1)
    found = gap_to(images.repeat(25, axis=0), labels.repeat(25))
    assert found.content.low > 0.1 and found.quality.low < 0.2


def test_all_is_told_and_repeats():
    images, labels = drawings(300, 1)
    clone = spread_of(np.full((2, 300), 1e-4)), spread_of(np.full((2, 400), 5.0))
    found = gap_to(images, labels, losses=clone, limit=120)
    assert (found.real_images, found.synthetic_images) == (120, 120)
    assert found.loss_asymmetry == 1
    again = gap_to(images, labels, losses=clone, limit=120)
    written = json.dumps(found.to_json(), allow_nan=False)
    assert written == json.dumps(again.to_json(), allow_nan=False)
    assert set(DEFINITIONS) == {"appearance", "quality", "content", "loss asymmetry"}
    assert gap_to(images, labels, limit=120).to_json()["loss_asymmetry"] is None


def test_inputs_that_do_not_fit():
    images, labels = drawings(100, 1)
    real, synthetic = features_of(*REAL), features_of(images, labels)
    with pytest.raises(GendataError, match="too few synthetic images"):
        gap_to(images[:20], labels[:20])
    with pytest.raises(GendataError, match="do not belong to them"):
        decompose(REAL[0], images[:80], real, synthetic)
    with pytest.raises(GendataError, match="differ in size"):
        decompose(REAL[0], images[:, :, :12], real, synthetic, encode=encode)
    broken = replace(synthetic, values=np.full_like(synthetic.values, np.nan))
    with pytest.raises(GendataError, match="not finite"):
        decompose(REAL[0], images, real, broken)
    other = replace(synthetic, encoder=replace(CARD, resize="to 8x8"))
    with pytest.raises(GendataError, match="two encoders"):
        decompose(REAL[0], images, real, other)
