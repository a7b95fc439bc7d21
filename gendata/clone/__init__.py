"""Drawing labelled synthetic clones, and checking them."""

from gendata.clone.draw import draw_clone, plan_clone
from gendata.clone.filter import ConfidenceFilter
from gendata.clone.refilter import filter_clone, filter_images
from gendata.clone.verify import verify_clone

__all__ = [
    "ConfidenceFilter",
    "draw_clone",
    "filter_clone",
    "filter_images",
    "plan_clone",
    "verify_clone",
]
