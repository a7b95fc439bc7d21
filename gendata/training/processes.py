"""Starting accelerate, which owns device, precision and processes."""

from __future__ import annotations

import atexit
import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState

from gendata.errors import GendataError
from gendata.models.device import resolve_device

__all__ = ["start_accelerator"]


def start_accelerator(device: str | torch.device, precision: str) -> Accelerator:
    """Starts accelerate for one training, whatever an earlier one in this process asked for.

    Raises:
        GendataError: the device is not there, or cannot compute in that precision.
    """
    launched = int(os.environ.get("LOCAL_RANK", -1)) >= 0
    chosen = resolve_device(device)
    if precision == "fp16" and chosen.type == "cpu":
        raise GendataError(
            "fp16 needs an accelerator", found="cpu", do="use precision='bf16' or 'no'"
        )
    AcceleratorState._reset_state(reset_partial_state=True)
    if launched:
        atexit.register(_leave_the_others)
    with _default_device(None if launched else chosen):
        return Accelerator(cpu=chosen.type == "cpu", mixed_precision=precision)


def _leave_the_others() -> None:
    """Ends the process group in order; its threads abort a process that just stops."""
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


@contextmanager
def _default_device(device: torch.device | None) -> Iterator[None]:
    """Tells accelerate which device to take; None leaves each process its own."""
    name = "ACCELERATE_TORCH_DEVICE"
    before = os.environ.get(name)
    if device is not None:
        os.environ[name] = str(device)
    try:
        yield
    finally:
        if before is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = before
