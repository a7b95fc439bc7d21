"""`torch.compile` for the networks of samplers: one trial, fixed shapes, one clear error.

A compiled network adds and multiplies in another order, so images may differ in rounding.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import torch
from torch import Tensor

from gendata.errors import GendataError

__all__ = ["compile_network", "compile_setting"]


def compile_network(network: Callable[..., Tensor], wanted: object, device: torch.device) -> Any:
    """Returns the network, or what compiles it at its first call for the batch size of that call.

    Args:
        network: takes and returns tensors whose first axis is the batch.
        wanted: the sampler's option `compile`.
        device: where the network runs.

    Raises:
        GendataError: an option other than true or false, or the device's compiler does not work.
    """
    if not isinstance(wanted, bool):
        raise GendataError("bad option compile", found=repr(wanted), expected="true or false")
    if not wanted:
        return network
    fault = _fault(device.type)
    if fault:
        raise GendataError(
            f"torch.compile does not work on {device.type} here",
            found=fault,
            expected="a C++ compiler" if device.type == "cpu" else "triton and a C compiler",
            do="install it, or leave out the option compile",
        )
    return FixedBatches(torch.compile(network, dynamic=False))


def compile_setting(compile: bool) -> dict[str, bool]:
    """What a card says of it: nothing where a network is not compiled, as in older cards."""
    return {"compile": True} if compile else {}


class FixedBatches:
    """Calls a network with batches of one size: the first one's, or the largest so far.

    Another size would be compiled anew, which takes a minute. A smaller batch is filled up with
    its last row, and what comes of that is cut off.
    """

    def __init__(self, network: Callable[..., Tensor]) -> None:
        self.network, self.size = network, 0

    def __call__(self, first: Tensor, *others: Any, **named: Any) -> Tensor:
        """Maps a batch and what belongs to it, tensors or lists of them, to (B, …)."""
        count = len(first)
        self.size = max(self.size, count)

        def filled(value: Any) -> Any:
            if isinstance(value, list):
                return [filled(each) for each in value]
            if not isinstance(value, Tensor) or value.ndim == 0 or len(value) != count:
                return value
            return torch.cat([value, value[-1:].expand(self.size - count, *value.shape[1:])])

        if count == self.size or not count:
            return self.network(first, *others, **named)
        given = [filled(each) for each in (first, *others)]
        return self.network(*given, **{name: filled(each) for name, each in named.items()})[:count]


@cache
def _fault(device: str) -> str:
    """Compiles and runs a trifle; returns why that fails, or "" where it works."""
    try:
        with torch.inference_mode():
            torch.compile(_trifle)(torch.ones(3, device=device))
    except Exception as error:  # compilers and their drivers fail in any way
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        return (lines or [type(error).__name__])[0][:200]
    return ""


def _trifle(x: Tensor) -> Tensor:
    return torch.exp(x) + 1
