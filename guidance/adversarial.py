"""What the adversarial methods share: the ramp of their weight, a frozen opponent, two stages."""

from __future__ import annotations

import math
from collections.abc import Callable

from torch import Tensor, nn
from torch.func import functional_call

from gendata.errors import GendataError
from gendata.models.network import last_layer
from gendata.training.learner import Learner
from gendata.training.options import check_number
from gendata.types import Stage

__all__ = ["classifier_of", "frozen", "ramp", "two_stages"]

STEEPNESS = 10  # gamma of Ganin et al. 2016, section 5.2.2


def ramp(progress: float) -> float:
    """Weight of the adversarial part: 2 / (1 + exp(-10 p)) - 1, from 0 at p = 0 to nearly 1."""
    return 2 / (1 + math.exp(-STEEPNESS * progress)) - 1


def frozen(module: nn.Module) -> Callable[[Tensor], Tensor]:
    """Returns a module's function whose gradient reaches the input and none of the parameters.

    So the two players of a game take their gradients from one forward pass of the network: one
    sees the features without their graph, the other this function.
    """
    parameters = {name: each.detach() for name, each in module.named_parameters()}
    return lambda inputs: functional_call(module, parameters, (inputs,))


def classifier_of(learner: Learner, method: str) -> nn.Linear:
    """Returns the network's last layer.

    Raises:
        GendataError: there is none, or it is not linear.
    """
    layer = last_layer(learner.bare.backbone, learner.bare.name)
    if not isinstance(layer, nn.Linear):
        raise GendataError(
            f"{method} needs a network whose last layer is linear",
            found=f"{type(layer).__name__} in {learner.bare.name}",
            do="choose another network",
        )
    return layer


def two_stages(first_share: float) -> tuple[Stage, Stage]:
    """Cross-entropy on synthetic images for a share of the epochs, then both sources.

    Raises:
        GendataError: the share is not between 0 and 1.
    """
    check_number("first_share", first_share, 0, above=True)
    if first_share >= 1:
        raise GendataError("first_share is out of range", found=first_share, expected="below 1")
    return (
        Stage(first_share, ("synthetic",)),
        Stage(1 - first_share, ("synthetic", "real")),
    )
