"""How well a network classifies a set, image by image."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from accelerate import Accelerator
from torch import Tensor, nn
from torch.nn import functional

from gendata.images import Loader, make_loader
from gendata.types import Images

__all__ = [
    "Accuracy",
    "accuracy",
    "accuracy_of",
    "evaluation_loader",
    "logits",
    "per_sample_losses",
    "scores",
]

BATCH = 256


@dataclass(frozen=True)
class Accuracy:
    """Accuracy on a set.

    Attributes:
        value: share of images classified rightly.
        images: how many there were.
        per_class: the same share for each class in label order; nan for a class without images.
    """

    value: float
    images: int
    per_class: tuple[float, ...]

    @property
    def mean(self) -> float:
        """The unweighted mean over the classes that have images."""
        there = [share for share in self.per_class if not math.isnan(share)]
        return math.fsum(there) / len(there)

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % Wilson interval: how far chance in the choice of images carries."""
        z, n = 1.959964, self.images
        centre = (self.value + z * z / (2 * n)) / (1 + z * z / n)
        half = (
            z / (1 + z * z / n) * math.sqrt(self.value * (1 - self.value) / n + (z / (2 * n)) ** 2)
        )
        return max(0.0, centre - half), min(1.0, centre + half)


def evaluation_loader(
    images: Images,
    *,
    size: int | None = None,
    batch_size: int = BATCH,
    device: torch.device | str = "cpu",
    accelerator: Accelerator | None = None,
) -> Loader:
    """Makes a loader that shows every image once, as it is; processes share the work."""
    processes = accelerator.num_processes if accelerator is not None else 1
    return make_loader(
        images,
        max(batch_size, processes),
        augment="none",
        size=size,
        device=accelerator.device if accelerator is not None else device,
        drop_last=False,
        rank=accelerator.process_index if accelerator is not None else 0,
        world=processes,
    )


@torch.no_grad()
def logits(network: nn.Module, loader: Loader, accelerator: Accelerator | None = None) -> Tensor:
    """Returns logits (N, K), float32, in row order, on every process."""
    training = network.training
    network.eval()
    rows: Tensor | None = None
    for examples in loader.epoch(0):
        if len(examples.rows):
            part = network(examples.images).logits.float()
            rows = part.new_zeros(len(loader.images), part.shape[1]) if rows is None else rows
            rows[examples.rows] = part
    network.train(training)
    assert rows is not None, "an evaluation needs at least one image per process"
    if accelerator is not None and accelerator.num_processes > 1:
        rows = accelerator.reduce(rows, "sum")
    return rows


def scores(
    network: nn.Module, images: Images, *, size: int | None = None, batch_size: int = BATCH
) -> tuple[Tensor, Tensor]:
    """Shows a network every image once, as it is; arguments as for `per_sample_losses`.

    Returns:
        Logits (N, K), float64, and labels (N,), int64, both on the CPU and in row order.
    """
    device = next(network.parameters()).device
    loader = evaluation_loader(images, size=size, batch_size=batch_size, device=device)
    labels = torch.from_numpy(np.asarray(loader.images.labels))
    return logits(network, loader).double().cpu(), labels


def per_sample_losses(
    network: nn.Module, images: Images, *, size: int | None = None, batch_size: int = BATCH
) -> Tensor:
    """Returns each image's cross-entropy, (N,) float64 on the CPU, in row order.

    Args:
        network: maps images to an `Output`; its device is used.
        images: the set, shown without augmentation.
        size: side that images are resized to, pixels; None for their own.
        batch_size: images at a time.
    """
    rows, labels = scores(network, images, size=size, batch_size=batch_size)
    return functional.cross_entropy(rows, labels, reduction="none")


def accuracy(
    network: nn.Module, images: Images, *, size: int | None = None, batch_size: int = BATCH
) -> Accuracy:
    """Returns the accuracy on a set; arguments as for `per_sample_losses`."""
    rows, labels = scores(network, images, size=size, batch_size=batch_size)
    return accuracy_of(rows, labels.numpy(), images.classes)


def accuracy_of(scores: Tensor, labels: np.ndarray, classes: Sequence[str]) -> Accuracy:
    """Returns the accuracy of logits (N, K) for labels (N,)."""
    right = scores.argmax(dim=1).cpu().numpy() == labels
    per_class = [
        float(right[labels == label].mean()) if (labels == label).any() else math.nan
        for label in range(len(classes))
    ]
    return Accuracy(float(right.mean()), len(labels), tuple(per_class))
