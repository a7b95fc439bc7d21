"""Pretrained Guidance: the student keeps the relations among images that a frozen teacher sees.

Wang, Schmedding and Huber 2024, "Improving the Effectiveness of Deep Generative Data"
(https://arxiv.org/abs/2311.03959), section 4, equations 1 and 3. The KL form is its footnote 2's:
Ojha et al. 2021, "Few-shot Image Generation via Cross-domain Correspondence".

Where we differ or choose:
- Equation 1 writes a sum over all pairs; `pg_reduction` says which it is (the code of Ojha et al.
  averages over all entries). For N rows, KL: sum = N batchmean = N (N - 1) mean.
- The text pulls the teacher's distances towards the student's; the teacher is frozen, so the
  student's move.
- With the Euclidean distance, KL takes the softmax of the negative distances (ours).
- Fewer than three rows have no relations to compare, and the term is 0.
- `pg_on`: PG-F acts on synthetic images ("f"), PG-R on real ones ("r"), or both ("fr").
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from gendata.errors import GendataError
from gendata.models.teacher import load_teacher
from gendata.registry import methods
from gendata.training.frozen_features import FrozenFeatures
from gendata.training.learner import Learner
from gendata.training.options import check_choice, check_number
from gendata.types import Batch, Examples, Output, Stage

__all__ = ["PretrainedGuidance", "TeacherRelations", "pretrained_guidance_loss"]

FEWEST_ROWS = 3


def pretrained_guidance_loss(
    teacher_features: Tensor,
    student_features: Tensor,
    *,
    loss: str = "kl",
    distance: str = "cosine",
    reduction: str = "sum",
) -> Tensor:
    """How far the student's relations among N images are from the teacher's (equation 1).

    Args:
        teacher_features: (N, D), one row an image; no gradient reaches it.
        student_features: (N, E); the widths may differ.
        loss: "kl", per row over the softmax of its N - 1 relations to the others, or "l1".
        distance: "cosine" (similarities) or "euclidean" (distances).
        reduction: "sum" over all pairs, "batchmean" (that over N), or "mean" over all entries:
            N (N - 1) for KL, whose rows leave out the diagonal, and N^2 for L1.

    Returns:
        A float32 scalar, at least 0; 0 where N < 3.
    """
    rows = len(student_features)
    if rows < FEWEST_ROWS:
        return torch.zeros((), device=student_features.device)
    teacher = _relations(teacher_features.detach().float(), distance)
    student = _relations(student_features.float(), distance)
    if loss == "kl":
        log_p = functional.log_softmax(_others(teacher, distance), dim=1)
        log_q = functional.log_softmax(_others(student, distance), dim=1)
        total = functional.kl_div(log_q, log_p, reduction="sum", log_target=True)
        entries = rows * (rows - 1)
    else:
        total = (teacher - student).abs().sum()
        entries = rows * rows
    return total / {"sum": 1, "batchmean": rows, "mean": entries}[reduction]


def _relations(features: Tensor, distance: str) -> Tensor:
    """Cosines or distances (N, N) between all rows of (N, D)."""
    if distance == "euclidean":
        # The faster form by matrix product loses the small distances to cancellation.
        return torch.cdist(features, features, compute_mode="donot_use_mm_for_euclid_dist")
    lengths = features.norm(dim=1, keepdim=True)
    # A row of zeros has no direction; dividing by 1 keeps its gradient finite.
    directions = features / torch.where(lengths > 0, lengths, torch.ones_like(lengths))
    return directions @ directions.T


def _others(relations: Tensor, distance: str) -> Tensor:
    """Each row's scores for the other rows, (N, N - 1): the diagonal is left out."""
    rows = len(relations)
    others = relations.flatten()[1:].view(rows - 1, rows + 1)[:, :-1].reshape(rows, rows - 1)
    return -others if distance == "euclidean" else others


