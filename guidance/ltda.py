"""LTDA: weights for the synthetic images, chosen so that the next step helps on real ones.

Jamal, Brown, Yang, Wang and Gong 2020, "Rethinking Class-Balanced Methods for Long-Tailed Visual
Recognition from a Domain Adaptation Perspective" (https://arxiv.org/abs/2003.10780), algorithm 1,
as a low-shot baseline of Wang, Schmedding and Huber 2024, "Improving the Effectiveness of Deep
Generative Data" (https://arxiv.org/abs/2311.03959), table 4.

Stage one: cross-entropy on synthetic images. Stage two, in each step, with l_i the cross-entropy
of synthetic image i, g_i its gradient, w_i its class's weight, and epsilon = 0 at first:

    theta'  = theta - alpha sum_i (w_i + epsilon_i) g_i         (alpha: the learning rate)
    epsilon = -eps_step d meta(theta') / d epsilon              (meta: a real batch's mean)
    update along the gradient of mean_i (w_i + epsilon_i) l_i

An image whose gradient points along that of the real batch weighs more. The derivative is exactly
-alpha <g_i, g_meta(theta')>: the change of l_i along g_meta, which one forward pass in forward
mode gives for all images at once, whatever batch normalisation makes of their company.

w comes from the effective number of images of Cui et al. 2019, (1 - beta) / (1 - beta^n) for a
class of n, scaled to average 1 over the classes; all are 1 where the set is balanced.

Where we differ or choose:
- The split is 150 + 50 of 200 epochs (Wang et al.), not 160 + 40; `first_share` changes it.
- Wang et al. say that synthetic images are not accessible in the second stage; LTDA weighs them,
  and has them here. Real ones enter through the weights alone.
- Optimiser, rate and decay are the training's. The released code uses SGD with Nesterov momentum
  and drops the rate by 100 at the second stage and by 100 again in its middle.
- As in the released code, weights are neither cut at 0 nor normalised, and epsilon is of the order
  of eps_step * alpha * |g|^2, so that weights stay close to w unless `eps_step` is raised.
- A real batch has `real_batch_size` images and comes from reshuffled passes over the set.
- The inner step and the real batch leave the running statistics alone: only the synthetic batch
  that makes the update sets them. `batch_norm` decides which statistics a batch is normalised by.
- Dropout, of which the paper's network has none, drops the same units in l_i and its derivative.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.autograd import forward_ad
from torch.nn import functional
from torch.nn.attention import SDPBackend, sdpa_kernel

from gendata.errors import GendataError
from gendata.models.torchscript import quiet_torchscript
from gendata.registry import methods
from gendata.training.learner import Learner
from gendata.training.options import check_number
from gendata.training.stages import two_stages
from gendata.training.supervised import supervised_step
from gendata.types import Batch, Examples, Output

__all__ = ["LongTailedDomainAdaptation", "class_balanced_weights"]

Tensors = Sequence[Tensor]


def class_balanced_weights(labels: np.ndarray, classes: int, beta: float) -> Tensor:
    """Weighs classes by the inverse of their effective number of images.

    Args:
        labels: (N,) of the training set, int64.
        classes: number of classes K.
        beta: from 0 (all classes alike) to below 1 (nearly the inverse of their counts).

    Returns:
        (K,) float64, 1 on average over the classes that have images; 0 for those that have none.
    """
    counts = np.bincount(labels, minlength=classes)
    present = counts > 0
    weights = np.zeros(classes)
    weights[present] = 1 / (1 - np.power(float(beta), counts[present]))
    return torch.from_numpy(weights / weights.sum() * present.sum())


@methods.register("ltda")
@dataclass
class LongTailedDomainAdaptation:
    """Trains on synthetic images, then on the same with weights that real batches choose.

    Args:
        eps_step: how far epsilon moves against the derivative, at least 0; 0 keeps the class
            weights.
        balance_beta: of the class weights, at least 0 and below 1.
        first_share: share of the epochs without weights, above 0 and below 1.
    """

    eps_step: float = 0.01
    balance_beta: float = 0.9999
    first_share: float = 0.75

    def __post_init__(self) -> None:
        check_number("eps_step", self.eps_step, 0)
        check_number("balance_beta", self.balance_beta, 0)
        if self.balance_beta >= 1:
            raise GendataError(
                "balance_beta is out of range", found=self.balance_beta, expected="below 1"
            )
        self.stages = two_stages(self.first_share)

    def prepare(self, learner: Learner) -> None:
        """Counts the synthetic images of each class."""
        self.learner = learner
        labels = np.asarray(learner.images["synthetic"].labels)
        weights = class_balanced_weights(labels, len(learner.classes), self.balance_beta)
        self.class_weights = weights.float().to(learner.device)
        _load_forward_mode()

    def step(self, batch: Batch, progress: float) -> Mapping[str, float | Tensor]:
        """Descends the cross-entropy, weighted in the second stage."""
        if "real" not in batch:
            return supervised_step(self.learner, batch)
        learner, examples = self.learner, batch["synthetic"]
        random = _random_state(learner.device)
        output = learner.forward(examples, "synthetic")
        losses = _losses(output, examples)
        weights = self.class_weights[examples.labels]
        slopes, meta = self._slopes(weights, losses, batch, random)
        epsilon = -self.eps_step * slopes
        learner.update(learner.mean((weights + epsilon) * losses))
        return {
            "loss": learner.mean(losses.detach()),
            "loss_real": meta,
            "accuracy": learner.share_correct(output, examples),
            "epsilon_size": learner.mean(epsilon.abs()),
        }

    def _slopes(
        self, weights: Tensor, losses: Tensor, batch: Batch, random: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Differentiates the loss of the real batch after the inner step by epsilon, at 0.

        Args:
            weights: (B,) of the synthetic images' classes.
            losses: (B,) of the synthetic images, with their graph, which is kept.
            batch: examples of "synthetic" and "real".
            random: state of the generator before the losses were computed.

        Returns:
            (B,), without a graph; and the loss of the real batch, a scalar.
        """
        learner, rate = self.learner, self.learner.learning_rate
        names, parameters = zip(*_trainable(learner), strict=True)
        # The processes' gradients are averaged; the inner step goes along their sum.
        total = (weights * losses).sum() * learner.processes
        inner = _gradients(learner, total, parameters, keep_graph=True)
        moved = [
            torch.sub(parameter.detach(), gradient, alpha=rate).requires_grad_()
            for parameter, gradient in zip(parameters, inner, strict=True)
        ]
        del inner
        output = learner.forward_at(dict(zip(names, moved, strict=True)), batch["real"], "real")
        meta = learner.cross_entropy(output, batch["real"])
        direction = _gradients(learner, meta, moved)
        with _same_random(learner.device, random):
            changes = _changes(
                learner, batch["synthetic"], dict(zip(names, direction, strict=True))
            )
        return -rate * changes, meta.detach()


