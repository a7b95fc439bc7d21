"""Class names and labels as samplers take them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from gendata.errors import GendataError

__all__ = ["LARGEST_LATENT", "check_labels", "class_names"]

MOST_CLASSES = 1_000_000
LARGEST_LATENT = 1 << 24  # numbers that one image may be drawn from


def class_names(classes: int | Sequence[object] | None) -> list[str] | None:
    """Turns a count into the names "0", "1", …, and a sequence into strings; None stays."""
    if isinstance(classes, int):
        if isinstance(classes, bool) or not 1 <= classes <= MOST_CLASSES:
            raise GendataError(
                "bad option classes",
                found=classes,
                expected=f"at least 1, at most {MOST_CLASSES:,}",
            )
        return [str(label) for label in range(classes)]
    if isinstance(classes, str) or not isinstance(classes, Sequence | None):
        raise GendataError(
            "bad option classes", found=repr(classes), expected='a number or ["cat", "dog", …]'
        )
    return None if classes is None else [str(name) for name in classes]


def check_labels(
    labels: Tensor | None, seeds: Tensor, classes: int | None, device: torch.device
) -> Tensor | None:
    """Checks labels against the seeds and the number of classes, and brings them to the device.

    Args:
        labels: (B,) integers; None for an unconditional sampler.
        seeds: (B,) integers.
        classes: number of classes; None for an unconditional sampler.
        device: where the labels are wanted.

    Raises:
        GendataError: labels are missing, superfluous, too many or too few, or out of range.
    """
    if classes is None:
        if labels is not None:
            raise GendataError("this sampler is unconditional", found="labels", expected="None")
        return None
    if labels is None:
        raise GendataError("this sampler needs labels", found="None", expected=f"0…{classes - 1}")
    if labels.shape != seeds.shape or labels.ndim != 1:
        raise GendataError(
            "labels and seeds do not match",
            found=f"shapes {tuple(labels.shape)} and {tuple(seeds.shape)}",
            expected="one of each per image",
        )
    if labels.is_floating_point():
        raise GendataError("labels must be integers", found=labels.dtype, expected="torch.int64")
    if len(labels) and not 0 <= int(labels.min()) <= int(labels.max()) < classes:
        raise GendataError(
            "a label is outside the sampler's classes",
            found=f"labels from {int(labels.min())} to {int(labels.max())}",
            expected=f"0…{classes - 1}",
        )
    return labels.to(device, torch.int64)
