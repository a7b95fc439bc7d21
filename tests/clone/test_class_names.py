"""Samplers and classifiers that spell the same classes differently."""

import pyarrow.parquet as pq
import pytest
import torch

from gendata import ConfidenceFilter, draw_clone
from gendata.errors import GendataError
from gendata.samplers.biggan import imagenet_names
from gendata.types import Card

categories = pytest.importorskip("torchvision.models._meta")._IMAGENET_CATEGORIES


class Painter:
    """Paints the label into the first pixel; every third seed paints the next class instead."""

    name, resolution, card = "painter", 4, Card("painter", sha256="1" * 64)

    def __init__(self, classes):
        self.classes = classes

    def sample(self, labels, seeds):
        shown = (labels + (seeds % 3 == 0)) % len(self.classes)
        images = torch.zeros(len(labels), 3, 4, 4, dtype=torch.uint8)
        images[:, 0, 0, 0], images[:, 1, 0, 0] = shown // 256, shown % 256
        return images


class Reader:
    """Reads the label that was painted; its outputs stand in an order of its own."""

    name, card = "reader", Card("reader", sha256="2" * 64)

    def __init__(self, classes, order):
        self.classes, self.order = [classes[label] for label in order], torch.tensor(order)

    def probabilities(self, images):
        painted = images[:, 0, 0, 0].long() * 256 + images[:, 1, 0, 0].long()
        return (self.order == painted[:, None]).double() * 0.9


def test_imagenet_by_synonyms_agrees_with_imagenet_by_one_name(tmp_path):
    """As a DiT or BigGAN names its classes, and as torchvision's classifiers do."""
    reader = Reader(categories, range(1000))
    wanted = [0, 134, 264, 474, 517, 638, 639, 999]
    draw_clone(
        Painter(imagenet_names()), 3, tmp_path, filter=ConfidenceFilter(reader, 0.5, "agree"),
        classes=wanted, progress=False,
    )  # fmt: skip
    rows = pq.read_table(tmp_path / "shard-00000.parquet").to_pylist()
    assert sorted(row["conditioned_label"] for row in rows) == sorted(wanted * 3)
    assert all(wanted[row["label"]] == row["conditioned_label"] for row in rows)
    assert all(row["seed"] % 3 for row in rows)


def test_outputs_in_another_order_are_read_by_name(tmp_path):
    names = ["tabby, tabby cat", "golden retriever", "tench, Tinca tinca"]
    reader = Reader(["tabby", "Golden_Retriever", "tench"], [2, 0, 1])
    draw_clone(Painter(names), 4, tmp_path, filter=ConfidenceFilter(reader, 0.5), progress=False)
    rows = pq.read_table(tmp_path / "shard-00000.parquet").to_pylist()
    assert len(rows) == 12 and all(row["seed"] % 3 for row in rows)
    assert rows[0]["probabilities"][:3] == pytest.approx([0.9, 0, 0])


def test_names_that_cannot_be_told_apart_are_refused(tmp_path):
    reader = Reader(["x", "crane bird", "crane"], [1, 0, 2])
    with pytest.raises(GendataError, match="knows other classes than the sampler"):
        draw_clone(
            Painter(["x", "crane", "crane"]), 1, tmp_path, filter=ConfidenceFilter(reader, 0.5)
        )
