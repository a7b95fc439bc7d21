"""Features kept in a folder, so that the next run need not compute them again."""

from __future__ import annotations

import hashlib
import json
import logging
import zipfile
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from gendata.files import publish
from gendata.images import ArrayImages
from gendata.training.fingerprint import fingerprint
from gendata.types import Images

if TYPE_CHECKING:
    from gendata.features.extract import EncoderCard

__all__ = ["cache_file", "read_features", "write_features"]

DAMAGE = (OSError, ValueError, LookupError, EOFError, zipfile.BadZipFile, zlib.error)


def cache_file(folder: Path, images: Images, card: EncoderCard) -> Path:
    """Names the file of a set's features under an encoder; looks at up to 256 images of the set.

    Of a set that is decoded in memory every byte is looked at, which takes no time to speak of.
    """
    digest = hashlib.sha256(json.dumps(card.to_json(), sort_keys=True).encode())
    digest.update(fingerprint(images).encode())
    if isinstance(images, ArrayImages):
        digest.update(np.ascontiguousarray(images.images.numpy()).data)
    return folder / f"features-{digest.hexdigest()[:32]}.npz"


def read_features(
    path: Path, images: Images, card: EncoderCard
) -> tuple[np.ndarray, np.ndarray] | None:
    """Returns features (N, D) and their rows (N,) as they were kept, or None.

    A damaged file is as good as none: the caller computes them again and overwrites it.
    """
    if not path.is_file():
        return None
    try:
        values, rows = _checked(path, len(images), card.feature_dim)
    except DAMAGE as error:
        logging.getLogger("gendata").warning(
            "the features kept in %s are damaged (%s) and are computed again", path, error
        )
        return None
    if len(rows) < len(images):
        logging.getLogger("gendata").warning(
            "left out %d damaged images of '%s', as when its features were computed",
            len(images) - len(rows),
            images.name,
        )
    return values, rows


def write_features(path: Path, values: np.ndarray, rows: np.ndarray) -> None:
    """Writes features (N, D) and their rows (N,), whole or not at all.

    Raises:
        GendataError: they cannot be written.
    """
    publish(path, lambda file: np.savez(file, values=values, rows=rows))


def _checked(path: Path, count: int, feature_dim: int) -> tuple[np.ndarray, np.ndarray]:
    """Reads a file and makes sure that it can be ours.

    Raises:
        ValueError: it cannot; or another of `DAMAGE`.
    """
    with np.load(path, allow_pickle=False) as content:
        values, rows = content["values"], content["rows"]
    if values.dtype != np.float32 or rows.dtype != np.int64:
        raise ValueError(f"{values.dtype} features, {rows.dtype} rows")
    if rows.ndim != 1 or values.shape != (len(rows), feature_dim):
        raise ValueError(f"features {values.shape}, rows {rows.shape}")
    if not 0 < len(rows) <= count or rows[0] < 0 or rows[-1] >= count:
        raise ValueError(f"{len(rows)} rows for {count} images")
    if (np.diff(rows) <= 0).any() or not np.isfinite(values).all():
        raise ValueError("rows out of order, or features that are not finite")
    return values, rows