def _losses(output: Output, examples: Examples) -> Tensor:
    return functional.cross_entropy(output.logits, examples.labels, reduction="none")


def _trainable(learner: Learner) -> list[tuple[str, nn.Parameter]]:
    return [(name, p) for name, p in learner.bare.named_parameters() if p.requires_grad]


def _gradients(
    learner: Learner, loss: Tensor, parameters: Tensors, *, keep_graph: bool = False
) -> Tensors:
    """Differentiates a loss, averaged over the processes; fp16's loss scale is taken out again.

    Not by `backward`: the processes' wrapper answers to one backward pass for each forward one,
    and that is the update's.
    """
    scaler = learner.accelerator.scaler
    gradients = torch.autograd.grad(
        loss if scaler is None else scaler.scale(loss),
        list(parameters),
        retain_graph=keep_graph,
        materialize_grads=True,
    )
    if learner.processes == 1 and scaler is None:
        return gradients
    flat = learner.average(torch.cat([gradient.flatten() for gradient in gradients]))
    if scaler is not None:
        flat = flat / scaler.scale(torch.ones((), device=learner.device))
    parts = flat.split([parameter.numel() for parameter in parameters])
    return [part.view_as(p) for part, p in zip(parts, parameters, strict=True)]


@torch.no_grad()
def _changes(learner: Learner, examples: Examples, direction: Mapping[str, Tensor]) -> Tensor:
    """How fast each synthetic image's loss changes along a direction: <g_i, direction>, (B,).

    The direction is made as long as the parameters are, so that half precision can hold what
    comes of it; the result is linear in it and is scaled back.
    """
    parameters = dict(_trainable(learner))
    length = _length(direction.values())
    factor = torch.where(length > 0, _length(parameters.values()) / length, length)
    # Fused attention has no forward mode.
    with forward_ad.dual_level(), sdpa_kernel(SDPBackend.MATH):
        moving = {
            name: forward_ad.make_dual(parameter.detach(), factor * direction[name])
            for name, parameter in parameters.items()
        }
        losses = _losses(learner.forward_at(moving, examples, "synthetic"), examples)
        changes = forward_ad.unpack_dual(losses).tangent
    return torch.where(length > 0, changes / factor, torch.zeros_like(changes))


def _load_forward_mode() -> None:
    """Lets torch compile what its forward mode needs, which it does once, by TorchScript."""
    with quiet_torchscript(), forward_ad.dual_level():
        forward_ad.make_dual(torch.zeros(()), torch.zeros(()))


def _length(tensors: Iterable[Tensor]) -> Tensor:
    """Length of a vector in parts."""
    return torch.stack(torch._foreach_norm(list(tensors))).norm()


def _random_state(device: torch.device) -> Tensor:
    on_cuda = device.type == "cuda"
    return torch.cuda.get_rng_state(device) if on_cuda else torch.get_rng_state()


@contextmanager
def _same_random(device: torch.device, state: Tensor) -> Iterator[None]:
    """Repeats the random numbers, such as dropout's, that began at a state."""
    on_cuda = device.type == "cuda"
    with torch.random.fork_rng(devices=[device] if on_cuda else []):
        if on_cuda:
            torch.cuda.set_rng_state(state, device)
        else:
            torch.set_rng_state(state)
        yield
