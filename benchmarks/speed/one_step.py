"""A learner and one batch of random images from each source: what a step of a method needs."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from accelerate import Accelerator

from gendata.images import ArrayImages, make_loader
from gendata.models import build_network
from gendata.training.learner import Learner
from gendata.types import Batch

__all__ = ["RATE", "learner_and_batch"]

CLASSES = 10
RATE = 1e-4


def learner_and_batch(
    network: str,
    side: int,
    batch_size: int,
    *,
    sources: Sequence[str] = ("synthetic", "real"),
    views: int = 0,
) -> tuple[Learner, Batch]:
    """Builds a network from a seed and gives it Adam and images on the device at hand.

    Args:
        network: name of the network.
        side: of the images, pixels.
        batch_size: images of each source, both in a batch and in all.
        sources: the names of the batch's parts.
        views: of each image; 0 lets a teacher see every batch anew.
    """
    torch.manual_seed(0)
    accelerator = Accelerator(cpu=not torch.cuda.is_available())
    loaders = {}
    for source in sources:
        images = torch.randint(256, (batch_size, 3, side, side), dtype=torch.uint8)
        labels = torch.arange(batch_size) % CLASSES
        known = ArrayImages(source, [str(c) for c in range(CLASSES)], images, labels.numpy())
        loaders[source] = make_loader(
            known, batch_size, augment="none", views=views, device=accelerator.device
        )
    built = build_network(network, CLASSES).to(accelerator.device)
    learner = Learner(
        built,
        torch.optim.Adam(built.parameters(), lr=RATE, fused=True),
        accelerator,
        classes=loaders[sources[0]].images.classes,
        loaders=loaders,
    )
    return learner, {name: next(iter(each.epoch(0))) for name, each in loaders.items()}
