"""Draw labelled images from any generator, measure what they lack, and train on them.

The public names are imported when they are first used, so that `import gendata` costs nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gendata.clone import (
        ConfidenceFilter,
        draw_clone,
        filter_clone,
        filter_images,
        verify_clone,
    )
    from gendata.errors import GendataError
    from gendata.gap import measure_gap
    from gendata.images import (
        balanced_split,
        balanced_subset,
        export_images,
        export_sheet,
        open_images,
    )
    from gendata.models import load_classifier
    from gendata.samplers import load_sampler
    from gendata.training import train

__version__ = "0.1.0"

_HOMES = {
    "ConfidenceFilter": "gendata.clone",
    "GendataError": "gendata.errors",
    "balanced_split": "gendata.images",
    "balanced_subset": "gendata.images",
    "draw_clone": "gendata.clone",
    "export_images": "gendata.images",
    "export_sheet": "gendata.images",
    "filter_clone": "gendata.clone",
    "filter_images": "gendata.clone",
    "load_classifier": "gendata.models",
    "load_sampler": "gendata.samplers",
    "measure_gap": "gendata.gap",
    "open_images": "gendata.images",
    "train": "gendata.training",
    "verify_clone": "gendata.clone",
}

__all__ = [
    "ConfidenceFilter",
    "GendataError",
    "balanced_split",
    "balanced_subset",
    "draw_clone",
    "export_images",
    "export_sheet",
    "filter_clone",
    "filter_images",
    "load_classifier",
    "load_sampler",
    "measure_gap",
    "open_images",
    "train",
    "verify_clone",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'gendata' has no attribute '{name}'")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
