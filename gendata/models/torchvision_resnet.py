"""torchvision's ResNet-50: the network of timm's, but from torchvision's initial weights.

He et al. 2016, "Deep Residual Learning for Image Recognition" (https://arxiv.org/abs/1512.03385).
At ten classes it has 23,528,522 parameters.
"""

from __future__ import annotations

from torch import Tensor, nn

__all__ = ["TorchvisionResNet"]


class TorchvisionResNet(nn.Module):
    """ResNet-50 as torchvision builds it; features (B, 2048).

    Args:
        classes: number of classes.
    """

    def __init__(self, classes: int) -> None:
        super().__init__()
        from torchvision.models import resnet50

        self.network = resnet50(num_classes=classes)

    def forward(self, x: Tensor) -> Tensor:
        """Returns logits (B, K) for images (B, 3, H, W), normalised."""
        return self.network(x)

    def get_classifier(self) -> nn.Module:
        """Returns the last layer, as timm's networks do."""
        return self.network.fc
