"""Which images of each source are compared: equally many, the same number of every class."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from gendata.errors import GendataError
from gendata.images import (
    ArrayImages,
    balanced_split,
    balanced_subset,
    check_same_classes,
    make_loader,
)
from gendata.types import Images

__all__ = ["HELD_OUT_SHARE", "Part", "common_size", "decoded", "equal_parts"]

HELD_OUT_SHARE = 10  # one image in ten serves the validation curves
SPLIT_SEED = 0  # one fixed split, whatever the seed of a training (Wang et al. 2024, section 3.2)


@dataclass(frozen=True)
class Part:
    """What is taken from one source.

    Attributes:
        training: what classifiers are trained on and what is compared.
        held_out: for the validation curves alone.
        rows: (N,) where each training image stands in its source.
    """

    training: Images
    held_out: Images
    rows: np.ndarray


def common_size(
    sources: Mapping[str, Images], per_class: int | None = None, limit: int | None = None
) -> int:
    """Returns how many images of every class all sources can give.

    Args:
        sources: by name.
        per_class: no more than this many of a class.
        limit: no more than this many of a source.

    Raises:
        GendataError: the classes differ, or fewer than two images of each could be taken.
    """
    (first, real), *others = sources.items()
    for name, images in others:
        check_same_classes(first, real.classes, name, images.classes)
    fewest = {name: _fewest(images) for name, images in sources.items()}
    name, (count, label) = min(fewest.items(), key=lambda item: item[1])
    ceiling = [] if limit is None else [limit // len(real.classes)]
    size = min([count, *ceiling, *([] if per_class is None else [per_class])])
    if size < 2:
        short = count < 2
        raise GendataError(
            "too few images to compare",
            found=f"{count} of class '{real.classes[label]}' in '{name}'"
            if short
            else f"room for {size} of each class",
            expected="at least 2 of every class in every source",
            do="draw more of this class" if short else "raise the limit",
        )
    return size


def equal_parts(sources: Mapping[str, Images], size: int, side: int | None) -> dict[str, Part]:
    """Takes `size` images of every class from every source and holds out a tenth of them.

    Args:
        sources: by name.
        size: images of a class.
        side: what images are resized to, pixels; None keeps theirs.
    """
    parts = {}
    for name, images in sources.items():
        subset = balanced_subset(images, size, SPLIT_SEED)
        held_out, training = balanced_split(subset, max(1, size // HELD_OUT_SHARE), SPLIT_SEED)
        rows = subset.rows[training.rows]
        parts[name] = Part(decoded(training, side), decoded(held_out, side), rows)
    return parts


def decoded(images: Images, side: int | None) -> Images:
    """Decodes a set that fits into memory, once for all classifiers; a larger one stays as it is.

    Raises:
        GendataError: an image is damaged, so that its row would be gone.
    """
    ready = make_loader(images, len(images), augment="none", size=side).images
    if len(ready) != len(images):
        damaged = ready.damaged[-1] if isinstance(ready, ArrayImages) else None
        raise GendataError(
            f"'{images.name}' holds damaged images",
            found=f"{len(images) - len(ready)}, such as {damaged.place if damaged else 'unknown'}",
            do="repair or remove them and measure again",
        )
    return ready


def _fewest(images: Images) -> tuple[int, int]:
    """The size of the smallest class, and which one it is."""
    counts = np.bincount(np.asarray(images.labels), minlength=len(images.classes))
    return int(counts.min()), int(counts.argmin())
