"""Opening torchvision's data sets by name, without decoding them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from gendata.errors import GendataError
from gendata.images.lazy import FileSource, inspected
from gendata.images.npz import from_arrays
from gendata.images.roots import data_root
from gendata.types import Images

__all__ = ["TORCHVISION_SETS", "read_torchvision"]


class _Set(NamedTuple):
    """A class of torchvision.datasets and the argument that chooses each split."""

    class_name: str
    argument: str
    splits: Mapping[str, Any]


def _named(*splits: str) -> dict[str, str]:
    return {split: split for split in splits}


TRAIN_OR_TEST = {"train": True, "test": False}
TORCHVISION_SETS = {
    "country211": _Set("Country211", "split", _named("train", "valid", "test")),
    "dtd": _Set("DTD", "split", _named("train", "val", "test")),
    "eurosat": _Set("EuroSAT", "", {"all": None}),
    "fashionmnist": _Set("FashionMNIST", "train", TRAIN_OR_TEST),
    "fgvc-aircraft": _Set("FGVCAircraft", "split", _named("train", "val", "trainval", "test")),
    "flowers102": _Set("Flowers102", "split", _named("train", "val", "test")),
    "food101": _Set("Food101", "split", _named("train", "test")),
    "gtsrb": _Set("GTSRB", "split", _named("train", "test")),
    "imagenet": _Set("ImageNet", "split", _named("train", "val")),
    "imagenette": _Set("Imagenette", "split", _named("train", "val")),
    "kmnist": _Set("KMNIST", "train", TRAIN_OR_TEST),
    "mnist": _Set("MNIST", "train", TRAIN_OR_TEST),
    "oxford-iiit-pet": _Set("OxfordIIITPet", "split", _named("trainval", "test")),
    "stanford-cars": _Set("StanfordCars", "split", _named("train", "test")),
    "stl10": _Set("STL10", "split", _named("train", "test")),
    "sun397": _Set("SUN397", "", {"all": None}),
    "svhn": _Set("SVHN", "split", _named("train", "test", "extra")),
    "usps": _Set("USPS", "train", TRAIN_OR_TEST),
}
CAN_DOWNLOAD = frozenset(TORCHVISION_SETS) - {"imagenet", "stanford-cars"}


def read_torchvision(
    kind: str, split: str, *, name: str, strict: bool, download: bool, root: str | None = None
) -> Images:
    """Opens one split of a set; nothing is downloaded unless asked for.

    Raises:
        GendataError: another split, or the set is not there.
    """
    described = TORCHVISION_SETS[kind]
    if split not in described.splits:
        raise GendataError(
            f"{kind} has no split '{split}'",
            expected=" or ".join(f"{kind}:{part}" for part in described.splits),
        )
    dataset = _dataset(kind, described, split, download, root)
    labels = np.asarray(_first(dataset, "targets", "labels", "_labels") or _column(dataset, 1))
    classes = _class_names(getattr(dataset, "classes", None), labels)
    data = getattr(dataset, "data", None)
    if data is not None and not isinstance(data, list):
        return from_arrays(name, np.asarray(data), labels, classes, kind)
    files = _first(dataset, "_image_files", "_images") or _column(dataset, 0)
    return inspected(name, classes, labels, FileSource([str(file) for file in files]), strict)


def _dataset(kind: str, described: _Set, split: str, download: bool, root: str | None) -> Any:
    from torchvision import datasets

    folder = data_root(root)
    arguments: dict[str, Any] = {"root": str(folder)}
    if described.argument:
        arguments[described.argument] = described.splits[split]
    if kind in CAN_DOWNLOAD:
        arguments["download"] = download
    try:
        return getattr(datasets, described.class_name)(**arguments)
    except (RuntimeError, OSError, ValueError) as error:
        raise GendataError(
            f"{kind} is not in '{folder}'",
            found=str(error).splitlines()[0][:200] if str(error) else type(error).__name__,
            expected=f"the files that torchvision.datasets.{described.class_name} reads",
            do=f"name their folder, {kind}:{split}?root=FOLDER"
            + (
                ", or allow the download with --download (download=True)"
                if kind in CAN_DOWNLOAD
                else "; its owners ask for a registration, so it cannot be downloaded"
            ),
        ) from error


def _first(dataset: Any, *attributes: str) -> Sequence[Any] | None:
    """Returns the first of some attributes that the set has, as a list."""
    for attribute in attributes:
        values = getattr(dataset, attribute, None)
        if values is not None and len(values):
            return values.tolist() if hasattr(values, "tolist") else list(values)
    return None


def _column(dataset: Any, column: int) -> list[Any]:
    """Returns paths (0) or labels (1) of a set that keeps pairs of both."""
    return [pair[column] for pair in _first(dataset, "_samples", "samples") or []]


def _class_names(names: Sequence[Any] | None, labels: np.ndarray) -> list[str]:
    if names is None:
        return [str(label) for label in range(int(labels.max(initial=-1)) + 1)]
    return [", ".join(name) if isinstance(name, tuple) else str(name) for name in names]
