"""Taking a network's parts from the records of a checkpoint, with every value checked.

Networks that are built this way hold the file's own tensors, so no attribute of a hostile file
can make them larger than the file.
"""

from __future__ import annotations

from torch import Tensor, nn

from gendata.errors import GendataError
from gendata.samplers.records import Record, brief

__all__ = ["check_size", "child", "flag", "maybe_child", "number", "parameter", "whole"]

MOST_MODULES = 20_000
HUGE = 1 << 64


def child(record: Record, name: str) -> Record:
    """Returns a sub-module, which must be there."""
    found = record.modules().get(name)
    if found is None:
        raise GendataError(f"the checkpoint's {brief(record.name)} lacks the module '{name}'")
    return found


def maybe_child(record: Record, name: str) -> Record | None:
    """Returns a sub-module where there is one."""
    return record.modules().get(name)


def parameter(record: Record, name: str, dimensions: int) -> nn.Parameter:
    """Returns a parameter or buffer as one that needs no gradient; it shares the file's bytes."""
    value = record.get(name)
    if not isinstance(value, Tensor) or value.ndim != dimensions or not value.is_floating_point():
        raise GendataError(
            f"the checkpoint's {brief(record.name)} has no usable '{name}'",
            found=f"{value.dtype} {tuple(value.shape)}" if isinstance(value, Tensor) else "none",
            expected=f"a float tensor of {dimensions} dimensions",
        )
    if 0 in value.shape:
        raise GendataError(f"the checkpoint's {brief(record.name)} has an empty '{name}'")
    return nn.Parameter(value, requires_grad=False)


def number(record: Record, name: str, *, least: float, most: float) -> float:
    """Returns a numeric attribute between two bounds."""
    value = record.get(name)
    good = isinstance(value, int | float) and not isinstance(value, bool)
    good = good and not (isinstance(value, int) and abs(value) >= HUGE)
    if not good or not least <= value <= most:
        raise GendataError(
            f"the checkpoint's {brief(record.name)} has a bad '{name}'",
            found=_shown(value),
            expected=f"a number from {least:g} to {most:g}",
        )
    return float(value)


def whole(record: Record, name: str, *, least: int, most: int) -> int:
    """Returns an integral attribute between two bounds."""
    value = number(record, name, least=least, most=most)
    if value != int(value):
        raise GendataError(
            f"the checkpoint's {brief(record.name)} has a bad '{name}'", found=value
        )
    return int(value)


def flag(record: Record, name: str, default: bool | None = None) -> bool:
    """Returns a truth value; one without a default must be there."""
    value = record.get(name, default)
    if not isinstance(value, bool | int):
        raise GendataError(
            f"the checkpoint's {brief(record.name)} has a bad '{name}'",
            found=_shown(value),
            expected="True or False",
        )
    return bool(value)


def _shown(value: object) -> str:
    # Python does not write out integers of many thousand digits.
    is_huge = isinstance(value, int) and abs(value) >= HUGE
    return "a huge number" if is_huge else brief(value)


def check_size(network: Record, most_bytes: int) -> None:
    """Refuses modules that share tensors or each other so often that copies would not fit.

    Args:
        network: the recorded network.
        most_bytes: what its tensors may take in all: the size of its file.
    """
    waiting, modules, found = [network], 0, 0
    while waiting:
        record, modules = waiting.pop(), modules + 1
        for place in ("_parameters", "_buffers"):
            members = record.state.get(place)
            for value in members.values() if isinstance(members, dict) else ():
                found += value.numel() * value.element_size() if isinstance(value, Tensor) else 0
        if found > most_bytes or modules > MOST_MODULES:
            raise GendataError(
                "the checkpoint's network is larger than its file",
                found=f"at least {modules:,} modules and {found:,} bytes of tensors",
                expected=f"at most {MOST_MODULES:,} and {most_bytes:,}",
            )
        waiting.extend(record.modules().values())
