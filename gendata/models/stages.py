"""The maps that a network makes on its way, stage by stage."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn

from gendata.errors import GendataError
from gendata.models.backbones import own_stages
from gendata.models.network import Network

__all__ = ["missing_stages", "recorded_maps", "stage_names"]


def stage_names(network: Network) -> list[str]:
    """Names the submodules that end a network's stages, from its input to its output.

    A stage is what keeps the maps' size, as timm lists them; its last block's output counts.

    Raises:
        GendataError: the network does not say.
    """
    names = list(own_stages(network.name))
    listed: Any = getattr(network.backbone, "feature_info", None) or ()
    if getattr(network.backbone, "output_fmt", "NCHW") == "NCHW":  # not so in Swin
        names += [each["module"] for each in listed if isinstance(each, dict)]
    if not names or missing_stages(network, names):
        raise GendataError(
            f"the stages of {network.name} are not known",
            do="name the submodules whose output they are, for example layer3 and layer4",
        )
    return names


def missing_stages(network: Network, names: Sequence[str]) -> list[str]:
    """Lists those of some submodules that a network does not have."""
    modules = dict(network.backbone.named_modules())
    return [name for name in names if not name or name not in modules]


@contextmanager
def recorded_maps(network: Network, names: Sequence[str]) -> Iterator[dict[str, Tensor]]:
    """Keeps the outputs (B, D, H, W) of named submodules in forward passes within the block.

    Read them after the pass: a later layer may still rectify one in place. Their graph is that of
    the pass.

    Raises:
        GendataError: there is no such submodule, or its output is no map.
    """
    missing = missing_stages(network, names)
    if missing:
        raise GendataError(
            f"{network.name} has no submodule '{missing[0]}'",
            do="name submodules whose output are maps, for example layer3 and layer4",
        )
    maps: dict[str, Tensor] = {}
    handles = []
    for name in names:

        def keep(_: nn.Module, __: tuple[Any, ...], output: Any, name: str = name) -> None:
            maps[name] = _checked(output, name, network.name)

        handles.append(network.backbone.get_submodule(name).register_forward_hook(keep))
    try:
        yield maps
    finally:
        for handle in handles:
            handle.remove()


def _checked(output: Any, name: str, network: str) -> Tensor:
    if isinstance(output, Tensor) and output.ndim == 4:
        return output
    shape = tuple(output.shape) if isinstance(output, Tensor) else type(output).__name__
    raise GendataError(
        f"'{name}' of {network} makes no maps", found=shape, expected="maps (B, D, H, W)"
    )
