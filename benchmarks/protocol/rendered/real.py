"""Real test sets under the class names of rendered images."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from torch import Tensor

from gendata.errors import GendataError
from gendata.types import Images

__all__ = ["SYNONYMS", "Matched", "matched"]

# One name for each class, spelled without spaces and in lower case. VisDA, ShapeNet and CIFAR do
# not agree.
SYNONYMS = {
    "airplane": "aeroplane",
    "plane": "aeroplane",
    "automobile": "car",
    "bike": "bicycle",
    "motorbike": "motorcycle",
    "pottedplant": "plant",
    "people": "person",
}


class Matched:
    """The images of a set whose classes another set has too, with the other's labels.

    Args:
        images: the set.
        rows: (M,) which of its images.
        labels: (M,) their labels among `classes`.
        classes: all names of the other set, some of which may have no image here.
    """

    def __init__(
        self, images: Images, rows: np.ndarray, labels: np.ndarray, classes: Sequence[str]
    ) -> None:
        self.images, self.rows, self.labels = images, rows, labels
        self.name = images.name
        self.classes: Sequence[str] = list(classes)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return self.images[int(self.rows[index])][0], int(self.labels[index])


def matched(images: Images, classes: Sequence[str]) -> Images:
    """Keeps the images of the named classes: CIFAR's airplane is our aeroplane.

    Raises:
        GendataError: the sets share fewer than two classes.
    """
    ours = {_plain(name): label for label, name in enumerate(classes)}
    places = np.array([ours.get(_plain(name), -1) for name in images.classes])
    if (places >= 0).sum() < 2:
        raise GendataError(
            f"'{images.name}' has too few of the rendered classes to judge",
            found=", ".join(map(str, images.classes[:12])),
            expected=f"two or more of {', '.join(classes)}",
        )
    labels = places[np.asarray(images.labels)]
    rows = np.flatnonzero(labels >= 0)
    return Matched(images, rows, labels[rows], classes)


def _plain(name: str) -> str:
    letters = "".join(each for each in name.lower() if each.isalnum())
    return SYNONYMS.get(letters, letters)
