"""From what a generator returns to bytes."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from gendata.errors import GendataError, UnusableImages

__all__ = ["BYTE_RULES", "to_uint8"]

# How a float image in [-1, 1] becomes bytes, by the name that says it; what is left of the point
# remains, after clamping. Each family of published files is drawn by its own authors' rule.
BYTE_RULES: dict[str, Callable[[Tensor], Tensor]] = {
    "round((x+1)*127.5)": lambda x: x.add_(1).mul_(127.5).round_(),  # half to even
    "(x+1)*127.5": lambda x: x.add_(1).mul_(127.5),  # StyleGAN-XL
    "x*127.5+128": lambda x: x.mul_(127.5).add_(128),  # StyleGAN2 and 3, Projected GAN, EDM
    "(x+1)*128": lambda x: x.add_(1).mul_(128),  # BigGAN
}


def to_uint8(images: Tensor, rule: str = "round((x+1)*127.5)") -> Tensor:
    """Turns float images (B, 1 or 3, H, W) in [-1, 1] into uint8 (B, 3, H, W).

    Args:
        images: they stay as they are; grey is repeated.
        rule: of `BYTE_RULES`; values below 0 and above 255 are clamped.

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
    floats = images if images.dtype == torch.float64 else images.float()
    pixels = BYTE_RULES[rule](torch.nan_to_num(floats)).clamp_(0, 255)
    pixels = pixels.to(torch.uint8).expand(-1, 3, -1, -1).contiguous()
    if not bool(finite.all()):
        raise UnusableImages("nan", pixels * finite[:, None, None, None], ~finite)
    return pixels
