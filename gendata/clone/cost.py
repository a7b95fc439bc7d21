"""What a clone will take, estimated from a few images that are drawn and thrown away."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gendata.clone.plan import Plan
from gendata.clone.prepare import prepare
from gendata.clone.rejects import describe_outcomes, ways_to_fill
from gendata.clone.trial import draw_trial, expected_draws
from gendata.errors import GendataError
from gendata.types import Sampler

__all__ = ["estimate_cost"]


def estimate_cost(
    sampler: Sampler,
    per_class: int,
    *,
    seed: int = 0,
    classes: Sequence[str | int] | None = None,
    shard_size: int = 2048,
    batch_size: int = 16,
    images: int = 48,
    longest: float = 30.0,
) -> dict[str, Any]:
    """Estimates what `draw_clone` would take on this machine, without a filter.

    Args:
        sampler: where images come from.
        per_class: images of each class.
        seed: the run's: its own first images are drawn.
        classes: names or labels; None: all.
        shard_size: images a file.
        batch_size: images drawn together.
        images: how many are drawn, in whole batches.
        longest: seconds after which no further batch is begun.

    Returns:
        `images` of the clone; `draws` that it takes to have them; `images_per_second`, and of how
        many images that was taken (`timed`; those of the first batch are not); `seconds`; `bytes`.

    Raises:
        GendataError: the sampler fails, or none of the images can be used.
    """
    subject = prepare(sampler, None, classes, {})
    plan = Plan(len(subject.classes.chosen), (per_class,), shard_size)
    trial = draw_trial(subject, seed, batch_size, images, longest)
    if not trial.accepted:
        raise GendataError(
            f"none of the {trial.drawn} images tried can be used",
            found=describe_outcomes(trial.outcomes, subject.classes),
            do=ways_to_fill(has_filter=False),
        )
    draws = expected_draws(trial, subject, per_class)
    return {
        "images": plan.slots,
        "draws": round(draws),
        "images_per_second": trial.rate,
        "timed": trial.timed,
        "seconds": draws / trial.rate,
        "bytes": round(plan.slots * trial.row_bytes + len(plan.shards()) * trial.file_bytes),
    }
