"""The bare parts of each method's step, written with plain torch: what its equations cannot spare.

Counted are the passes of networks, forwards and backwards, and one update of what is trained.
Losses, projections, records and everything else that a step does are the overhead that the whole
is measured for; where a backward pass needs a loss, the parts take a cheap one.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.autograd import forward_ad
from torch.func import functional_call
from torch.nn import functional

from gendata.benchmarks.speed.one_step import RATE
from gendata.models.network import Network, last_layer
from gendata.models.stages import recorded_maps
from gendata.training.learner import Learner
from gendata.types import Batch, Output

__all__ = ["PARTS", "Bare", "MethodParts", "long_tailed_by_loop"]


Slopes = Callable[["Bare", Tensor, Mapping[str, Tensor]], Tensor]


class Bare:
    """Copies of all that a method trains, with an optimiser of their own.

    Args:
        method: prepared, in its last stage; its frozen networks are used as they are.
        learner: that it was prepared with.
        batch: examples of the last stage's sources.
    """

    def __init__(self, method: Any, learner: Learner, batch: Batch) -> None:
        self.method, self.batch = method, batch
        self.network = copy.deepcopy(learner.bare)
        self.added: Any = copy.deepcopy(learner.added)  # modules of all kinds, by name
        self.views = {source: learner.loaders[source].views for source in batch}
        trained = [*self.network.parameters(), *self.added.parameters()]
        self.optimizer = torch.optim.Adam(trained, lr=RATE, fused=True)

    def forward(self, source: str) -> Output:
        """The student's pass."""
        return self.network(self.batch[source].images)

    def loss(self, output: Output, source: str) -> Tensor:
        """Mean cross-entropy."""
        return functional.cross_entropy(output.logits, self.batch[source].labels)

    @torch.no_grad()
    def see(self, teacher: Network, source: str) -> Tensor:
        """The teacher's features; where views are fixed, a stand-in for those kept."""
        images = self.batch[source].images
        if self.views[source]:
            return torch.zeros(len(images), teacher.feature_dim, device=images.device)
        return teacher(images).features

    def update(self) -> None:
        """One step of the optimiser."""
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)


def classification(bare: Bare) -> None:
    """One batch."""
    (source,) = bare.batch
    bare.loss(bare.forward(source), source).backward()
    bare.update()


def two_gradients(bare: Bare) -> None:
    """One backward pass for each source, of which one update is made."""
    for source in bare.batch:
        bare.loss(bare.forward(source), source).backward()
    bare.update()


def guided_gradients(bare: Bare) -> None:
    """As many gradients as sources, each batch seen by the teacher too."""
    for source in bare.batch:
        bare.see(bare.method.features.teacher.network, source)
        bare.loss(bare.forward(source), source).backward()
    bare.update()


def proxy_classes(bare: Bare) -> None:
    """The teacher's last layer on its features, a layer as wide on the student's."""
    if not bare.views["synthetic"]:
        features = bare.see(bare.method.teacher_logits.teacher.network, "synthetic")
        bare.method.teacher_classifier(features)
    output = bare.forward("synthetic")
    student = bare.added["teacher_classes"](output.features)
    (bare.loss(output, "synthetic") + student.mean()).backward()
    bare.update()


def contrast(bare: Bare) -> None:
    """Maps of both networks, pooled and projected; the product of queries and queue."""
    method, images = bare.method, bare.batch["synthetic"].images
    with recorded_maps(bare.network, method.names) as maps:
        output = bare.forward("synthetic")
    with torch.no_grad(), recorded_maps(method.frozen.network, method.names) as frozen_maps:
        method.frozen.network(images)
    loss = bare.loss(output, "synthetic")
    for number, name in enumerate(method.names):
        own, frozen = maps[name].flatten(2), frozen_maps[name].flatten(2)
        attention = torch.einsum("bdp,bd->bp", own, own.mean(dim=2)).softmax(dim=1)
        query = bare.added["csg_projections"][number](torch.einsum("bdp,bp->bd", own, attention))
        with torch.no_grad():
            pooled = torch.einsum("bdp,bp->bd", frozen, attention)
            method.key_projections[number](pooled)
        # Scaled as in the loss: numbers that vanish would take many times as long.
        query = functional.normalize(query, dim=1) / method.csg_temperature
        loss = loss + (query @ method.queues[number].keys.T).logsumexp(dim=1).mean()
    loss.backward()
    bare.update()


def reversed_gradient(bare: Bare) -> None:
    """Both batches, and one pass of the discriminator over their features."""
    outputs = {source: bare.forward(source) for source in bare.batch}
    features = torch.cat([output.features for output in outputs.values()])
    scores = bare.added["discriminator"](features)
    tasks = [bare.loss(output, source) for source, output in outputs.items()]
    (torch.stack(tasks).sum() + functional.softplus(scores).mean()).backward()
    bare.update()


def frozen_source(bare: Bare) -> None:
    """The source encoder forwards; the discriminator thrice, once as a frozen opponent."""
    source = bare.see(bare.method.source, "synthetic")
    target, discriminator = bare.forward("real").features, bare.added["discriminator"]
    scores = [discriminator(source), discriminator(target.detach())]
    discriminator.requires_grad_(False)
    scores.append(discriminator(target))
    discriminator.requires_grad_(True)
    torch.cat(scores).logsumexp(dim=1).mean().backward()
    bare.update()