@dataclass
class TeacherRelations:
    """The guidance term and its options, for every method that adds it to its loss.

    Args:
        pg_weight: weight of the term (the paper's lambda_3), at least 0.
        pg_loss: "kl" or "l1".
        pg_distance: "cosine" or "euclidean".
        pg_reduction: "sum", "batchmean" or "mean"; a weight means nothing without it.
        pg_on: "f" (synthetic images), "r" (real images) or "fr".
        teacher: reference of the frozen teacher.
        teacher_size: side of the images it is shown, pixels; None for its own.
        teacher_tap: name of the layer whose output it is asked for; None for the last pooled one.
    """

    pg_weight: float = 1.0
    pg_loss: str = "kl"
    pg_distance: str = "cosine"
    pg_reduction: str = "sum"
    pg_on: str = "f"
    teacher: str = "embedded:efficientnet-lite0"
    teacher_size: int | None = None
    teacher_tap: str | None = None

    def __post_init__(self) -> None:
        check_number("pg_weight", self.pg_weight, 0)
        check_choice("pg_loss", self.pg_loss, ("kl", "l1"))
        check_choice("pg_distance", self.pg_distance, ("cosine", "euclidean"))
        check_choice("pg_reduction", self.pg_reduction, ("sum", "batchmean", "mean"))
        check_choice("pg_on", self.pg_on, ("f", "r", "fr"))
        if self.teacher_size is not None:
            check_number("teacher_size", self.teacher_size, 1, whole=True)

    def load(self, learner: Learner) -> None:
        """Loads the teacher, whose features are kept where the views of an image are fixed."""
        self.learner = learner
        network = load_teacher(
            self.teacher,
            input_size=self.teacher_size,
            tap=self.teacher_tap,
            device=learner.device,
            download=learner.download,
        )
        self.features = FrozenFeatures(network, learner)

    def loss(self, source: str, examples: Examples, output: Output) -> Tensor:
        """The weighted term for one source's batch, over the rows of all processes."""
        if source != "mixed":
            part = {"synthetic": "f", "real": "r"}[source]
            return self._term(source, examples, output) if part in self.pg_on else _zero(output)
        synthetic = examples.rows < len(self.learner.images["synthetic"])
        is_synthetic = self.learner.joined(synthetic)
        chosen = {"f": is_synthetic, "r": ~is_synthetic}
        parts = [chosen[part] for part in self.pg_on]
        return self._term(source, examples, output, parts)

    def _term(
        self,
        source: str,
        examples: Examples,
        output: Output,
        parts: Sequence[Tensor | slice] = (slice(None),),
    ) -> Tensor:
        teacher = self.learner.joined(self.features(source, examples))
        student = self.learner.joined(output.features)
        options = {
            "loss": self.pg_loss,
            "distance": self.pg_distance,
            "reduction": self.pg_reduction,
        }
        terms = [pretrained_guidance_loss(teacher[p], student[p], **options) for p in parts]
        return self.pg_weight * torch.stack(terms).sum()


def _zero(output: Output) -> Tensor:
    return torch.zeros((), device=output.logits.device)


@methods.register("pg")
@dataclass
class PretrainedGuidance(TeacherRelations):
    """Trains on synthetic images (zero-shot), or on the mixed set, with the guidance term.

    Args:
        train_on: "synthetic", or "mixed" for synthetic and real images together, where the term
            acts on each part by itself.
    """

    train_on: str = "synthetic"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_choice("train_on", self.train_on, ("synthetic", "mixed"))
        if self.train_on == "synthetic" and "r" in self.pg_on:
            raise GendataError(
                "pg_on asks for real images, but the method trains on synthetic ones only",
                found=f"pg_on={self.pg_on}",
                do="use pg_on=f, or train_on=mixed, or the method pg+rg",
            )
        self.stages = (Stage(1.0, (self.train_on,)),)

    def prepare(self, learner: Learner) -> None:
        """Loads the teacher."""
        self.load(learner)

    def step(self, batch: Batch, progress: float) -> Mapping[str, float | Tensor]:
        """Descends the cross-entropy plus the term."""
        examples = batch[self.train_on]
        output = self.learner.forward(examples, self.train_on)
        task = self.learner.cross_entropy(output, examples)
        guidance = self.loss(self.train_on, examples, output)
        self.learner.update(task + guidance)
        return {
            "loss": task,
            "guidance": guidance,
            "accuracy": self.learner.share_correct(output, examples),
        }
