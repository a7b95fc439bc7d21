"""A-GEM: the synthetic gradient must not point away from that of a memory of real images.

Chaudhry, Ranzato, Rohrbach and Elhoseiny 2019, "Efficient Lifelong Learning with A-GEM"
(https://arxiv.org/abs/1812.00420), section 4, equation 11, as a low-shot baseline of Wang,
Schmedding and Huber 2024, "Improving the Effectiveness of Deep Generative Data"
(https://arxiv.org/abs/2311.03959), table 4. With g the gradient of a synthetic batch and g_ref
that of a batch from memory, the update runs along

    g                                       where g . g_ref >= 0
    g - (g . g_ref) / (g_ref . g_ref) g_ref   elsewhere.

The memory's gradient corrects the update and is no part of it, so real images alone never teach
anything: this is Real Guidance with lambda1 = 0 and lambda2 = 1, and shares its code.

Where we differ or choose:
- There is one task, the synthetic images, in one stage. The paper's memory holds images of earlier
  tasks and grows with them; ours is the real set, whole from the start.
- A batch from memory has `real_batch_size` images (the paper's CUB script: 128) and comes from
  reshuffled passes over the set, where the paper draws anew in each step.
- A memory gradient of length zero leaves the synthetic one as it is.
- Clipping, weight decay and the optimiser come after the projection; the paper's plain SGD has
  none of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from gendata.guidance.real_guidance import guided_step
from gendata.registry import methods
from gendata.training.learner import Learner
from gendata.types import Batch, Stage

__all__ = ["AveragedGradientEpisodicMemory"]


@methods.register("a-gem")
@dataclass
class AveragedGradientEpisodicMemory:
    """Trains on synthetic images whose gradient a batch from a memory of real ones corrects."""

    stages = (Stage(1.0, ("synthetic", "real")),)

    def prepare(self, learner: Learner) -> None:
        """Keeps the learner; nothing is built."""
        self.learner = learner

    def step(self, batch: Batch, progress: float) -> Mapping[str, float | Tensor]:
        """One gradient from each source, then one update along the corrected synthetic one."""
        return guided_step(self.learner, batch, lambda1=0.0, lambda2=1.0)