def one_class_more(bare: Bare) -> None:
    """Both batches; the classifier and its new row on each, and again as a frozen opponent."""
    network = bare.network
    layers = [last_layer(network.backbone, network.name), bare.added["real_row"]]
    loss = torch.zeros(())
    for source in bare.batch:
        features = bare.forward(source).features
        for learns, seen in ((True, features.detach()), (False, features)):
            for layer in layers:
                layer.requires_grad_(learns)
            logits = torch.cat([layer(seen) for layer in layers], dim=1)
            loss = loss + logits.logsumexp(dim=1).mean()
    for layer in layers:
        layer.requires_grad_(True)
    loss.backward()
    bare.update()


def long_tailed(bare: Bare) -> None:
    """Two gradients of the synthetic batch, one of the real, one pass in forward mode."""
    _weighted(bare, slopes_at_once)


def long_tailed_by_loop(bare: Bare) -> None:
    """The same, with a backward pass for each synthetic image in place of forward mode."""
    _weighted(bare, slopes_by_loop)


def _weighted(bare: Bare, slopes_along: Slopes) -> None:
    parameters = dict(bare.network.named_parameters())
    losses = _losses(bare.forward("synthetic"), bare, "synthetic")
    inner = torch.autograd.grad(losses.sum(), list(parameters.values()), retain_graph=True)
    moved = {
        name: (parameter.detach() - RATE * gradient).requires_grad_()
        for (name, parameter), gradient in zip(parameters.items(), inner, strict=True)
    }
    meta = _losses_at(moved, bare, "real").mean()
    gradient = torch.autograd.grad(meta, list(moved.values()))
    slopes = slopes_along(bare, losses, dict(zip(moved, gradient, strict=True)))
    weights = 1 + bare.method.eps_step * RATE * slopes
    (weights * losses).mean().backward()
    bare.update()


def slopes_at_once(bare: Bare, losses: Tensor, direction: Mapping[str, Tensor]) -> Tensor:
    """How fast each synthetic image's loss changes along a direction, (B,), in forward mode."""
    with torch.no_grad(), forward_ad.dual_level():
        moving = {
            name: forward_ad.make_dual(parameter.detach(), direction[name])
            for name, parameter in bare.network.named_parameters()
        }
        return forward_ad.unpack_dual(_losses_at(moving, bare, "synthetic")).tangent


def slopes_by_loop(bare: Bare, losses: Tensor, direction: Mapping[str, Tensor]) -> Tensor:
    """The same by one backward pass an image."""
    parameters = dict(bare.network.named_parameters())
    slopes = []
    for loss in losses:
        gradients = torch.autograd.grad(loss, list(parameters.values()), retain_graph=True)
        along = zip(gradients, (direction[name] for name in parameters), strict=True)
        slopes.append(torch.stack([(one * other).sum() for one, other in along]).sum())
    return torch.stack(slopes)


def _losses(output: Output, bare: Bare, source: str) -> Tensor:
    return functional.cross_entropy(output.logits, bare.batch[source].labels, reduction="none")


def _losses_at(parameters: Mapping[str, Tensor], bare: Bare, source: str) -> Tensor:
    """Losses under other parameters; the running statistics stay as they are."""
    buffers = {name: buffer.clone() for name, buffer in bare.network.named_buffers()}
    given = (bare.batch[source].images,)
    return _losses(functional_call(bare.network, {**parameters, **buffers}, given), bare, source)


@dataclass(frozen=True)
class MethodParts:
    """What a method's step in its last stage cannot do without.

    Args:
        run: makes these passes and one update.
        says: which they are.
        options: that the method is measured under.
        keeps: whether a frozen network's features are looked up where views are fixed.
    """

    run: Callable[[Bare], None]
    says: str
    options: Mapping[str, Any] = field(default_factory=dict)
    keeps: bool = False


TEACHER = {"teacher_size": 64}
ONE = "a forward and a backward pass"
TWO = "a forward and a backward pass of each source"
PARTS = {
    "real": MethodParts(classification, ONE),
    "fake": MethodParts(classification, ONE),
    "aug": MethodParts(classification, ONE),
    "adp": MethodParts(classification, ONE),
    "a-gem": MethodParts(two_gradients, TWO),
    "rg": MethodParts(two_gradients, TWO),
    "pg": MethodParts(guided_gradients, f"{ONE}, the teacher's pass", TEACHER, True),
    "pg+rg": MethodParts(guided_gradients, f"{TWO}, the teacher's passes", TEACHER, True),
    "asg": MethodParts(
        proxy_classes, f"{ONE}, the teacher's pass, both layers of its classes", TEACHER, True
    ),
    "csg": MethodParts(
        contrast,
        f"{ONE}, the teacher's pass, pooling and projecting two stages, the queue's products",
        {"csg_queue": 4096},
    ),
    "dann": MethodParts(reversed_gradient, f"{TWO}, the discriminator's"),
    "adda": MethodParts(
        frozen_source,
        f"{ONE} of the real batch, the source encoder's, the discriminator's on three batches",
        keeps=True,
    ),
    "dada": MethodParts(one_class_more, f"{TWO}, the classifier's on both, learning and frozen"),
    "ltda": MethodParts(
        long_tailed,
        "a forward and two backward passes of the synthetic batch, a forward and a backward pass "
        "of the real one, a pass in forward mode",
    ),
}
