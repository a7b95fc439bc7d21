"""The features of an image set under one encoder, with all that decided them beside them.

Every measure of `gendata.gap.measures` is a function of such arrays. Sets larger than memory work:
images are decoded in threads, a few batches ahead of the network, and only features are kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from tqdm import tqdm

from gendata.errors import GendataError
from gendata.features.blocks import feature_blocks
from gendata.features.cache import cache_file, read_features, write_features
from gendata.types import Images

if TYPE_CHECKING:
    from gendata.features.encoders import Encoder

__all__ = ["EncoderCard", "Features", "extract_features"]


@dataclass(frozen=True)
class EncoderCard:
    """What turned images into features; two sets are comparable only under equal cards.

    Attributes:
        name: the reference it was loaded from, such as `embedded:efficientnet-lite0`.
        resize: how images are brought to the input size, in words; "none" where they are not.
        input_size: side of the network's input, pixels; None: images as they come.
        feature_dim: D of the features.
        version: of the libraries that computed them.
        digest: SHA-256 of the weights, hexadecimal; empty where unknown.
        pixels: the range and normalisation of what it is fed, in words; empty where unknown.
    """

    name: str
    resize: str
    input_size: int | None
    feature_dim: int
    version: str
    digest: str = ""
    pixels: str = ""

    def to_json(self) -> dict[str, Any]:
        """The card as plain data."""
        return asdict(self)


@dataclass(frozen=True)
class Features:
    """The features of N images.

    Attributes:
        values: (N, D) float32.
        labels: (N,) int64, indices into the classes.
        classes: class names in label order.
        encoder: what computed them.
        name: of the image set.
        rows: (N,) int64, the image of the set that each one belongs to, for damaged images are
            left out; None: all images, in order.
    """

    values: np.ndarray
    labels: np.ndarray
    classes: Sequence[str]
    encoder: EncoderCard
    name: str = ""
    rows: np.ndarray | None = None

    def __post_init__(self) -> None:
        if self.values.ndim != 2 or self.values.dtype != np.float32:
            raise GendataError(
                f"the features of '{self.name}' are no float32 matrix",
                found=f"{self.values.dtype} {self.values.shape}",
                expected="float32 (N, D)",
            )
        if self.labels.shape != (len(self.values),):
            raise GendataError(
                f"the labels of '{self.name}' do not belong to its features",
                found=f"labels of shape {self.labels.shape}",
                expected=f"({len(self.values)},)",
            )

    def __len__(self) -> int:
        return len(self.values)


def extract_features(
    images: Images,
    encoder: Encoder,
    *,
    batch_size: int = 128,
    cache: Path | None = None,
    progress: bool = True,
) -> Features:
    """Computes the features of every image, in order; damaged images are left out and reported.

    Args:
        images: any set, also one larger than memory.
        encoder: of `load_encoder`.
        batch_size: images the network sees at a time.
        cache: folder in which features are kept and looked for. Its files are named after the
            encoder's card and the images: all of them where they are in memory, else the labels
            and up to 256 of them.
        progress: show a bar on stderr once it takes a while.

    Raises:
        GendataError: no image can be read, the images differ in size and the encoder does not
            resize them, or a feature is not finite.
    """
    if batch_size < 1:
        raise GendataError("the batch is empty", found=batch_size, expected="at least 1")
    if not len(images):
        raise GendataError(f"'{images.name}' holds no image")
    file = None if cache is None else cache_file(Path(cache), images, encoder.card)
    found = None if file is None else read_features(file, images, encoder.card)
    if found is None:
        found = _computed(images, encoder, batch_size, progress)
        if file is not None:
            write_features(file, *found)
    values, rows = found
    labels = np.asarray(images.labels, dtype=np.int64)[rows]
    return Features(values, labels, list(images.classes), encoder.card, images.name, rows)


def _computed(
    images: Images, encoder: Encoder, batch_size: int, progress: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Returns features (N, D) and the rows (N,), ascending, that they belong to."""
    values = np.empty((len(images), encoder.feature_dim), dtype=np.float32)
    read = np.zeros(len(images), dtype=bool)
    title = f"features of {Path(images.name).name}"
    bar = tqdm(
        total=len(images), desc=title, delay=2, leave=False, disable=None if progress else True
    )
    with bar:
        for rows, block in feature_blocks(images, encoder, batch_size):
            _check_finite(block, rows, images, encoder)
            values[rows], read[rows] = block, True
            bar.update(len(rows))
    if not read.any():
        raise GendataError(f"'{images.name}' holds no image that can be read")
    return (values if read.all() else values[read]), np.flatnonzero(read)


def _check_finite(block: np.ndarray, rows: np.ndarray, images: Images, encoder: Encoder) -> None:
    finite = np.isfinite(block).all(axis=1)
    if finite.all():
        return
    row = int(rows[~finite].min())
    bad = block[rows == row]
    label = images.classes[int(np.asarray(images.labels)[row])]
    raise GendataError(
        f"the features of '{images.name}' under {encoder.name} are not finite",
        found=f"{bad[~np.isfinite(bad)][0]} for row {row} (class '{label}') and "
        f"{(~finite).sum() - 1} more of its batch",
        expected="numbers",
        do="check the encoder's weights and its normalisation, or choose another encoder",
    )
