"""The image set that comes with the package: a class-balanced subset of Fashion-MNIST."""

from __future__ import annotations

from gendata.assets import asset_folder
from gendata.errors import GendataError
from gendata.images.memory import ArrayImages
from gendata.images.npz import read_npz

__all__ = ["read_embedded"]


def read_embedded(split: str, *, name: str) -> ArrayImages:
    """Opens 1,000 ("train") or 200 ("test") images of each class, 28x28.

    Raises:
        GendataError: another split.
    """
    if split not in ("train", "test"):
        raise GendataError(
            f"the embedded fashion-mnist has no split '{split}'",
            expected="fashion-mnist:train or fashion-mnist:test",
        )
    return read_npz(str(asset_folder("fashion-mnist") / f"{split}.npz"), name=name)
