"""Does a PG+RG step cost more than its parts: two passes of the student, one of the teacher?"""

from __future__ import annotations

import statistics
from collections.abc import Callable

import torch
from accelerate import Accelerator
from torch.nn import functional

from gendata.allocator import keep_freed_memory
from gendata.benchmarks.speed.measurement import Measurement, median_ratio, seconds
from gendata.guidance.real_guidance import PretrainedRealGuidance, merge, project
from gendata.images import ArrayImages, make_loader
from gendata.models import build_network
from gendata.training.learner import Learner
from gendata.types import Batch

__all__ = ["measure"]

CLASSES = 10


@keep_freed_memory()
def measure() -> list[Measurement]:
    """Times the step of a small CNN and of a ResNet-50, with memory kept as `train` does."""
    return [
        *compare("small-cnn", side=28, batch_size=128, teacher_size=64, repeats=9),
        *compare("timm:resnet50", side=224, batch_size=16, teacher_size=224, repeats=3),
    ]


def build(
    name: str, side: int, batch_size: int, teacher_size: int
) -> tuple[Learner, PretrainedRealGuidance, Batch]:
    """Makes a learner, the method and one batch of random images from each source."""
    torch.manual_seed(0)
    loaders = {}
    for source in ("synthetic", "real"):
        images = torch.randint(256, (batch_size, 3, side, side), dtype=torch.uint8)
        labels = torch.arange(batch_size) % CLASSES
        known = ArrayImages(source, [str(c) for c in range(CLASSES)], images, labels.numpy())
        loaders[source] = make_loader(known, batch_size, augment="none")
    network = build_network(name, CLASSES)
    learner = Learner(
        network,
        torch.optim.Adam(network.parameters(), lr=1e-4, fused=True),
        Accelerator(cpu=not torch.cuda.is_available()),
        classes=loaders["real"].images.classes,
        loaders=loaders,
    )
    method = PretrainedRealGuidance(teacher_size=teacher_size)
    method.prepare(learner)
    return learner, method, {name: next(iter(each.epoch(0))) for name, each in loaders.items()}


def compare(
    name: str, *, side: int, batch_size: int, teacher_size: int, repeats: int
) -> list[Measurement]:
    """Times whole steps and their parts in turn."""
    learner, method, batch = build(name, side, batch_size, teacher_size)

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
