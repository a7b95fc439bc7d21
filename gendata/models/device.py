"""Which device to run on."""

from __future__ import annotations

import os

import torch

from gendata.errors import GendataError

__all__ = ["resolve_device"]


def resolve_device(name: str | torch.device = "auto") -> torch.device:
    """Turns "auto" or a device's name into a device that is there.

    Args:
        name: "auto" (an accelerator if there is one, under a launcher this rank's own, else the
            CPU), "cpu", "cuda", "cuda:1", …

    Raises:
        GendataError: no such device on this machine.
    """
    if isinstance(name, torch.device):
        return name
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise GendataError(
            f"device '{name}' cannot be used",
            found=(str(error).splitlines() or ["no such device"])[0].rstrip("."),
            expected="auto, cpu, or an accelerator of this machine such as cuda or cuda:1",
        ) from error
    return device
