"""Reading a `.npz` file with the arrays `images`, `labels` and perhaps `classes`."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from gendata.errors import GendataError
from gendata.images.memory import ArrayImages
from gendata.images.rgb import to_rgb

__all__ = ["from_arrays", "read_npz"]


def read_npz(path: str, *, name: str) -> ArrayImages:
    """Opens images (N, H, W), (N, H, W, C) or (N, C, H, W), uint8 or uint16, C from 1 to 4.

    Raises:
        GendataError: an unreadable file, or arrays of another kind.
    """
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = {
                key: archive[key] for key in ("images", "labels", "classes") if key in archive
            }
            found = ", ".join(archive.files)
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise GendataError(
            f"'{path}' cannot be read", found=error, expected="arrays saved by numpy.savez"
        ) from error
    except (AttributeError, TypeError) as error:  # a bare .npy array
        raise GendataError(f"'{path}' holds one array, expected an archive of several") from error
    missing = {"images", "labels"} - set(arrays)
    if missing:
        raise GendataError(
            f"'{path}' lacks arrays", found=found or "none", expected="images and labels"
        )
    classes = [str(text) for text in arrays["classes"].tolist()] if "classes" in arrays else None
    return from_arrays(name, arrays["images"], arrays["labels"], classes, Path(path).name)


def from_arrays(
    name: str, images: np.ndarray, labels: np.ndarray, classes: list[str] | None, place: str
) -> ArrayImages:
    """Makes a set of arrays in any usual layout; classes are numbered where they have no names.

    Raises:
        GendataError: images or labels of another kind.
    """
    labels = labels.reshape(-1) if labels.ndim == 2 and labels.shape[1] == 1 else labels
    if labels.ndim != 1 or labels.dtype.kind not in "iu":
        raise GendataError(
            f"the labels of '{place}' are not numbers",
            found=f"{labels.dtype} {labels.shape}",
            expected="integers (N,)",
        )
    if classes is None:
        classes = [str(label) for label in range(int(labels.max(initial=-1)) + 1)]
    return ArrayImages(name, classes, _rgb(images, place), labels)


def _rgb(images: np.ndarray, place: str) -> Tensor:
    if images.ndim == 3:
        images = images[..., None]
    channels = (1, 2, 3, 4)
    if images.ndim == 4 and images.shape[-1] not in channels and images.shape[1] in channels:
        images = images.transpose(0, 2, 3, 1)
    bytes_or_words = images.dtype in (np.uint8, np.uint16)
    if images.ndim != 4 or images.shape[-1] not in channels or not bytes_or_words:
        raise GendataError(
            f"the images of '{place}' are not pictures",
            found=f"{images.dtype} {images.shape}",
            expected="uint8 or uint16 (N, H, W), (N, H, W, C) or (N, C, H, W)",
            do="convert them, floats for example by numpy.rint(255 * images).astype('uint8')",
        )
    return torch.from_numpy(np.ascontiguousarray(to_rgb(images).transpose(0, 3, 1, 2)))
