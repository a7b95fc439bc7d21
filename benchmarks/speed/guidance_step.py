"""Does a PG+RG step cost more than its parts: two passes of the student, one of the teacher?"""

from __future__ import annotations

import statistics
from collections.abc import Callable

import torch
from torch.nn import functional

from gendata.allocator import keep_freed_memory
from gendata.benchmarks.speed.measurement import Measurement, median_ratio, seconds
from gendata.benchmarks.speed.one_step import learner_and_batch
from gendata.guidance.real_guidance import PretrainedRealGuidance, merge, project
from gendata.training.learner import Learner

__all__ = ["measure"]


@keep_freed_memory()
def measure() -> list[Measurement]:
    """Times the step of a small CNN and of a ResNet-50, with memory kept as `train` does."""
    return [
        *compare("small-cnn", side=28, batch_size=128, teacher_size=64, repeats=9),
        *compare("timm:resnet50", side=224, batch_size=16, teacher_size=224, repeats=3),
    ]


def compare(
    name: str, *, side: int, batch_size: int, teacher_size: int, repeats: int
) -> list[Measurement]:
    """Times whole steps and their parts in turn."""
    learner, batch = learner_and_batch(name, side, batch_size)
    method = PretrainedRealGuidance(teacher_size=teacher_size)
    method.prepare(learner)

    def parts() -> None:
        for examples in batch.values():
            logits = learner.bare(examples.images).logits
            functional.cross_entropy(logits, examples.labels).backward()
            method.features.teacher.features(examples.images)
        learner.bare.zero_grad()

    def whole() -> None:
        method.step(batch, 0.5)

    for warm_up in (whole, parts):
        warm_up()
    ratio, step, bare = median_ratio(lambda: seconds(whole), lambda: seconds(parts), repeats)
    sizes = f"{batch_size} + {batch_size} images of {side} px, teacher at {teacher_size} px"
    how = f"{1000 * step:.0f} against {1000 * bare:.0f} ms, {sizes}, {repeats} pairs"
    found = [Measurement(f"PG+RG step / its parts, {name}", "<= 1.10", f"{ratio:.2f}", ratio, how)]
    projection = statistics.median(seconds(projection_of(learner)) for _ in range(9))
    share = projection / step
    parameters = sum(p.numel() for p in learner.bare.parameters())
    how = f"{1000 * projection:.1f} ms for {parameters / 1e6:.1f} M parameters, median of 9"
    found.append(Measurement(f"projection / step, {name}", "< 0.03", f"{share:.4f}", share, how))
    return found


def projection_of(learner: Learner) -> Callable[[], torch.Tensor]:
    """Projects and merges two gradients as long as the network's."""
    size = sum(p.numel() for p in learner.bare.parameters())
    synthetic, real, memory = torch.randn(size), torch.randn(size), torch.empty(size)
    return lambda: merge(project(synthetic, real, out=memory), real, 1.0, 1.0, out=memory)
