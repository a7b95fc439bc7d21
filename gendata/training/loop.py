"""The loop: epochs over a method's stages, an evaluation and a kept state after each."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from tqdm import tqdm

from gendata.errors import GendataError
from gendata.images import Loader
from gendata.seeds import hash_seed
from gendata.training.evaluate import Accuracy, accuracy_of, logits
from gendata.training.learner import Learner
from gendata.training.run_folder import RunFolder
from gendata.training.settings import Settings, learning_rate_at
from gendata.training.sources import batches
from gendata.training.spans import span_of, total_updates
from gendata.training.stages import epoch_stages, epochs_of
from gendata.types import Method, Stage

__all__ = ["EPOCH", "INITIAL", "Run", "seeded"]

INITIAL, EPOCH, STAGE = 0, 1, 2  # what a seed is for
JUDGE = {"source-val": "held_out", "target-val": "validation", "oracle": "test"}


@dataclass
class Run:
    """One training, from its first epoch or from where it was killed.

    Args:
        method: owns each step.
        learner: the network and its optimiser.
        settings: of the training.
        judges: evaluation loaders by role: "test", "validation", "held_out", and those that are
            only watched by their names.
        folder: keeps the state; None keeps nothing.
        writer: TensorBoard's, or None.

    Attributes:
        history: one record an epoch.
        best: the best epoch by the selection rule so far, its score and its weights; empty for
            "last".
    """

    method: Method
    learner: Learner
    settings: Settings
    judges: Mapping[str, Loader]
    folder: RunFolder | None = None
    writer: Any = None
    history: list[dict[str, Any]] = field(default_factory=list)
    best: dict[str, Any] = field(default_factory=dict)

    def train(self) -> None:
        """Trains the epochs that are left.

        Raises:
            GendataError: the weights are no longer finite.
        """
        self._restore()
        stages = epoch_stages(self.method.stages, self.settings.epochs)
        done = len(self.history)
        bar = tqdm(
            range(done, len(stages)),
            desc="epochs",
            initial=done,
            total=len(stages),
            disable=None if self.learner.show_progress else True,
        )
        for epoch in bar:
            if epoch == 0 or stages[epoch] is not stages[epoch - 1]:
                self._begin_stage(stages[epoch])
            record = self._epoch(epoch, stages)
            self.history.append(record)
            self._consider(record)
            bar.set_postfix(loss=record.get("loss"), accuracy=record.get("accuracy"))
            if self.folder is not None:
                self.folder.save(self._state(), self.history)
            if self.writer is not None:
                for name in record.keys() - {"epoch", "sources"}:
                    self.writer.add_scalar(name, record[name], epoch + 1)

    def judge(self, role: str) -> Accuracy:
        """Returns the network's accuracy on the set of one role."""
        images = self.judges[role].images
        scores = logits(self.learner.bare, self.judges[role], self.learner.accelerator)
        return accuracy_of(scores, images.labels, images.classes)

    def _begin_stage(self, stage: Stage) -> None:
        if hasattr(self.method, "begin_stage"):
            number = next(n for n, each in enumerate(self.method.stages) if each is stage)
            with seeded(self.learner.device, self.settings.seed, STAGE, number):
                self.method.begin_stage(number)

    def _epoch(self, epoch: int, stages: Sequence[Stage]) -> dict[str, Any]:
        began = time.perf_counter()
        learner, stage = self.learner, stages[epoch]
        updates = total_updates(self.settings, learner.loaders)
        one_pass = learner.loaders[stage.sources[0]].steps
        start, end = span = span_of(epoch, len(stages), updates, one_pass)
        steps = end - start
        first, count = epochs_of(stage, stages)
        sums: dict[str, Tensor] = {}
        learner.network.train()
        with seeded(learner.device, self.settings.seed, EPOCH, epoch, learner.rank):
            for step, batch in enumerate(batches(learner.loaders, stage, span)):
                part = step / steps
                if updates is not None:  # its epochs may differ by one update in length
                    part = (start + step) * len(stages) / updates - epoch
                progress = (epoch + part) / len(stages)
                within = (epoch - first + part) / count
                learner.set_learning_rate(learning_rate_at(self.settings, within, steps * count))
                for name, value in self.method.step(batch, progress).items():
                    kept = torch.as_tensor(value, device=learner.device).detach()
                    sums[name] = sums[name] + kept if name in sums else kept
        record: dict[str, Any] = {"epoch": epoch + 1, "sources": "+".join(stage.sources)}
        record |= {name: float(learner.average(total) / steps) for name, total in sums.items()}
        _check_finite(learner, epoch)
        for role in self._watched():
            record |= self._watch(role)
        return record | {"seconds": round(time.perf_counter() - began, 3)}

    def _watch(self, role: str) -> dict[str, float]:
        """Accuracy, its mean over classes and mean cross-entropy on one role's set, to record."""
        images = self.judges[role].images
        scores = logits(self.learner.bare, self.judges[role], self.learner.accelerator).double()
        labels = torch.from_numpy(images.labels).to(scores.device)
        found = accuracy_of(scores, images.labels, images.classes)
        return {
            f"{role}_accuracy": found.value,
            f"{role}_mean": found.mean,
            f"{role}_loss": float(functional.cross_entropy(scores, labels)),
        }

    def _watched(self) -> list[str]:
        """Sets judged after every epoch: the test set only where the rule looks at it."""
        return [r for r in self.judges if r != "test" or JUDGE.get(self.settings.select) == r]

    def _consider(self, record: Mapping[str, Any]) -> None:
        role = JUDGE.get(self.settings.select)
        if role is None:
            return
        score = record[f"{role}_accuracy"]
        if not self.best or score > self.best["score"]:
            weights = self.learner.bare.state_dict()
            self.best = {
                "epoch": record["epoch"],
                "score": score,
                "network": {name: value.detach().cpu().clone() for name, value in weights.items()},
            }

    def _state(self) -> dict[str, Any]:
        scaler = self.learner.accelerator.scaler
        return {
            "network": self.learner.bare.state_dict(),
            "added": self.learner.added.state_dict(),
            "optimizer": self.learner.optimizer.state_dict(),
            "scaler": scaler.state_dict() if scaler is not None else {},
            "method": self.method.state_dict() if hasattr(self.method, "state_dict") else {},
            "history": self.history,
            "best": self.best,
        }

    def _restore(self) -> None:
        state = self.folder.state() if self.folder is not None else None
        if state is None:
            return
        self.learner.bare.load_state_dict(state["network"])
        self.learner.added.load_state_dict(state["added"])
        self.learner.optimizer.load_state_dict(state["optimizer"])
        if self.learner.accelerator.scaler is not None:
            self.learner.accelerator.scaler.load_state_dict(state["scaler"])
        if hasattr(self.method, "load_state_dict"):
            self.method.load_state_dict(state["method"])
        self.history, self.best = state["history"], state["best"]


@contextmanager
def seeded(device: torch.device, *parts: int) -> Iterator[None]:
    """Seeds torch's global generators (initial weights, dropout), and puts them back after."""
    devices = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(hash_seed(*parts))
        yield


def _check_finite(learner: Learner, epoch: int) -> None:
    if not all(bool(p.isfinite().all()) for p in learner.bare.parameters()):
        raise GendataError(
            f"the weights are no longer finite after epoch {epoch + 1}",
            do="lower learning_rate or the method's weights, or set clip",
        )
