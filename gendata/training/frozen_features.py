"""A frozen network's features of the training images, computed once where that is possible."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from tqdm import tqdm

from gendata.models.teacher import Teacher
from gendata.training.learner import Learner
from gendata.types import Examples

__all__ = ["FrozenFeatures"]

BLOCK = 128  # rows a pass


class FrozenFeatures:
    """The features of a teacher for the batches of a learner.

    Where every image has a few fixed views, the features of all of them are computed before the
    first step, and a step only looks them up; otherwise the teacher sees every batch. Computed in
    row order rather than as the batches come, so that a resumed run has the same bits.

    Args:
        teacher: the frozen network.
        learner: whose loaders, device and processes are used.
        head: a frozen layer of the teacher's that its features pass, such as its classifier.
    """

    def __init__(self, teacher: Teacher, learner: Learner, head: nn.Linear | None = None) -> None:
        self.teacher, self.learner, self.head = teacher, learner, head
        self._kept: dict[str, Tensor] = {}  # (V, N, D) by source

    def __call__(self, source: str, examples: Examples) -> Tensor:
        """Returns features (B, D), float32, of a batch of one source."""
        if self.learner.loaders[source].views == 0:
            return self._see(examples.images)
        if source not in self._kept:
            self._kept[source] = self._all_views(source)
        return self._kept[source][examples.views, examples.rows]

    @torch.no_grad()
    def _see(self, images: Tensor) -> Tensor:
        features = self.teacher.features(images)
        return features if self.head is None else self.head(features)

    @torch.no_grad()
    def _all_views(self, source: str) -> Tensor:
        loader, accelerator = self.learner.loaders[source], self.learner.accelerator
        rows = len(loader.images)
        width = self.teacher.feature_dim if self.head is None else self.head.out_features
        kept = torch.zeros(loader.views, rows, width, device=self.learner.device)
        places = [(view, start) for view in range(loader.views) for start in range(0, rows, BLOCK)]
        own = places[accelerator.process_index :: accelerator.num_processes]
        bar = tqdm(
            own,
            desc=f"teacher on {source}",
            delay=2,
            leave=False,
            disable=None if self.learner.show_progress else True,
        )
        for view, start in bar:
            block = np.arange(start, min(start + BLOCK, rows))
            kept[view, block] = self._see(loader.fixed(block, view).images)
        # Each process filled its blocks and left zeros in the others.
        return accelerator.reduce(kept, "sum") if accelerator.num_processes > 1 else kept
