"""Whether rows of a clone come out of its sampler again, and how near."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import torch

from gendata.clone.drawing import knows_conditions
from gendata.clone.plan import Plan
from gendata.clone.png import decode_image
from gendata.clone.run_file import Run, json_values
from gendata.clone.threads import cpu_threads
from gendata.errors import GendataError, UnusableImages
from gendata.images.places import Place
from gendata.images.row_groups import open_parquet
from gendata.samplers import load_sampler
from gendata.types import Sampler

__all__ = ["recorded_sampler", "redraw_rows"]


def redraw_rows(
    folder: Place,
    run: Run,
    sampler: Sampler | None,
    rows: Sequence[int],
    chosen: np.ndarray,
    device: str,
    trust: bool,
    download: bool,
) -> dict[str, Any]:
    """Draws some rows again, in batches of the run's size.

    Args:
        folder: the clone.
        run: its `run.json`.
        sampler: what draws; None: the one that the run recorded.
        rows: number of rows in each shard, 0 for those to leave out.
        chosen: (N,) int64, row numbers over all shards, ascending.
        device: where a recorded sampler runs.
        trust: run the code that a recorded sampler may name.
        download: fetch a recorded sampler that is not on this machine.

    Returns:
        `rows`; the shares of `identical_images` and of `identical_values`, a value being a
        pixel's red, green or blue; and the `largest_difference` of values, 0 to 255.
    """
    sampler = sampler or recorded_sampler(run, device, trust, download)
    batch_size = run.settings["batch_size"]
    images = values = total = largest = 0
    with cpu_threads(run.threads):
        for start in range(0, len(chosen), batch_size):
            table = _read_rows(folder, run, rows, chosen[start : start + batch_size])
            again = _redraw(sampler, table, batch_size)
            stored = [_decode_or_blank(row["bytes"], again) for row in table["image"].to_pylist()]
            difference = np.abs(again.astype(np.int16) - np.stack(stored))
            images += int((difference.reshape(len(difference), -1).max(axis=1) == 0).sum())
            values += int((difference == 0).sum())
            total += difference.size
            largest = max(largest, int(difference.max()))
    return {
        "rows": len(chosen),
        "identical_images": images / len(chosen),
        "identical_values": values / total,
        "largest_difference": largest,
    }


def recorded_sampler(run: Run, device: str, trust: bool, download: bool = False) -> Sampler:
    """Loads the sampler that `run.json` names.

    Raises:
        GendataError: it cannot be loaded, or it is another one now.
    """
    recorded = run.settings["sampler"]
    options = {**recorded["options"]}
    for consent in ("trust", "download"):
        options.pop(consent, None)  # not the file's to give
    if trust:
        options["trust"] = True
    sampler = load_sampler(recorded["name"], device=device, download=download, **options)
    now = json_values({"sha256": sampler.card.sha256, "settings": dict(sampler.card.settings)})
    for name, value in now.items():
        if value != recorded[name]:
            raise GendataError(
                f"{recorded['name']} is not the sampler that this clone was drawn with",
                found=f"{name} {value}",
                expected=recorded[name],
            )
    return sampler


def _decode_or_blank(content: bytes | None, like: np.ndarray) -> np.ndarray:
    """Decodes an image; one that is damaged or of another size differs everywhere."""
    try:
        pixels = decode_image(content).astype(np.int16)
    except ValueError:
        pixels = np.empty(0, dtype=np.int16)
    return pixels if pixels.shape == like.shape[1:] else np.full(like.shape[1:], -255, np.int16)


def _read_rows(folder: Place, run: Run, rows: Sequence[int], chosen: np.ndarray) -> pa.Table:
    """Reads rows by number; they lie in few shards, because they are ascending."""
    settings = run.settings
    plan = Plan(len(settings["classes"]["chosen"]), run.extents, settings["shard_size"])
    ends = np.cumsum(rows)
    homes = np.searchsorted(ends, chosen, side="right")
    tables = []
    for number in np.unique(homes).tolist():
        path = folder / plan.shards()[number].file_name
        table = open_parquet(path).read(["image", "seed", "conditioned_label"])
        tables.append(
            table.take(pa.array(chosen[homes == number] - (ends[number] - rows[number])))
        )
    return pa.concat_tables(tables)


def _redraw(sampler: Sampler, table: pa.Table, batch_size: int) -> np.ndarray:
    """Draws uint8 (N, H, W, 3) for N rows, in a batch filled up to the run's size."""
    fill = np.arange(batch_size) % len(table)
    seeds = torch.from_numpy(table["seed"].to_numpy()[fill])
    labels = torch.from_numpy(table["conditioned_label"].to_numpy()[fill])
    try:
        with torch.no_grad():
            images = sampler.sample(labels if knows_conditions(sampler) else None, seeds)
    except UnusableImages as error:
        images = error.images
    return images[: len(table)].permute(0, 2, 3, 1).cpu().numpy()
