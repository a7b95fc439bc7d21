"""Images with a gap that is known, and the inputs of a measurement, for the tests of the gap."""

import numpy as np
import torch

from gendata.gap.inputs.opened import opened_inputs
from gendata.images import ArrayImages

CLASSES = ["a", "b", "c"]


def bars(modes, per_class=40, seed=0, *, noise=60, classes=CLASSES):
    """Images of class k hold a bright bar: row 3k + 2 in mode 0, column 3k + 2 in mode 1."""
    generator = torch.Generator().manual_seed(seed)
    labels = np.arange(3 * per_class) % 3
    images = torch.randint(0, noise, (len(labels), 3, 12, 12), generator=generator)
    for place, label in enumerate(labels):
        at = slice(3 * int(label) + 1, 3 * int(label) + 3)
        if modes[(place // 3) % len(modes)] == 0:
            images[place, :, at, :] += 190
        else:
            images[place, :, :, at] += 190
    return ArrayImages("bars", classes, images.clamp(max=255).to(torch.uint8), labels)


def inputs_of(real, clone, test=None, limit=None):
    """What a measurement of one clone opens, with nothing kept."""
    return opened_inputs(
        real,
        {"clone": clone},
        test,
        limit=limit,
        per_class=None,
        training={},
        strict=False,
        seeds=[0],
        folder=None,
        device=torch.device("cpu"),
        download=False,
        progress=False,
    )
