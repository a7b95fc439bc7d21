"""CSG: each image's maps stay close to a frozen ImageNet encoder's, and away from other images'.

Chen, Yu, De Mello, Liu, Alvarez, Wang and Anandkumar 2021, "Contrastive Syn-to-Real
Generalization" (ICLR, https://arxiv.org/abs/2104.02290): cross-entropy of the new classes plus
0.1 times an InfoNCE loss for each of some stages. A student's map, pooled by its own attention
(A-Pool) and projected to 128 numbers of length 1, is the query; the frozen encoder's map of the
same image and stage, pooled by the student's attention, is its positive key; the keys of earlier
batches, kept in a queue, are the negatives. The key's projection follows the query's by momentum;
the encoder behind it stays as it is. Real images are never opened.

Student and teacher must be one architecture, so that their maps are alike in width and size.

Where we differ or choose:
- Query and key are the same augmented image. Published are two draws of RandAugment for each
  image (an option there, on in the published command).
- The queue holds 65,536 keys as published, but at most half as many as there are images (the
  paper's set has 152,397): a longer one keeps its random beginning for many epochs and then holds
  older keys of every image, which the loss pushes away as if they were other images. Where a
  batch passes its end, the rest of the batch goes to its beginning; the published code repeats
  the batch's first keys there, which its sizes never ask for.
- A-Pool's scores are of maps after a ReLU, which are never negative. Where a stage ends without
  one (EfficientNet), a negative score counts as 0; a map of zeros is averaged evenly.
- The default stages are the last two, published for ResNets as layer3 and layer4.
- The new classes have the network's own linear layer, as in every method here; published are two
  layers, 2048-512-ReLU-C.
- Published with SGD (momentum 0.9, weight decay 5e-4), batches of 32, learning rate 1e-4, the
  backbone at a tenth of it, frozen batch-normalisation statistics and a rate that warms up and
  decays: optimizer=sgd, weight_decay=5e-4, batch_size=32, learning_rate=1e-4, backbone_rate=0.1,
  batch_norm=freeze, schedule=csg. None is a default. Its momentum sums gradients times their rate,
  ours plain gradients.
- Published accuracy averages sigmoids over an image and its mirror image; ours takes the image.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from gendata.errors import GendataError
from gendata.guidance.asg import set_backbone_rate
from gendata.models.backbones import pretrained_reference
from gendata.models.network import Network
from gendata.models.stages import missing_stages, recorded_maps, stage_names
from gendata.models.teacher import Teacher, load_teacher
from gendata.registry import methods
from gendata.training.learner import Learner
from gendata.training.options import check_number
from gendata.types import Batch, Stage

__all__ = ["CSG", "KeyQueue", "attention_pool", "contrastive_losses"]

WIDTH = 128  # of the projections
LONGEST_QUEUE = 65_536
LAST_STAGES = 2


def attention_pool(maps: Tensor, attention_from: Tensor) -> Tensor:
    """A-Pool: averages maps over positions, weighted by attention.

    A position's score is <f(x, y), mean f>, of the maps f that the attention is taken from; the
    weights are the scores over their sum.

    Args:
        maps: (B, D, H, W).
        attention_from: (B, D, H, W), the maps that give the weights.

    Returns:
        (B, D), float32.
    """
    maps, source = maps.float().flatten(2), attention_from.float().flatten(2)
    scores = torch.einsum("bdp,bd->bp", source, source.mean(dim=2)).clamp(min=0)
    total = scores.sum(dim=1, keepdim=True)
    even = torch.full_like(scores, 1 / scores.shape[1])
    safe = torch.where(total > 0, total, torch.ones_like(total))
    weights = torch.where(total > 0, scores / safe, even)
    return torch.einsum("bdp,bp->bd", maps, weights)


def contrastive_losses(
    queries: Tensor, keys: Tensor, negatives: Tensor, temperature: float
) -> Tensor:
    """InfoNCE of each row: the cross-entropy of its own key among all negatives.

    Args:
        queries: (B, E), of length 1.
        keys: (B, E), of length 1; no gradient reaches them.
        negatives: (K, E), of length 1.
        temperature: divides the cosines.

    Returns:
        (B,)
    """
    queries = queries / temperature
    positive = (queries * keys.detach()).sum(dim=1)
    # The wide matrix of a long queue is read once and never copied.
    negative = torch.logsumexp(queries @ negatives.T, dim=1)
    return functional.softplus(negative - positive)


class KeyQueue:
    """The latest keys, oldest overwritten first; at first random directions.

    Args:
        length: number of keys K.
        width: of each.
        device: where they are kept.

    Attributes:
        keys: (K, E), float32, in no order that matters.
    """

    def __init__(self, length: int, width: int, device: torch.device) -> None:
        # Drawn on the CPU, so that a seed means the same queue on every device.
        self.keys = functional.normalize(torch.randn(length, width), dim=1).to(device)
        self._next = 0

    def add(self, keys: Tensor) -> None:
        """Takes in a batch (B, E), the last of them where there are more than places."""
        length = len(self.keys)
        keys = keys[-length:]
        places = (self._next + torch.arange(len(keys), device=self.keys.device)) % length
        self.keys[places] = keys
        self._next = (self._next + len(keys)) % length

    def state_dict(self) -> dict[str, Any]:
        """What `load_state_dict` takes."""
        return {"keys": self.keys, "next": self._next}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Goes on where another queue of the same length was."""
        self.keys.copy_(state["keys"])
        self._next = state["next"]


