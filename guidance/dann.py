"""DANN: features that a discriminator cannot tell the domain of.

Ganin, Ustinova, Ajakan, Germain, Larochelle, Laviolette, Marchand and Lempitsky 2016,
"Domain-Adversarial Training of Neural Networks" (https://arxiv.org/abs/1505.07818), as a low-shot
baseline of Wang, Schmedding and Huber 2024, "Improving the Effectiveness of Deep Generative Data"
(https://arxiv.org/abs/2311.03959), table 4: all epochs in one stage.

With features f, discriminator D, and p the share of the training that is done, a step descends

    CE(synthetic) + CE(real)
    + domain_weight / 2 (mean_synthetic -log D(f) + mean_real -log(1 - D(f)))

where the gradient that reaches f from the second line is multiplied by
-(2 / (1 + exp(-10 p)) - 1) (section 5.2.2): D learns to tell the domains apart, the features to
hide them, at first not at all.

Where we differ or choose:
- Wang et al. have labelled real images, and DANN alone of their unsupervised baselines uses the
  labels: hence CE(real). `use_real_labels=False` is the paper's unsupervised method.
- D has two hidden layers of 1024 (as the paper's for larger images) with batch normalisation, and
  the label of synthetic images is 1, as in tllib (Jiang et al., Transfer Learning Library); the
  paper labels the source 0, which changes nothing but D's sign.
- tllib puts a bottleneck of 256 between features and classifier. There is none here: the
  network stays the one that was asked for, and `tap` says which of its features are compared.
- Each domain's mean weighs the same, whatever the sizes of their batches (the paper's are equal).
  D's batch normalisation sees both together, of all processes, so that it cannot hide a difference
  between their means; the domain with more rows dominates its statistics.
- Each domain passes through the network by itself, with batch normalisation as `batch_norm` says.
- Optimiser, rate and its schedule are the training's; `discriminator_rate` is a factor for D.
  The paper: SGD with momentum 0.9, rate 0.01 / (1 + 10 p)^0.75.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from gendata.guidance.adversarial import ramp
from gendata.registry import methods
from gendata.training.learner import Learner
from gendata.training.options import check_flag, check_number
from gendata.types import Batch, Output, Stage

__all__ = ["DomainAdversarialTraining", "domain_loss", "reverse_gradient"]


def reverse_gradient(features: Tensor, coefficient: float) -> Tensor:
    """Returns the features; their gradient is multiplied by -coefficient on its way back."""
    same = features.view_as(features)
    if same.requires_grad:
        same.register_hook(lambda gradient: -coefficient * gradient)
    return same


def domain_loss(synthetic: Tensor, real: Tensor) -> Tensor:
    """Binary cross-entropy of the domain, whose two parts weigh the same.

    Args:
        synthetic: (B,) logits of synthetic rows, whose label is 1.
        real: (C,) logits of real rows, whose label is 0.
    """
    return (functional.softplus(-synthetic).mean() + functional.softplus(real).mean()) / 2


@methods.register("dann")
@dataclass
class DomainAdversarialTraining:
    """Trains on both sources while a discriminator's reversed gradient aligns their features.

    Args:
        use_real_labels: classify the real images too; False reads none of their labels.
        domain_weight: weight of the domain's loss, at least 0.
        discriminator_width: units of each of the discriminator's two hidden layers.
        discriminator_rate: its learning rate, as a multiple of the network's.
    """

    use_real_labels: bool = True
    domain_weight: float = 1.0
    discriminator_width: int = 1024
    discriminator_rate: float = 1.0

    def __post_init__(self) -> None:
        check_flag("use_real_labels", self.use_real_labels)
        check_number("domain_weight", self.domain_weight, 0)
        check_number("discriminator_width", self.discriminator_width, 1, whole=True)
        check_number("discriminator_rate", self.discriminator_rate, 0)
        self.stages = (Stage(1.0, ("synthetic", "real")),)

    def prepare(self, learner: Learner) -> None:
        """Builds the discriminator."""
        self.learner = learner
        features, width = learner.bare.feature_dim, self.discriminator_width
        self.discriminator = learner.add(
            "discriminator",
            nn.Sequential(
                nn.Linear(features, width),
                # Never evaluated, so running statistics would be of no use.
                nn.BatchNorm1d(width, track_running_stats=False),
                nn.ReLU(),
                nn.Linear(width, width),
                nn.BatchNorm1d(width, track_running_stats=False),
                nn.ReLU(),
                nn.Linear(width, 1),
            ),
        )
        learner.set_rate_factor(self.discriminator, self.discriminator_rate)

    def step(self, batch: Batch, progress: float) -> Mapping[str, float | Tensor]:
        """Descends the sum of the losses; the reversal makes it a game."""
        learner = self.learner
        outputs = {
            source: learner.forward(batch[source], source) for source in ("synthetic", "real")
        }
        task = learner.cross_entropy(outputs["synthetic"], batch["synthetic"])
        domain, told_apart = self._domain(outputs, ramp(progress))
        logs = {
            "loss": task,
            "accuracy": learner.share_correct(outputs["synthetic"], batch["synthetic"]),
            "domain_loss": domain,
            "domain_accuracy": told_apart,
        }
        loss = task + self.domain_weight * domain
        if self.use_real_labels:
            logs["loss_real"] = real = learner.cross_entropy(outputs["real"], batch["real"])
            logs["accuracy_real"] = learner.share_correct(outputs["real"], batch["real"])
            loss = loss + real
        learner.update(loss)
        return logs

    def _domain(self, outputs: Mapping[str, Output], coefficient: float) -> tuple[Tensor, Tensor]:
        """The domain's loss over the rows of all processes, and its balanced accuracy."""
        synthetic, real = (
            self.learner.joined(outputs[source].features) for source in ("synthetic", "real")
        )
        features = reverse_gradient(torch.cat([synthetic, real]), coefficient)
        scores = self.discriminator(features).flatten().split([len(synthetic), len(real)])
        accuracy = (scores[0] > 0).float().mean() / 2 + (scores[1] <= 0).float().mean() / 2
        return domain_loss(*scores), accuracy
