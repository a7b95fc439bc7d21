"""ADDA: an encoder for real images whose features a discriminator takes for synthetic ones.

Tzeng, Hoffman, Saenko and Darrell 2017, "Adversarial Discriminative Domain Adaptation"
(https://arxiv.org/abs/1702.05464), equation 9 and figure 3, as a low-shot baseline of Wang,
Schmedding and Huber 2024, "Improving the Effectiveness of Deep Generative Data"
(https://arxiv.org/abs/2311.03959), table 4: 150 of 200 epochs for the first stage, 50 for the
second. No label of a real image is read.

Stage one: cross-entropy on synthetic images gives a source encoder M_s and a classifier. Stage two
freezes both and begins a target encoder M_t as a copy of M_s; with discriminator D (two classes:
synthetic 0, real 1) a step descends

    D:    1/2 (mean_synthetic -log D_0(M_s(x)) + mean_real -log D_1(M_t(x)))
    M_t:  1/2 mean_real -log D_0(M_t(x))                                       (labels flipped)

both by the gradients of the same forward pass. The result is M_t with the first stage's
classifier.

Where we differ or choose:
- Wang et al. say that synthetic images are not accessible in the second stage; ADDA needs them,
  without labels, and has them here.
- The halves are the released code's, whose batches are equal; here each domain's mean weighs the
  same whatever the sizes of their batches.
- Features are those that enter the classifier, as in the paper (`tap` takes others); the released
  code compares the classifier's logits.
- M_s runs on its running statistics; M_t's batch normalisation is as `batch_norm` says for real
  images.
- D's two hidden layers of 500 are ReLU, as in the paper; the released code's default is a slope of
  0.1 below 0 (`negative_slope`). Its weight decay of 2.5e-5 is left to the training's settings.
- Optimiser and schedule are the training's, and the optimiser's state carries over. The released
  script uses Adam with rates of 1e-3 and then 2e-4: hence `adaptation_rate` 0.2. Its beta_1 of 0.5
  is not ours.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from gendata.guidance.adversarial import classifier_of, frozen
from gendata.models import Network, Teacher
from gendata.registry import methods
from gendata.training.frozen_features import FrozenFeatures
from gendata.training.learner import Learner
from gendata.training.options import check_number
from gendata.training.stages import two_stages
from gendata.training.supervised import supervised_step
from gendata.types import Batch

__all__ = ["AdversarialDiscriminativeAdaptation"]

SYNTHETIC, REAL = 0, 1


@methods.register("adda")
@dataclass
class AdversarialDiscriminativeAdaptation:
    """Trains on synthetic images, then fits the encoder to real ones, without their labels.

    Args:
        first_share: share of the epochs on synthetic images alone, above 0 and below 1.
        adaptation_rate: the second stage's learning rate, as a multiple of the training's.
        discriminator_width: units of each of the discriminator's two hidden layers.
        discriminator_rate: its learning rate, as a multiple of the encoder's.
        negative_slope: of its activations below 0; 0 is ReLU.
    """

    first_share: float = 0.75
    adaptation_rate: float = 0.2
    discriminator_width: int = 500
    discriminator_rate: float = 1.0
    negative_slope: float = 0.0

    def __post_init__(self) -> None:
        check_number("adaptation_rate", self.adaptation_rate, 0)
        check_number("discriminator_width", self.discriminator_width, 1, whole=True)
        check_number("discriminator_rate", self.discriminator_rate, 0)
        check_number("negative_slope", self.negative_slope, 0)
        self.stages = two_stages(self.first_share)

    def prepare(self, learner: Learner) -> None:
        """Builds the discriminator."""
        self.learner = learner
        self.source: Network | None = None
        self.classifier = classifier_of(learner, "adda")
        width, slope = self.discriminator_width, self.negative_slope
        self.discriminator = learner.add(
            "discriminator",
            nn.Sequential(
                nn.Linear(learner.bare.feature_dim, width),
                nn.LeakyReLU(slope),
                nn.Linear(width, width),
                nn.LeakyReLU(slope),
                nn.Linear(width, 2),
            ),
        )
        learner.set_rate_factor(self.classifier, 1.0)
        learner.set_rate_factor(self.discriminator, self.adaptation_rate * self.discriminator_rate)

    def begin_stage(self, number: int) -> None:
        """Before the second stage, keeps the source encoder and holds the classifier still."""
        if number == 1:
            self._keep_source()
            self.learner.set_rate_factor(self.learner.bare, self.adaptation_rate)
            self.learner.set_rate_factor(self.classifier, 0.0)

    def state_dict(self) -> dict[str, dict[str, Tensor]]:
        """The source encoder, once there is one."""
        return {} if self.source is None else {"source": self.source.state_dict()}

    def load_state_dict(self, state: Mapping[str, Mapping[str, Tensor]]) -> None:
        """Goes on with the source encoder of a killed run."""
        if state:
            self._keep_source().load_state_dict(state["source"])

    def _keep_source(self) -> Network:
        """Copies the network; where views are fixed, its features are computed once."""
        self.source = copy.deepcopy(self.learner.bare)
        teacher = Teacher(self.source, "the source encoder", self.learner.device)
        self.source_features = FrozenFeatures(teacher, self.learner)
        return self.source

    def step(self, batch: Batch, progress: float) -> Mapping[str, float | Tensor]:
        """Descends the cross-entropy, or makes one move of both players."""
        if "real" not in batch:
            return supervised_step(self.learner, batch)
        learner, discriminator = self.learner, self.discriminator
        source = self.source_features("synthetic", batch["synthetic"])
        output = learner.forward(batch["real"], "real")
        target = output.features
        synthetic, real = discriminator(source), discriminator(target.detach())
        telling = (self._loss(synthetic, SYNTHETIC) + self._loss(real, REAL)) / 2
        hiding = self._loss(frozen(discriminator)(target), SYNTHETIC) / 2
        # The classifier takes part with a gradient of zero: processes wait for one from each
        # parameter.
        learner.update(hiding + telling + 0 * output.logits.sum())
        told_apart = [
            learner.mean((scores.argmax(dim=1) == label).float())
            for scores, label in ((synthetic, SYNTHETIC), (real, REAL))
        ]
        return {
            "loss": hiding,
            "domain_loss": telling,
            "domain_accuracy": torch.stack(told_apart).mean(),
        }

    def _loss(self, scores: Tensor, label: int) -> Tensor:
        labels = torch.full((len(scores),), label, device=scores.device)
        return self.learner.mean(functional.cross_entropy(scores, labels, reduction="none"))