@methods.register("csg")
@dataclass
class CSG:
    """Trains on synthetic images (zero-shot) with a contrast against a frozen teacher's maps.

    Args:
        csg_weight: weight of each stage's term, at least 0.
        csg_stages: names of the submodules whose maps are compared, with commas between them;
            None for the network's last two stages.
        csg_queue: number of negative keys; None for 65,536, or half as many as there are images.
        csg_temperature: divides the cosines.
        csg_momentum: of the keys' projection, between 0 and 1.
        backbone_rate: learning rate of all but the last layer over that of the last one; published
            is 0.1, for ImageNet weights.
        teacher: reference of the frozen teacher; None for the student's own architecture with
            ImageNet weights.
    """

    csg_weight: float = 0.1
    csg_stages: str | None = None
    csg_queue: int | None = None
    csg_temperature: float = 0.07
    csg_momentum: float = 0.999
    backbone_rate: float = 1.0
    teacher: str | None = None

    stages = (Stage(1.0, ("synthetic",)),)

    def __post_init__(self) -> None:
        check_number("csg_weight", self.csg_weight, 0)
        check_number("csg_temperature", self.csg_temperature, 0, above=True)
        check_number("csg_momentum", self.csg_momentum, 0)
        check_number("backbone_rate", self.backbone_rate, 0)
        if self.csg_momentum > 1:
            raise GendataError(
                "csg_momentum is out of range", found=self.csg_momentum, expected="0 to 1"
            )
        if self.csg_queue is not None:
            check_number("csg_queue", self.csg_queue, 1, whole=True)

    def check(self, network: Network, *, download: bool = False) -> None:
        """Refuses a student, which is on the CPU, whose maps are unlike those of its teacher.

        Raises:
            GendataError: they are unlike, there are none, or there is no such teacher.
        """
        frozen = self._load_teacher(network, torch.device("cpu"), download)
        self._stages_of(network, frozen)

    def prepare(self, learner: Learner) -> None:
        """Loads the teacher and builds a projection and a queue for each stage."""
        self.learner, self.student = learner, learner.bare
        self.frozen = self._load_teacher(self.student, learner.device, learner.download)
        self.names, widths = self._stages_of(self.student, self.frozen)
        self.query_projections = [_projection(width) for width in widths]
        learner.add("csg_projections", nn.ModuleList(self.query_projections))
        self.key_projections = copy.deepcopy(self.query_projections)
        images = len(learner.loaders["synthetic"].images)
        length = self.csg_queue or max(1, min(LONGEST_QUEUE, images // 2))
        self.queues = [KeyQueue(length, WIDTH, learner.device) for _ in widths]
        set_backbone_rate(learner, self.backbone_rate)

    def step(self, batch: Batch, progress: float) -> Mapping[str, float | Tensor]:
        """Descends the cross-entropy plus every stage's contrast."""
        examples = batch["synthetic"]
        with recorded_maps(self.student, self.names) as recorded:
            output = self.learner.forward(examples, "synthetic")
        task = self.learner.cross_entropy(output, examples)
        self._follow()
        maps = [recorded[name] for name in self.names]
        frozen_maps = self.frozen.maps(examples.images, self.names)
        pairs = enumerate(zip(maps, frozen_maps, strict=True))
        vectors = [self._queries_and_keys(number, *pair) for number, pair in pairs]
        guidance = self.csg_weight * self.contrast(vectors)
        self.learner.update(task + guidance)
        for queue, (_, keys) in zip(self.queues, vectors, strict=True):
            queue.add(self._in_order(keys))  # after the update, which still needs the old ones
        return {
            "loss": task,
            "guidance": guidance,
            "accuracy": self.learner.share_correct(output, examples),
        }

    def state_dict(self) -> dict[str, Any]:
        """The queues and the keys' projections."""
        return {
            "queues": [queue.state_dict() for queue in self.queues],
            "key_projections": [each.state_dict() for each in self.key_projections],
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Goes on where a killed run was."""
        for queue, kept in zip(self.queues, state["queues"], strict=True):
            queue.load_state_dict(kept)
        for each, kept in zip(self.key_projections, state["key_projections"], strict=True):
            each.load_state_dict(kept)

    def contrast(self, vectors: Sequence[tuple[Tensor, Tensor]]) -> Tensor:
        """The stages' mean losses over the rows of all processes, summed.

        Args:
            vectors: of each stage the queries and the keys, both (B, 128).
        """
        losses = [
            contrastive_losses(queries, keys, queue.keys, self.csg_temperature)
            for queue, (queries, keys) in zip(self.queues, vectors, strict=True)
        ]
        return self.learner.mean(torch.stack(losses).sum(dim=0))

    def _queries_and_keys(
        self, number: int, maps: Tensor, frozen_maps: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Pools and projects the maps of one stage: (B, 128) each, rows of length 1."""
        _check_alike(self.names[number], self.student, maps, self.frozen, frozen_maps)
        queries = self.query_projections[number](attention_pool(maps, maps))
        with torch.no_grad():
            keys = self.key_projections[number](attention_pool(frozen_maps, maps))
        return functional.normalize(queries, dim=1), functional.normalize(keys, dim=1)

    def _in_order(self, keys: Tensor) -> Tensor:
        """Joins the keys of all processes in the order of the whole batch, dealt out in turn."""
        rows = torch.arange(len(keys), device=keys.device) * self.learner.processes
        order = self.learner.joined(rows + self.learner.rank).argsort()
        return self.learner.joined(keys)[order]

    @torch.no_grad()
    def _follow(self) -> None:
        """Moves the keys' projections a little towards the queries'."""
        for key, query in zip(self.key_projections, self.query_projections, strict=True):
            for kept, moving in zip(key.parameters(), query.parameters(), strict=True):
                kept.lerp_(moving, 1 - self.csg_momentum)

    def _load_teacher(self, student: Network, device: torch.device, download: bool) -> Teacher:
        reference = self.teacher or pretrained_reference(student.name)
        if reference is None:
            raise GendataError(
                "csg needs a teacher of the student's own architecture, and there are no ImageNet "
                f"weights for {student.name}",
                do="use network=embedded:efficientnet-lite0 or a timm model such as resnet18, and "
                f"init=imagenet; or give teacher={student.name}:FILE",
            )
        return load_teacher(
            reference, input_size=student.input_size, device=device, download=download
        )

    def _stages_of(self, student: Network, frozen: Teacher) -> tuple[list[str], list[int]]:
        """The stages asked for and the widths of their maps, alike in both networks."""
        if self.csg_stages is None:
            names = stage_names(student)[-LAST_STAGES:]
        else:
            names = [name.strip() for name in str(self.csg_stages).split(",")]
        missing = missing_stages(frozen.network, names)
        if missing and not missing_stages(student, names):
            raise _unlike(student, frozen, f"no '{missing[0]}' in {frozen.name}")
        return names, _widths(student, frozen, names)


@torch.no_grad()
def _widths(student: Network, frozen: Teacher, names: Sequence[str]) -> list[int]:
    """Widths of the stages' maps, which must be alike in both networks."""
    side = student.recipe.probe_size
    image = torch.zeros(1, 3, side, side, dtype=torch.uint8, device=frozen.device)
    training = student.training
    student.eval()
    with recorded_maps(student, names) as recorded:
        student(image)
    student.train(training)
    for name, frozen_map in zip(names, frozen.maps(image, names), strict=True):
        _check_alike(name, student, recorded[name], frozen, frozen_map)
    return [recorded[name].shape[1] for name in names]


def _projection(width: int) -> nn.Sequential:
    """The two layers D-D-ReLU-128 that a pooled map passes before its length becomes 1."""
    return nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, WIDTH))


def _check_alike(
    name: str, student: Network, maps: Tensor, frozen: Teacher, frozen_maps: Tensor
) -> None:
    if maps.shape != frozen_maps.shape:
        shapes = f"{tuple(maps.shape[1:])} and {tuple(frozen_maps.shape[1:])} at '{name}'"
        raise _unlike(student, frozen, shapes)


def _unlike(student: Network, frozen: Teacher, found: str) -> GendataError:
    own = pretrained_reference(student.name) or f"{student.name}:FILE"
    network = frozen.network.name
    return GendataError(
        f"csg compares maps one by one, and those of {student.name} and {frozen.name} differ",
        found=found,
        expected="one architecture for student and teacher",
        do=f"use network={network}, or teacher={own}, or a method without that need: asg, pg",
    )
