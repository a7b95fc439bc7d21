"""DADA: one classifier with a class more, which tells the domain and the class in one.

Tang and Jia 2020, "Discriminative Adversarial Domain Adaptation"
(https://arxiv.org/abs/1911.12036), equations 3 to 8, closed set, as a low-shot baseline of Wang,
Schmedding and Huber 2024, "Improving the Effectiveness of Deep Generative Data"
(https://arxiv.org/abs/2311.03959), table 4: 150 of 200 epochs for the first stage, 50 for the
second. No label of a real image is read.

Stage one: cross-entropy on synthetic images. Stage two gives the classifier a row K + 1, for
"real", at random. With its logits o (K + 1), p = softmax(o), d = p_{K+1}, p' = softmax(o_1..o_K)
and r_k = sigmoid(o_{K+1} - o_k),

    L_s =  mean_synthetic  -(1 - d) log p_y - d log(1 - p_y)
    T_F =  mean_real       -sum_k p'_k log r_k
    T_G =  mean_real        sum_k p'_k log(1 - r_k)
    H   =  mean_real       -sum_k p'_k log p'_k

the classifier descends lambda (L_s + T_F) + H and the features ascend lambda (L_s + T_G) - H,
lambda = 2 / (1 + exp(-10 p)) - 1 with p the share of the second stage that is done: at first
the entropy acts alone. The result is the network with its K classes.

Where we differ or choose:
- Wang et al. say that synthetic images are not accessible in the second stage; DADA needs them,
  with their labels, and has them here.
- Only the partial-set variant was released. It weighs classes by predictions on the target's test
  images; in the closed set all weights are 1, and no test image is seen.
- One backward pass rather than two: the classifier's loss sees the features without their graph,
  the features' loss a frozen classifier. The gradients are the same.
- Logarithms of sigmoids and of sums of exponentials, where the released code clamps by 1e-6.
- Each domain passes through the network by itself, with batch normalisation as `batch_norm` says.
- Optimiser and schedule are the training's, and the optimiser's state carries over. The released
  scripts: SGD with momentum 0.9, rate 1e-4 / (1 + 10 p)^0.75, weight decay 1e-4. Their 1e-4 is a
  tenth of the training's default rate: hence `adaptation_rate` 0.1. The second stage has no plain
  cross-entropy to hold it, and at too high a rate, under Adam above all, it forgets the classes:
  the `accuracy` of its records falls. Choose the rate on validation images.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from gendata.errors import GendataError
from gendata.guidance.adversarial import classifier_of, frozen, ramp
from gendata.registry import methods
from gendata.training.learner import Learner
from gendata.training.options import check_number
from gendata.training.stages import two_stages
from gendata.training.supervised import supervised_step
from gendata.types import Batch

__all__ = [
    "DiscriminativeAdversarialAdaptation",
    "classifier_target_loss",
    "entropy",
    "feature_target_loss",
    "source_loss",
]


def source_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """L_s of each row, (B,), for logits (B, K + 1) and labels (B,) below K."""
    total = logits.logsumexp(dim=1)
    is_label = functional.one_hot(labels, logits.shape[1]).bool()
    log_label = logits[is_label] - total
    log_others = logits.masked_fill(is_label, -torch.inf).logsumexp(dim=1) - total
    real = (logits[:, -1] - total).exp()
    return -(1 - real) * log_label - real * log_others


def classifier_target_loss(logits: Tensor) -> Tensor:
    """T_F of each row, (B,), for logits (B, K + 1): small where the row K + 1 wins."""
    classes, real = logits[:, :-1], logits[:, -1:]
    return -(classes.softmax(dim=1) * functional.logsigmoid(real - classes)).sum(dim=1)


def feature_target_loss(logits: Tensor) -> Tensor:
    """T_G of each row, (B,), for logits (B, K + 1): large where the row K + 1 loses."""
    classes, real = logits[:, :-1], logits[:, -1:]
    return (classes.softmax(dim=1) * functional.logsigmoid(classes - real)).sum(dim=1)


def entropy(logits: Tensor) -> Tensor:
    """H of each row, (B,), over the K classes of logits (B, K + 1)."""
    classes = logits[:, :-1]
    return -(classes.softmax(dim=1) * classes.log_softmax(dim=1)).sum(dim=1)


@methods.register("dada")
@dataclass
class DiscriminativeAdversarialAdaptation:
    """Trains on synthetic images, then adapts to real ones, without their labels.

    Args:
        first_share: share of the epochs on synthetic images alone, above 0 and below 1.
        adaptation_rate: the second stage's learning rate, as a multiple of the training's.
        entropy_weight: weight of H, at least 0.
    """

    first_share: float = 0.75
    adaptation_rate: float = 0.1
    entropy_weight: float = 1.0

    def __post_init__(self) -> None:
        check_number("adaptation_rate", self.adaptation_rate, 0)
        check_number("entropy_weight", self.entropy_weight, 0)
        self.stages = two_stages(self.first_share)

    def prepare(self, learner: Learner) -> None:
        """Adds the classifier's row for "real", which the first stage leaves as it is.

        Raises:
            GendataError: the features are not those that enter a linear last layer.
        """
        self.learner = learner
        self.began: float | None = None
        if learner.bare.tap != "penultimate":
            raise GendataError(
                "dada needs the features that enter the last layer",
                found=f"tap={learner.bare.tap}",
                do="leave tap out",
            )
        self.classifier = classifier_of(learner, "dada")
        self.row = learner.add("real_row", nn.Linear(self.classifier.in_features, 1))
        learner.set_rate_factor(self.row, self.adaptation_rate)

    def begin_stage(self, number: int) -> None:
        """Takes the second stage's rate."""
        if number == 1:
            self.learner.set_rate_factor(self.learner.bare, self.adaptation_rate)

    def state_dict(self) -> dict[str, float | None]:
        """When the second stage began."""
        return {"began": self.began}

    def load_state_dict(self, state: Mapping[str, float | None]) -> None:
        """Goes on with the second stage of a killed run."""
        self.began = state["began"]

    def step(self, batch: Batch, progress: float) -> Mapping[str, float | Tensor]:
        """Descends the cross-entropy, or makes one move of both players."""
        learner = self.learner
        if "real" not in batch:
            return supervised_step(learner, batch)
        if self.began is None:
            self.began = progress
        weight = ramp((progress - self.began) / (1 - self.began))
        outputs = {
            source: learner.forward(batch[source], source) for source in ("synthetic", "real")
        }
        features = {source: output.features for source, output in outputs.items()}
        detached = {source: each.detach() for source, each in features.items()}
        labels = batch["synthetic"].labels

        logits = _logits(self.classifier, self.row, detached)
        source = learner.mean(source_loss(logits["synthetic"], labels))
        target = learner.mean(classifier_target_loss(logits["real"]))
        uncertainty = learner.mean(entropy(logits["real"]))
        descends = weight * (source + target) + self.entropy_weight * uncertainty

        logits = _logits(frozen(self.classifier), frozen(self.row), features)
        ascends = weight * (
            learner.mean(source_loss(logits["synthetic"], labels))
            + learner.mean(feature_target_loss(logits["real"]))
        ) - self.entropy_weight * learner.mean(entropy(logits["real"]))
        learner.update(descends - ascends)
        return {
            "loss": source,
            "target_loss": target,
            "entropy": uncertainty,
            "accuracy": learner.share_correct(outputs["synthetic"], batch["synthetic"]),
        }


def _logits(
    classifier: Callable[[Tensor], Tensor],
    row: Callable[[Tensor], Tensor],
    features: Mapping[str, Tensor],
) -> dict[str, Tensor]:
    """Logits (B, K + 1) by source: the classifier's, and the row's last."""
    return {
        source: torch.cat([classifier(each), row(each)], dim=1)
        for source, each in features.items()
    }
