"""Tiny generators and classifiers, the same in every process: their weights come from a seed."""

import json
import os
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from torch import Tensor, nn

from gendata.clone import ConfidenceFilter, draw_clone
from gendata.errors import UnusableImages
from gendata.seeds import image_noise
from gendata.types import Card

SIDE = 12
NAMES = ("ant", "bee", "cat")


def seeded(build, seed):
    """Builds a network with weights of its own, whatever was drawn before."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return build().eval()


def generator(classes: int) -> nn.Module:
    return nn.Sequential(
        nn.Linear(8 + classes, 16 * 36),
        nn.Unflatten(1, (16, 6, 6)),
        nn.ReLU(),
        nn.Upsample(scale_factor=2),
        nn.Conv2d(16, 3, 3, padding=1),
    )


class TinySampler:
    """A conditional generator, or an unconditional one for names=None."""

    def __init__(
        self,
        names: Sequence[str] | None = NAMES,
        seed: int = 5,
        spoil: int = 0,
        pause: float = 0.0,
    ) -> None:
        self.name, self.classes, self.resolution = "tiny:generator", names, SIDE
        self.card = Card("tiny", licence="MIT", sha256="ab" * 32, settings={"weights": seed})
        self.spoil, self.pause, self.calls, self.sizes = spoil, pause, 0, set()
        self.network = seeded(lambda: generator(len(names or ())), seed)

    def sample(self, labels: Tensor | None, seeds: Tensor) -> Tensor:
        self.calls += 1
        time.sleep(self.pause)
        self.sizes.add(len(seeds))
        noise = image_noise(seeds, (8,))
        tint = torch.zeros(3)
        if self.classes is not None:
            tint = nn.functional.one_hot(labels % 3, 3)[:, :, None, None] * 0.3
            noise = torch.cat([noise, nn.functional.one_hot(labels, len(self.classes))], 1)
        else:
            tint = noise[:, :3, None, None] * 0.8
        images = ((torch.tanh(self.network(noise) + tint) + 1) * 127.5).round().to(torch.uint8)
        if self.spoil and bool((bad := seeds % self.spoil == 0).any()):
            raise UnusableImages("nan", images * ~bad[:, None, None, None], bad)
        return images


class TinyClassifier:
    """Tells classes by their tint, disturbed by a random network: often right, often sure."""

    def __init__(self, classes: int = len(NAMES), sharpness: float = 10.0, seed: int = 9) -> None:
        self.name, self.classes = "tiny:classifier", None
        self.card = Card("tiny judge", licence="MIT", settings={"sharpness": sharpness})
        self.network = seeded(
            lambda: nn.Sequential(
                nn.Conv2d(3, 8, 3, 2), nn.ReLU(), nn.Flatten(), nn.Linear(200, classes)
            ),
            seed,
        )
        self.sharpness, self.outputs = sharpness, classes

    @torch.no_grad()
    def probabilities(self, images: Tensor) -> Tensor:
        values = images.float() / 127.5 - 1
        tint = nn.functional.pad(values.mean((2, 3)), (0, self.outputs - 3))
        return ((0.3 * self.network(values) + tint) * self.sharpness).softmax(1)


class TinySet(TinySampler):
    """A finite set: 40 images of each class, in mixed order."""

    def __init__(self, each: int = 40) -> None:
        super().__init__()
        self.name = "tiny:set"
        self.labels = np.arange(each * len(NAMES)) * 7 % len(NAMES)

    def sample(self, labels: Tensor | None, seeds: Tensor) -> Tensor:
        assert labels is None
        return super().sample(torch.from_numpy(self.labels)[seeds], seeds)


KINDS = {
    "conditional": lambda pause=0.0: TinySampler(spoil=11, pause=pause),
    "unconditional": lambda pause=0.0: TinySampler(None, spoil=11, pause=pause),
}


def draw_tiny(out, kind: str = "conditional", pause: float = 0.0, rank=None, **settings):
    """Draws 150 images of 3 classes, with a filter, nothing left to chance.

    Args:
        out: the clone's folder.
        kind: of KINDS.
        pause: seconds that every batch takes longer, for processes that are to be killed.
        rank: (rank, world size) of this process.
        settings: for `draw_clone`.
    """
    torch.set_num_threads(1)
    if rank is not None:
        os.environ["RANK"], os.environ["WORLD_SIZE"] = map(str, rank)
    defaults = {
        "per_class": 50,
        "filter": ConfidenceFilter(TinyClassifier(), 0.6),
        "seed": 3,
        "batch_size": 8,
        "shard_size": 20,
        "progress": False,
    }
    return draw_clone(KINDS[kind](pause), out=out, **(defaults | settings))


def draw_tiny_quietly(*arguments, **settings) -> None:
    """`draw_tiny` as the target of a process."""
    draw_tiny(*arguments, **settings)


def read_clone_table(folder) -> pa.Table:
    """Reads all rows, in order, without their footers' notes."""
    tables = [pq.read_table(path) for path in sorted(Path(folder).glob("shard-*.parquet"))]
    return pa.concat_tables([table.replace_schema_metadata() for table in tables])


def read_rejects(folder) -> dict:
    return json.loads((Path(folder) / "rejects.json").read_text())
