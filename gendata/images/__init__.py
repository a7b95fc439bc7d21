"""Labelled image sets: open any layout, take subsets, load with augmentation, export."""

from gendata.images.damage import Damage, DamagedImage
from gendata.images.export import export_images
from gendata.images.loader import Loader, make_loader
from gendata.images.memory import ArrayImages, decode_all
from gendata.images.open import open_images
from gendata.images.sheet import export_sheet
from gendata.images.subsets import (
    Subset,
    balanced_split,
    balanced_subset,
    check_same_classes,
    joined,
)

__all__ = [
    "ArrayImages",
    "Damage",
    "DamagedImage",
    "Loader",
    "Subset",
    "balanced_split",
    "balanced_subset",
    "check_same_classes",
    "decode_all",
    "export_images",
    "export_sheet",
    "joined",
    "make_loader",
    "open_images",
]
