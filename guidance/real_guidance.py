"""Real Guidance: the synthetic gradient must not point away from the real one.

Wang, Schmedding and Huber 2024, "Improving the Effectiveness of Deep Generative Data"
(https://arxiv.org/abs/2311.03959), section 4, equation 2, after A-GEM (Chaudhry et al. 2019,
"Efficient Lifelong Learning with A-GEM"), which it equals where lambda1 = 0 and lambda2 = 1.

Where we differ or choose:
- One projection over all trainable parameters, on the raw gradients; clipping, weight decay and
  the optimiser come after the merge, so with Adam the step itself need not be perpendicular.
- lambda1 = lambda2 = 1. The paper's CIFAR-10 figures equal A-GEM's: use (0, 1) there.
- A real gradient of length zero leaves the synthetic one as it is.
- How batch normalisation sees the two batches of a step is the training's `batch_norm` setting.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from gendata.guidance.pretrained_guidance import TeacherRelations
from gendata.registry import methods
from gendata.training.learner import Learner
from gendata.training.options import check_number
from gendata.types import Batch, Stage

__all__ = ["PretrainedRealGuidance", "RealGuidance", "guided_step", "merge", "project"]

BOTH = (Stage(1.0, ("synthetic", "real")),)


def project(synthetic: Tensor, real: Tensor, *, out: Tensor | None = None) -> Tensor:
    """Takes out of the synthetic gradient what runs against the real one (equation 2, first line).

    Without a branch, so that an accelerator never waits for the sign, and an overflow in either
    gradient shows in the result. A common factor of both (a loss scale) is a factor of the result.

    Args:
        synthetic: (P,) gradient g_f.
        real: (P,) gradient g_r.
        out: (P,) memory for the result, apart from both.

    Returns:
        g_f - min(g_f.g_r, 0) / (g_r.g_r) g_r
    """
    squared = torch.dot(real, real)
    conflict = torch.dot(synthetic, real).clamp(max=0)
    share = torch.where(squared == 0, torch.zeros_like(squared), conflict / squared)
    return torch.sub(synthetic, torch.mul(real, share, out=out), out=out)


def merge(
    projected: Tensor, real: Tensor, lambda1: float, lambda2: float, *, out: Tensor | None = None
) -> Tensor:
    """Returns lambda1 g_r + lambda2 g_f (equation 2, last line).

    Args:
        projected: (P,), the synthetic gradient after `project`.
        real: (P,), the real gradient.
        lambda1: weight of the real gradient.
        lambda2: weight of the synthetic gradient.
        out: (P,) memory for the result; may be `projected`.
    """
    if lambda2 != 1:
        projected = torch.mul(projected, lambda2, out=out)
    return torch.add(projected, real, alpha=lambda1, out=out) if lambda1 else projected


def guided_step(
    learner: Learner,
    batch: Batch,
    lambda1: float,
    lambda2: float,
    relations: TeacherRelations | None = None,
) -> Mapping[str, float | Tensor]:
    """Takes one gradient from each source, then makes one update along both.

    Args:
        learner: the network in training.
        batch: examples of "synthetic" and "real".
        lambda1: weight of the real gradient.
        lambda2: weight of the corrected synthetic gradient.
        relations: Pretrained Guidance's term, added to each loss before its gradient is taken.
    """
    logs: dict[str, Tensor] = {}
    gradients: dict[str, Tensor] = {}
    for source, suffix in (("synthetic", ""), ("real", "_real")):
        examples = batch[source]
        output = learner.forward(examples, source)
        task = loss = learner.cross_entropy(output, examples)
        if relations is not None:
            logs[f"guidance{suffix}"] = guidance = relations.loss(source, examples, output)
            loss = task + guidance
        gradients[source] = learner.gradient(loss)
        logs[f"loss{suffix}"] = task
        logs[f"accuracy{suffix}"] = learner.share_correct(output, examples)
    memory = learner.flat_memory()
    update = project(gradients["synthetic"], gradients["real"], out=memory)
    learner.apply(merge(update, gradients["real"], lambda1, lambda2, out=memory))
    return logs


@methods.register("rg")
@dataclass
class RealGuidance:
    """Trains on synthetic images whose gradient a separate real batch corrects.

    Args:
        lambda1: weight of the real gradient, at least 0.
        lambda2: weight of the corrected synthetic gradient, at least 0.
    """

    lambda1: float = 1.0
    lambda2: float = 1.0

    def __post_init__(self) -> None:
        check_number("lambda1", self.lambda1, 0)
        check_number("lambda2", self.lambda2, 0)
        self.stages = BOTH

    def prepare(self, learner: Learner) -> None:
        """Keeps the learner; nothing is built."""
        self.learner = learner

    def step(self, batch: Batch, progress: float) -> Mapping[str, float | Tensor]:
        """One gradient from each source, then one update."""
        return guided_step(self.learner, batch, self.lambda1, self.lambda2)


@methods.register("pg+rg")
@dataclass
class PretrainedRealGuidance(TeacherRelations):
    """Real Guidance whose two losses each carry the Pretrained Guidance term (equation 3).

    Args:
        pg_on: "f", "r" or "fr"; both here, as in the paper's full method.
        lambda1: weight of the real gradient, at least 0.
        lambda2: weight of the corrected synthetic gradient, at least 0.
    """

    pg_on: str = "fr"
    lambda1: float = 1.0
    lambda2: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number("lambda1", self.lambda1, 0)
        check_number("lambda2", self.lambda2, 0)
        self.stages = BOTH

    def prepare(self, learner: Learner) -> None:
        """Loads the teacher."""
        self.load(learner)

    def step(self, batch: Batch, progress: float) -> Mapping[str, float | Tensor]:
        """As Real Guidance, with the term added to each loss before its gradient is taken."""
        return guided_step(self.learner, batch, self.lambda1, self.lambda2, self)
