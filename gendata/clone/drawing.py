"""How one batch is drawn and judged."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from gendata.clone.filter import Judge, Verdicts
from gendata.errors import GendataError, UnusableImages
from gendata.types import FiniteSampler, Sampler

__all__ = ["Drawer", "Drawn", "knows_conditions"]


class Drawn(NamedTuple):
    """A batch: pixels uint8 (B, H, W, 3), and what the judge says of them."""

    pixels: np.ndarray
    verdicts: Verdicts


@dataclass(frozen=True)
class Drawer:
    """Draws batches from a sampler and judges them.

    Attributes:
        sampler: where images come from.
        judge: who decides.
    """

    sampler: Sampler
    judge: Judge

    @cached_property
    def conditional(self) -> bool:
        """Whether the sampler is asked for classes."""
        return knows_conditions(self.sampler)

    @torch.no_grad()
    def draw(self, asked: np.ndarray, seeds: np.ndarray) -> Drawn:
        """Draws for the sampler's labels (B,), -1 where it knows none, and seeds (B,)."""
        labels = torch.from_numpy(asked) if self.conditional else None
        bad, why = np.zeros(len(seeds), dtype=bool), ""
        try:
            images = self.sampler.sample(labels, torch.from_numpy(seeds))
        except UnusableImages as error:
            images, bad, why = error.images, error.bad.cpu().numpy(), error.reason
        _check(images, len(seeds), self.sampler.name)
        verdicts = self.judge.judge(images, asked, bad, why)
        return Drawn(images.permute(0, 2, 3, 1).contiguous().cpu().numpy(), verdicts)


def knows_conditions(sampler: Sampler) -> bool:
    """Says whether a sampler draws an image of an asked class; a finite set has what it has."""
    return sampler.classes is not None and not isinstance(sampler, FiniteSampler)


def _check(images: Tensor, count: int, name: str) -> None:
    shape = tuple(images.shape)
    if images.dtype != torch.uint8 or len(shape) != 4 or shape[:2] != (count, 3):
        raise GendataError(
            f"the sampler {name} does not return images",
            found=f"{images.dtype} {shape}",
            expected=f"torch.uint8 ({count}, 3, H, W)",
        )
