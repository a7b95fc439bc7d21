"""Show what a filter turned away: rejected images are not stored, but their identity remakes them.

A slot keeps its first accepted attempt; the attempts before it are the rejected ones, and their
seeds follow from the slot. A clone whose draws were dealt to its slots (of an unconditional or
finite sampler, or labelled by the classifier) has no such attempts, and nothing is remade.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import pyarrow.parquet as pq
import torch
from torch import Tensor

from gendata.clone.drawing import knows_conditions
from gendata.clone.run_file import read_run
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
        sampler: the one it was drawn from.
        per_class: how many of each class at most.

    Returns:
        The images; none where the clone was not drawn slot by slot.
    """
    folder = Path(folder)
    run = read_run(folder)
    found: dict[int, list[int]] = {}
    if knows_conditions(sampler) and run.label != "classifier":
        for path in sorted(folder.glob("shard-*.parquet")):
            table = pq.read_table(path, columns=["key", "seed", "conditioned_label"])
            for row in table.to_pylist():
                slot = (row["conditioned_label"], int(row["key"].rpartition("-")[2]))
                before = _seeds_before(row["seed"], run.settings["seed"], slot, run.attempts)
                found.setdefault(slot[0], []).extend(before)
            if all(len(seeds) >= per_class for seeds in found.values()):
                break
    pairs = [(label, seed) for label in sorted(found) for seed in found[label][:per_class]]
    labels = torch.tensor([label for label, _ in pairs], dtype=torch.int64)
    seeds = torch.tensor([seed for _, seed in pairs], dtype=torch.int64)
    images = _draw(sampler, labels, seeds, run.settings["batch_size"])
    return Rejected(images, labels, seeds)


def _seeds_before(kept: int, run_seed: int, slot: tuple[int, int], attempts: int) -> list[int]:
    """Lists the seeds of a slot's attempts before the kept one; none where it is not among them.

    Args:
        kept: the seed of the slot's image.
        run_seed: the run's.
        slot: class and ordinal.
        attempts: most attempts of a slot.
    """
    before: list[int] = []
    for attempt in range(attempts):
        seed = hash_seed(run_seed, *slot, attempt)
        if seed == kept:
            return before
        before.append(seed)
    return []


def _draw(sampler: Sampler, labels: Tensor, seeds: Tensor, batch_size: int) -> Tensor:
    drawn = [torch.empty(0, 3, sampler.resolution, sampler.resolution, dtype=torch.uint8)]
    for some, theirs in zip(labels.split(batch_size), seeds.split(batch_size), strict=True):
        if not len(some):
            continue  # nothing split is one empty part
        try:
            drawn.append(sampler.sample(some, theirs).cpu())
        except UnusableImages as unusable:
            drawn.append(unusable.images.cpu())
    return torch.cat(drawn)
