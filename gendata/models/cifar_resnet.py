"""The residual networks for CIFAR of He et al. 2016.

"Deep Residual Learning for Image Recognition", section 4.2: 6n+2 layers, widths 16, 32 and 64,
identity shortcuts throughout (option A: subsampled, new channels zero).
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

__all__ = ["CifarResNet"]


class Block(nn.Module):
    """Two 3x3 convolutions around an identity shortcut."""

    def __init__(self, before: int, after: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(before, after, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(after)
        self.conv2 = nn.Conv2d(after, after, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(after)
        self.stride, self.new_channels = stride, after - before

    def forward(self, x: Tensor) -> Tensor:
        """Maps (B, before, H, W) to (B, after, H / stride, W / stride)."""
        y = functional.relu(self.bn1(self.conv1(x)), inplace=True)
        y = self.bn2(self.conv2(y))
        if self.new_channels:
            half = self.new_channels // 2
            x = functional.pad(
                x[:, :, :: self.stride, :: self.stride],
                (0, 0, 0, 0, half, self.new_channels - half),
            )
        return functional.relu(y + x, inplace=True)


class CifarResNet(nn.Module):
    """A residual network of 20, 32, 44, 56, … layers; features (B, 64).

    Args:
        depth: 6n + 2 layers.
        classes: number of classes.
    """

    def __init__(self, depth: int, classes: int) -> None:
        super().__init__()
        blocks, rest = divmod(depth - 2, 6)
        if rest or blocks < 1:
            raise ValueError(f"the depth of a CIFAR ResNet is 6n + 2, not {depth}")
        self.conv1 = nn.Conv2d(3, 16, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        self.layer1 = _group(16, 16, blocks, stride=1)
        self.layer2 = _group(16, 32, blocks, stride=2)
        self.layer3 = _group(32, 64, blocks, stride=2)
        self.linear = nn.Linear(64, classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight)

    def forward(self, x: Tensor) -> Tensor:
        """Returns logits (B, K) for images (B, 3, H, W), normalised."""
        x = functional.relu(self.bn1(self.conv1(x)), inplace=True)
        x = self.layer3(self.layer2(self.layer1(x)))
        return self.linear(x.mean(dim=(2, 3)))

    def get_classifier(self) -> nn.Module:
        """Returns the last layer, as timm's networks do."""
        return self.linear


def _group(before: int, after: int, blocks: int, stride: int) -> nn.Sequential:
    rest = [Block(after, after, stride=1) for _ in range(blocks - 1)]
    return nn.Sequential(Block(before, after, stride), *rest)
