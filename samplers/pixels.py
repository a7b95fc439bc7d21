"""From what a generator returns to bytes."""

from __future__ import annotations

import torch
from torch import Tensor

from gendata.errors import GendataError, UnusableImages

__all__ = ["to_uint8"]


def to_uint8(images: Tensor) -> Tensor:
    """Turns float images (B, 1 or 3, H, W) in [-1, 1] into uint8 (B, 3, H, W).

    A byte is (x + 1) * 127.5, clamped to 0…255, rounded half to even; grey is repeated.

    Raises:
        UnusableImages: some are not finite.
    """
    if images.shape[1] not in (1, 3):
        raise GendataError(
            "the generator returns images that are neither grey nor RGB",
            found=f"{images.shape[1]} channels",
            expected="1 or 3",
        )
    finite = (images.flatten(1) * 0).sum(dim=1) == 0  # NaN times 0 is NaN, and so is infinity's
    pixels = torch.nan_to_num(images.float()).add_(1).mul_(127.5).clamp_(0, 255).round_()
    pixels = pixels.to(torch.uint8).expand(-1, 3, -1, -1).contiguous()
    if not bool(finite.all()):
        raise UnusableImages("nan", pixels * finite[:, None, None, None], ~finite)
    return pixels
