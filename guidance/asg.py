"""ASG: the student keeps telling ImageNet's classes apart as a frozen teacher does.

Chen, Yu, Wang and Anandkumar 2020, "Automated Synthetic-to-Real Generalization" (ICML,
https://arxiv.org/abs/2007.06965), its proxy guidance: cross-entropy of the new classes plus 0.1
KL(teacher || student) over the teacher's classes, where the student's features pass the teacher's
frozen last layer; mean over the batch, no temperature. Real images are never opened. The second
part of that paper, a learned policy for the layers' learning rates, is left out, as in Wang,
Schmedding and Huber 2024 (https://arxiv.org/abs/2311.03959), tables 2 and 3.

Where we differ or choose:
- A student whose features are as wide as the teacher's uses the frozen layer, as published. Any
  other one (table 3) gets a linear layer of its own from its features to the teacher's classes,
  trained with it and dropped afterwards; the paper does not say how it did that.
- The new classes have the network's own linear layer, as in every method here. Published are two
  layers, 2048-512-ReLU-C, which would be a network of another shape than its baseline's.
- Published with SGD (momentum 0.9, weight decay 5e-4), batches of 32, learning rate 1e-4, the
  backbone at a tenth of it, frozen batch-normalisation statistics and a rate that warms up and
  decays: optimizer=sgd, weight_decay=5e-4, batch_size=32, learning_rate=1e-4, backbone_rate=0.1,
  batch_norm=freeze, schedule=asg. None is a default: with random weights, frozen statistics and a
  slow backbone hinder. Its momentum sums gradients times their rate, ours plain gradients.
- Published accuracy averages sigmoids over an image and its mirror image; ours takes the image.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn import functional

from gendata.models.network import last_layer
from gendata.models.teacher import load_teacher
from gendata.registry import methods
from gendata.training.frozen_features import FrozenFeatures
from gendata.training.learner import Learner
from gendata.training.options import check_number
from gendata.types import Batch, Examples, Output, Stage

__all__ = ["ASG", "proxy_divergence", "set_backbone_rate"]


def proxy_divergence(teacher_logits: Tensor, student_logits: Tensor) -> Tensor:
    """KL(teacher || student) of each row.

    Args:
        teacher_logits: (B, K); no gradient reaches it.
        student_logits: (B, K).

    Returns:
        (B,) float32, at least 0.
    """
    log_p = functional.log_softmax(teacher_logits.detach().float(), dim=1)
    log_q = functional.log_softmax(student_logits.float(), dim=1)
    return functional.kl_div(log_q, log_p, reduction="none", log_target=True).sum(dim=1)


def set_backbone_rate(learner: Learner, factor: float) -> None:
    """Lets all of the network but its last layer learn at a multiple of the learning rate."""
    if factor != 1:
        learner.set_rate_factor(learner.bare, factor)
        learner.set_rate_factor(last_layer(learner.bare.backbone, learner.bare.name), 1.0)


@methods.register("asg")
@dataclass
class ASG:
    """Trains on synthetic images (zero-shot) with the divergence from a frozen teacher.

    Args:
        asg_weight: weight of the divergence, at least 0.
        backbone_rate: learning rate of all but the last layer over that of the last one; published
            is 0.1, for ImageNet weights.
        teacher: reference of the frozen teacher; the classes of its last layer are the ones
            compared.
        teacher_size: side of the images it is shown, pixels; None for its own.
    """

    asg_weight: float = 0.1
    backbone_rate: float = 1.0
    teacher: str = "embedded:efficientnet-lite0"
    teacher_size: int | None = None

    stages = (Stage(1.0, ("synthetic",)),)

    def __post_init__(self) -> None:
        check_number("asg_weight", self.asg_weight, 0)
        check_number("backbone_rate", self.backbone_rate, 0)
        if self.teacher_size is not None:
            check_number("teacher_size", self.teacher_size, 1, whole=True)

    def prepare(self, learner: Learner) -> None:
        """Loads the teacher, and gives a student of another width a layer of its own."""
        self.learner = learner
        teacher = load_teacher(
            self.teacher,
            input_size=self.teacher_size,
            device=learner.device,
            download=learner.download,
        )
        self.teacher_classifier = teacher.classifier
        self.teacher_logits = FrozenFeatures(teacher, learner, self.teacher_classifier)
        self.student_classifier: nn.Module = self.teacher_classifier
        width, classes = learner.bare.feature_dim, self.teacher_classifier.out_features
        if width != teacher.feature_dim:
            layer = nn.Linear(width, classes)
            self.student_classifier = learner.add("teacher_classes", layer)
        set_backbone_rate(learner, self.backbone_rate)

    def step(self, batch: Batch, progress: float) -> Mapping[str, float | Tensor]:
        """Descends the cross-entropy plus the divergence."""
        examples = batch["synthetic"]
        output = self.learner.forward(examples, "synthetic")
        task = self.learner.cross_entropy(output, examples)
        guidance = self.asg_weight * self.divergence(examples, output)
        self.learner.update(task + guidance)
        return {
            "loss": task,
            "guidance": guidance,
            "accuracy": self.learner.share_correct(output, examples),
        }

    def divergence(self, examples: Examples, output: Output) -> Tensor:
        """Mean divergence over the rows of all processes."""
        teacher = self.teacher_logits("synthetic", examples)
        student = self.student_classifier(output.features.float())
        return self.learner.mean(proxy_divergence(teacher, student))
