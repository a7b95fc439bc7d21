"""Wide residual networks for CIFAR (Zagoruyko and Komodakis 2016, "Wide Residual Networks").

Modules carry the names of the commonly published checkpoints, so that those load as they are.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

__all__ = ["WideResNet"]


class Block(nn.Module):
    """Pre-activation block; where the width changes, the shortcut starts after the first ReLU."""

    def __init__(self, before: int, after: int, stride: int, dropout: float) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(before)
        self.conv1 = nn.Conv2d(before, after, 3, stride=stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(after)
        self.conv2 = nn.Conv2d(after, after, 3, padding=1, bias=False)
        self.convShortcut = (
            None if before == after else nn.Conv2d(before, after, 1, stride=stride, bias=False)
        )
        self.dropout = dropout

    def forward(self, x: Tensor) -> Tensor:
        """Maps (B, before, H, W) to (B, after, H / stride, W / stride)."""
        activated = functional.relu(self.bn1(x), inplace=True)
        y = functional.relu(self.bn2(self.conv1(activated)), inplace=True)
        y = self.conv2(functional.dropout(y, self.dropout, self.training))
        return y + (x if self.convShortcut is None else self.convShortcut(activated))


class Group(nn.Module):
    """Blocks of one width; the first changes width and stride."""

    def __init__(self, before: int, after: int, blocks: int, stride: int, dropout: float) -> None:
        super().__init__()
        first = Block(before, after, stride, dropout)
        rest = [Block(after, after, 1, dropout) for _ in range(blocks - 1)]
        self.layer = nn.Sequential(first, *rest)

    def forward(self, x: Tensor) -> Tensor:
        """Runs the blocks in order."""
        return self.layer(x)


class WideResNet(nn.Module):
    """WRN-depth-width; features (B, 64 * width).

    Args:
        classes: number of classes.
        depth: 6n + 4 layers.
        width: how many times wider than a CIFAR ResNet.
        dropout: between the two convolutions of a block.
    """

    def __init__(
        self, classes: int, depth: int = 28, width: int = 10, dropout: float = 0.3
    ) -> None:
        super().__init__()
        blocks, rest = divmod(depth - 4, 6)
        if rest or blocks < 1:
            raise ValueError(f"the depth of a wide ResNet is 6n + 4, not {depth}")
        self.conv1 = nn.Conv2d(3, 16, 3, padding=1, bias=False)
        self.block1 = Group(16, 16 * width, blocks, 1, dropout)
        self.block2 = Group(16 * width, 32 * width, blocks, 2, dropout)
        self.block3 = Group(32 * width, 64 * width, blocks, 2, dropout)
        self.bn1 = nn.BatchNorm2d(64 * width)
        self.fc = nn.Linear(64 * width, classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        """Returns logits (B, K) for images (B, 3, H, W), normalised."""
        x = self.block3(self.block2(self.block1(self.conv1(x))))
        x = functional.relu(self.bn1(x), inplace=True)
        return self.fc(x.mean(dim=(2, 3)))

    def get_classifier(self) -> nn.Module:
        """Returns the last layer, as timm's networks do."""
        return self.fc
