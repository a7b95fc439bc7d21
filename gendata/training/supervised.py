"""Plain cross-entropy on whichever source a batch holds: what the baselines share."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from gendata.training.learner import Learner
from gendata.types import Batch

__all__ = ["supervised_step"]


def supervised_step(learner: Learner, batch: Batch) -> Mapping[str, float | Tensor]:
    """Descends the cross-entropy of a batch with one source."""
    ((source, examples),) = batch.items()
    output = learner.forward(examples, source)
    loss = learner.cross_entropy(output, examples)
    learner.update(loss)
    return {"loss": loss, "accuracy": learner.share_correct(output, examples)}
