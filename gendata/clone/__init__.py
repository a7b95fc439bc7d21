"""Drawing labelled synthetic clones, and checking them."""

from gendata.clone.draw import draw_clone
from gendata.clone.filter import ConfidenceFilter

__all__ = ["ConfidenceFilter", "draw_clone"]
