"""What the adversarial methods share: the ramp of their weight, and a frozen opponent."""

from __future__ import annotations

import math
from collections.abc import Callable

from torch import Tensor, nn
from torch.func import functional_call

from gendata.errors import GendataError
from gendata.models.network import last_layer
from gendata.training.learner import Learner

__all__ = ["classifier_of", "frozen", "ramp"]

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
