"""Plain cross-entropy on whichever source a batch holds: what the baselines share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor

from gendata.training.learner import Learner
from gendata.types import Batch, Stage

__all__ = ["Supervised", "supervised_step"]


def supervised_step(learner: Learner, batch: Batch) -> Mapping[str, float | Tensor]:
    """Descends the cross-entropy of a batch with one source."""
    ((source, examples),) = batch.items()
    output = learner.forward(examples, source)
    loss = learner.cross_entropy(output, examples)
    learner.update(loss)
    return {"loss": loss, "accuracy": learner.share_correct(output, examples)}


class Supervised:
    """A method of cross-entropy alone: a subclass says from which source, stage by stage."""

    stages: Sequence[Stage]

    def prepare(self, learner: Learner) -> None:
        """Keeps the learner; nothing is built."""
        self.learner = learner

    def step(self, batch: Batch, progress: float) -> Mapping[str, float | Tensor]:
        """Descends the cross-entropy."""
        return supervised_step(self.learner, batch)
