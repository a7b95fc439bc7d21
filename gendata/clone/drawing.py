"""How one batch is drawn and judged."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from gendata.clone.filter import Judge, Verdicts
from gendata.errors import GendataError, UnusableImages
from gendata.types import Described, DescribingSampler, FiniteSampler, Sampler

__all__ = ["Drawer", "Drawn", "columns_of", "draw_described", "knows_conditions"]


class Drawn(NamedTuple):
    """A batch.

    Attributes:
        pixels: uint8 (B, H, W, 3).
        verdicts: what the judge says of them.
        columns: what the sampler says of them, B rows; None where it says nothing.
    """

    pixels: np.ndarray
    verdicts: Verdicts
    columns: pa.Table | None

    def described(self, rows: np.ndarray | list[int]) -> pa.Table | None:
        """What the sampler says of some rows."""
        return None if self.columns is None else self.columns.take(pa.array(rows, pa.int64()))


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

    @cached_property
    def columns(self) -> pa.Schema | None:
        """What the sampler says of an image, besides its pixels."""
        return columns_of(self.sampler)

    @property
    def fills_batches(self) -> bool:
        """Whether every batch must have the run's size, lest images round differently."""
        return self.columns is None

    @torch.no_grad()
    def draw(self, asked: np.ndarray, seeds: np.ndarray) -> Drawn:
        """Draws for the sampler's labels (B,), -1 where it knows none, and seeds (B,)."""
        labels = torch.from_numpy(asked) if self.conditional else None
        images, columns, unusable = draw_described(self.sampler, labels, torch.from_numpy(seeds))
        _check(images, len(seeds), self.sampler.name)
        verdicts = self.judge.judge(images, asked, unusable)
        return Drawn(images.permute(0, 2, 3, 1).contiguous().cpu().numpy(), verdicts, columns)


def columns_of(sampler: Sampler) -> pa.Schema | None:
    """What a sampler says of its images; None where it says nothing."""
    return sampler.columns if isinstance(sampler, DescribingSampler) else None


def draw_described(sampler: Sampler, labels: Tensor | None, seeds: Tensor) -> Described:
    """Draws from any sampler; one that does not describe its images has no columns.

    Raises:
        GendataError: the columns are not those that the sampler names.
    """
    if not isinstance(sampler, DescribingSampler):
        try:
            return Described(sampler.sample(labels, seeds), None, {})
        except UnusableImages as error:
            return Described(error.images, None, error.reasons)
    described = sampler.sample_described(labels, seeds)
    found = described.columns
    if found is None or len(found) != len(seeds) or not found.schema.equals(sampler.columns):
        raise GendataError(
            f"the sampler {sampler.name} does not describe its images as it says",
            found="nothing" if found is None else f"{len(found)} rows of {found.schema.names}",
            expected=f"{len(seeds)} rows of {sampler.columns.names}",
        )
    return described


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
