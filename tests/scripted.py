"""TorchScript files: a generator of three classes, each with its colour, and a judge of them."""

from pathlib import Path

import torch
from torch import Tensor, nn

from gendata.models.torchscript import quiet_torchscript


class Generator(nn.Module):
    """Tints noise by class; its latents are the 3 x side x side values of the noise."""

    def __init__(self, side: int):
        super().__init__()
        self.side = side

    def forward(self, z: Tensor, label: Tensor) -> Tensor:
        tint = nn.functional.one_hot(label, 3).to(z.dtype)[:, :, None, None] - 0.5
        return (0.6 * tint + 0.3 * z.view(-1, 3, self.side, self.side)).clamp(-1.0, 1.0)


class Judge(nn.Module):
    """Says which channel is brightest."""

    def forward(self, x: Tensor) -> Tensor:
        return 8.0 * x.mean(dim=(2, 3))


def write_scripts(folder: Path, *, side: int = 4, judge: nn.Module | None = None) -> Path:
    """Writes generator.pt and judge.pt, and returns the folder."""
    with quiet_torchscript():
        torch.jit.script(Generator(side)).save(str(folder / "generator.pt"))
        torch.jit.script(judge or Judge()).save(str(folder / "judge.pt"))
    return folder
