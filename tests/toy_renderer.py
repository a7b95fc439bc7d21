"""A renderer so fast that a test can study it: bright shapes of four classes on noise."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from gendata.registry import samplers
from gendata.seeds import hash_seed
from gendata.types import Card

CLASSES = ["aeroplane", "car", "horse", "truck"]
FACTORS = ("camera.azimuth", "material.kind", "background.kind", "light.radius")


class ToyRenderer:
    """Each class has a quadrant; "camera" moves the shape, "material" tints it.

    Every factor has random numbers of its own, so that fixing one leaves the others as they were.
    """

    def __init__(self, path: str, resolution: int, factors: dict[str, Any]) -> None:
        self.name, self.classes, self.resolution = f"toy-renderer:{path}", CLASSES, resolution
        self.factors = factors
        self.card = Card("toy renderer", settings={"resolution": resolution, **factors})

    def sample(self, labels: Tensor | None, seeds: Tensor) -> Tensor:
        """Draws uint8 (B, 3, R, R)."""
        assert labels is not None
        pairs = zip(labels.tolist(), seeds.tolist(), strict=True)
        return torch.stack([self._image(label, seed) for label, seed in pairs])

    def _image(self, label: int, seed: int) -> Tensor:
        side = self.resolution
        draws = {
            name: torch.Generator().manual_seed(hash_seed(seed, number))
            for number, name in enumerate(FACTORS)
        }
        if self.factors.get("background.kind") == "none":
            image = torch.zeros(3, side, side)
        else:
            image = 120 * torch.rand(3, side, side, generator=draws["background.kind"])
        shift = self.factors.get("camera.azimuth")
        if shift is None:
            shift = int(torch.randint(0, side // 4, (1,), generator=draws["camera.azimuth"]))
        tint = 0.5 + 0.5 * torch.rand(3, 1, 1, generator=draws["material.kind"])
        if self.factors.get("material.kind") == "red":
            tint = torch.tensor([1.0, 0.2, 0.2]).view(3, 1, 1)
        half = side // 2
        top, left = (label // 2) * half, (label % 2) * half
        image[:, top : top + half - 2, left + shift : left + shift + half // 2] = 255 * tint
        return image.to(torch.uint8)


@samplers.register("toy-renderer")
def toy_renderer(
    path: str,
    *,
    device: str = "cpu",
    resolution: int = 16,
    classes: Sequence[str] | None = None,
    **factors: Any,
) -> ToyRenderer:
    """Loads it; factors are those of FACTORS."""
    assert not factors.keys() - set(FACTORS), factors
    return ToyRenderer(path, resolution, factors)


PRESET = """
name = "Toys"
sampler = "toy-renderer:here"
per_class = 8
seeds = 2

[sampler_options]
resolution = 16

[tests]
per_class = 5
IID = {}
"IID w/o background" = { "background.kind" = "none" }

[settings]
network = "small-cnn"
iterations = 6
epochs = 2
batch_size = 16
optimizer = "sgd"
learning_rate = 0.05

[rendered]
networks = ["small-cnn"]
augment = ["none"]

[factors]
networks = ["small-cnn"]
augment = ["none"]

[[factors.rows]]
factor = "camera"
value = "location1"
options = { "camera.azimuth" = 0 }

[[factors.rows]]
factor = "material"
value = "red"
options = { "material.kind" = "red" }

[[factors.rows]]
factor = "background"
value = "none"
options = { "background.kind" = "none" }

[capacity]
networks = ["small-cnn", "small-mixer-s"]
augment = ["none"]

[quantity]
networks = ["small-cnn"]
augment = ["none"]
per_class = [4, 12]

[cost]
images_a_second = 10
bytes_an_image = 1000
iterations_a_second = { small-cnn = 2 }
"""
