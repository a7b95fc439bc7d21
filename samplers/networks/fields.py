"""Taking tensors, numbers and sub-modules out of a record, or saying in one line what is amiss.

Whatever stands in a file may be wrong or hostile: nothing here allocates more than the tensor
that is read, and every number comes back within the bounds that the caller gave. Networks that
are built this way hold the file's own tensors, so no attribute can make them larger than the file.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from gendata.errors import GendataError
from gendata.samplers.records import Record, brief

__all__ = [
    "check_size",
    "flag_of",
    "misfit",
    "module_of",
    "number_between",
    "number_of",
    "parameter_of",
    "part_of",
    "tensor_of",
    "whole_of",
]

LARGEST_IMAGE = 4096  # pixels a side; the largest published generator has 1,024
MOST_MODULES = 20_000
HUGE = 1e30  # a number beyond it is none that a network has


def misfit(
    record: Record, what: str, found: object = None, expected: object = None
) -> GendataError:
    """Returns the error of a file whose modules are not those of the family."""
    return GendataError(
        f"the file's {brief(record.name)} does not fit: {what}",
        found=None if found is None else _shown(found),
        expected=expected,
    )


def part_of(record: Record, name: str) -> Record | None:
    """Returns a sub-module where there is one."""
    return record.modules().get(name)


def module_of(record: Record, name: str) -> Record:
    """Returns a sub-module, which must be there."""
    module = part_of(record, name)
    if module is None:
        raise misfit(record, f"no module '{name}'", f"only {', '.join(record.modules())}")
    return module


def tensor_of(record: Record, name: str, *shape: int | None) -> Tensor:
    """Returns a parameter or buffer as float32, its shape checked; None stands for any size.

    It may share the file's bytes: copy it before writing into it.
    """
    return _checked(record, name, shape).detach().to(torch.float32)


def parameter_of(record: Record, name: str, dimensions: int) -> nn.Parameter:
    """Returns a parameter or buffer of any size, and in the file's own precision, to compute with.

    It needs no gradient, and shares the file's bytes.
    """
    return nn.Parameter(_checked(record, name, (None,) * dimensions), requires_grad=False)


def _checked(record: Record, name: str, shape: tuple[int | None, ...]) -> Tensor:
    value = record.get(name)
    if not isinstance(value, Tensor) or not value.is_floating_point():
        kind = value.dtype if isinstance(value, Tensor) else type(value).__name__
        raise misfit(record, f"no tensor '{name}'", str(kind))
    fits = value.ndim == len(shape) and all(
        side > 0 and side == (wanted or side)
        for side, wanted in zip(value.shape, shape, strict=True)
    )
    if not fits:
        sides = ", ".join("any" if side is None else str(side) for side in shape)
        raise misfit(record, f"the shape of '{name}'", str(tuple(value.shape)), f"({sides})")
    return value


def number_of(record: Record, name: str, default: float | None = None) -> float | None:
    """Returns a finite number; None where the file says None, the default where it is silent."""
    if record.get(name, default) is None:
        return None
    return number_between(record, name, -HUGE, HUGE, default)


def number_between(
    record: Record, name: str, least: float, most: float, default: float | None = None
) -> float:
    """Returns a number between two bounds, which may be infinite."""
    value = record.get(name, default)
    if isinstance(value, Tensor) and value.numel() == 1:
        value = value.item()
    good = isinstance(value, int | float) and not isinstance(value, bool)
    if not good or _is_endless(value) or not least <= value <= most:
        bounds = "a finite number" if most == HUGE else f"a number from {least:g} to {most:g}"
        raise misfit(record, f"bad '{name}'", value, bounds)
    return float(value)


def whole_of(record: Record, name: str, least: int, most: int, default: int | None = None) -> int:
    """Returns a whole number between two bounds."""
    value = number_between(record, name, least, most, default)
    if value != int(value):
        raise misfit(record, f"bad '{name}'", value, f"a whole number, {least}…{most}")
    return int(value)


def flag_of(record: Record, name: str, default: bool | None = None) -> bool:
    """Returns a truth value; one without a default must be there."""
    value = record.get(name, default)
    if not isinstance(value, bool | int):
        raise misfit(record, f"bad '{name}'", value, "True or False")
    return bool(value)


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
            tensors = [each for each in record.members(place).values() if torch.is_tensor(each)]
            found += sum(each.numel() * each.element_size() for each in tensors)
        if found > most_bytes or modules > MOST_MODULES:
            raise GendataError(
                "the checkpoint's network is larger than its file",
                found=f"at least {modules:,} modules and {found:,} bytes of tensors",
                expected=f"at most {MOST_MODULES:,} and {most_bytes:,}",
            )
        waiting.extend(record.modules().values())


def _is_endless(value: int | float) -> bool:
    """Says of an integer whether it has more digits than Python writes out or floats hold."""
    return isinstance(value, int) and abs(value) > HUGE


def _shown(value: object) -> str:
    return "a huge number" if isinstance(value, int) and _is_endless(value) else brief(value)
