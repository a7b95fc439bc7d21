"""Show what a filter turned away: rejected images are not stored, but their identity remakes them.

A slot keeps its first accepted attempt; the attempts before it are the rejected ones, and their
seeds follow from the slot.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import NamedTuple

import pyarrow.parquet as pq
import torch
from torch import Tensor

from gendata.errors import UnusableImages
from gendata.seeds import hash_seed
from gendata.types import Sampler

__all__ = ["Rejected", "remake_rejected"]


class Rejected(NamedTuple):
    """Images that a conditional sampler drew for a clone and its filter turned away.

    Attributes:
        images: uint8 (N, 3, H, W).
        labels: (N,) int64, the sampler's labels they were asked for.
        seeds: (N,) int64.
    """

    images: Tensor
    labels: Tensor
    seeds: Tensor


def remake_rejected(folder: str | Path, sampler: Sampler, per_class: int) -> Rejected:
    """Remakes up to `per_class` rejected images of every class, those of the first slots.

    Args:
        folder: a clone drawn from this sampler with a filter.
        sampler: the conditional sampler it was drawn from.
        per_class: how many of each class at most.
    """
    folder = Path(folder)
    run_seed = json.loads((folder / "run.json").read_text(encoding="utf-8"))["settings"]["seed"]
    found: dict[int, list[int]] = {}
    for path in sorted(folder.glob("shard-*.parquet")):
        table = pq.read_table(path, columns=["key", "seed", "conditioned_label"])
        for row in table.to_pylist():
            label, ordinal = row["conditioned_label"], int(row["key"].rpartition("-")[2])
            before = _seeds_before(row["seed"], run_seed, label, ordinal)
            found.setdefault(label, []).extend(before)
        if all(len(seeds) >= per_class for seeds in found.values()):
            break
    pairs = [(label, seed) for label in sorted(found) for seed in found[label][:per_class]]
    labels = torch.tensor([label for label, _ in pairs], dtype=torch.int64)
    seeds = torch.tensor([seed for _, seed in pairs], dtype=torch.int64)
    return Rejected(_draw(sampler, labels, seeds), labels, seeds)


def _seeds_before(kept: int, run_seed: int, label: int, ordinal: int) -> Iterator[int]:
    """Yields the seeds of a slot's attempts before the one that was kept."""
    for attempt in count():
        seed = hash_seed(run_seed, label, ordinal, attempt)
        if seed == kept:
            return
        yield seed


def _draw(sampler: Sampler, labels: Tensor, seeds: Tensor) -> Tensor:
    if not len(seeds):
        return torch.empty(0, 3, sampler.resolution, sampler.resolution, dtype=torch.uint8)
    try:
        return sampler.sample(labels, seeds)
    except UnusableImages as unusable:
        return unusable.images
