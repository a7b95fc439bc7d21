"""Reading a tree with one folder of images per class."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from gendata.errors import GendataError
from gendata.images.class_names import CLASSES_FILE, read_class_names
from gendata.images.lazy import FileSource, LazyImages, inspected

__all__ = ["IMAGE_SUFFIXES", "image_files", "read_image_folder"]

IMAGE_SUFFIXES = frozenset(
    ".png .jpg .jpeg .webp .bmp .gif .tif .tiff .ppm .pgm .pbm .jp2 .tga".split()
)
SPLITS = frozenset({"train", "training", "val", "valid", "validation", "test", "testing"})


def read_image_folder(path: str, *, name: str, strict: bool) -> LazyImages:
    """Opens `path/CLASS/**/IMAGE`; labels follow the sorted folder names, or `classes.json`.

    Raises:
        GendataError: no class folders, an empty one, or splits instead of classes.
    """
    root = Path(path)
    present = sorted(
        entry.name for entry in os.scandir(root) if entry.is_dir() and entry.name[0] != "."
    )
    classes = folders = present
    listed = read_class_names(root)
    if listed and listed[1]:
        classes, folders = listed
        _check_listed(root, folders, present)
    _check_folders(root, present)
    paths: list[str] = []
    labels: list[int] = []
    for label, folder in enumerate(folders):
        if folder not in present:
            continue  # an exported class without images
        files = image_files(root / folder)
        if not files:
            raise GendataError(
                f"the class folder '{root / folder}' holds no images",
                found=f"{sum(1 for _ in (root / folder).iterdir())} other entries",
                expected=f"files such as {', '.join(sorted(IMAGE_SUFFIXES)[:5])}",
                do="fill or remove it",
            )
        paths += files
        labels += [label] * len(files)
    return inspected(name, classes, np.array(labels), FileSource(paths), strict)


def image_files(folder: Path) -> list[str]:
    """Lists the image files below a folder, sorted, hidden ones left out."""
    found = []
    for parent, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if name[0] != ".")
        found += [
            os.path.join(parent, file)
            for file in sorted(files)
            if file[0] != "." and os.path.splitext(file)[1].lower() in IMAGE_SUFFIXES
        ]
    return found


def _check_listed(root: Path, listed: list[str], present: list[str]) -> None:
    unlisted = sorted(set(present) - set(listed))
    if unlisted:
        raise GendataError(
            f"'{root}' has class folders that its {CLASSES_FILE} does not list",
            found=", ".join(unlisted[:5]),
            do=f"remove {CLASSES_FILE} to name the classes after their folders",
        )


def _check_folders(root: Path, folders: list[str]) -> None:
    if not folders:
        raise GendataError(
            f"'{root}' has no class folders",
            found=f"{len(image_files(root))} images directly in it",
            expected="one folder of images per class",
        )
    if {folder.lower() for folder in folders} <= SPLITS:
        raise GendataError(
            f"'{root}' holds splits, not classes",
            found=", ".join(folders),
            expected="one folder of images per class",
            do=f"open one split, such as {root / folders[0]}",
        )
