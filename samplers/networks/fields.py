"""Taking tensors, numbers and sub-modules out of a record, or saying in one line what is amiss.

Whatever stands in a file may be wrong or hostile: nothing here allocates more than the tensor
that is read, and every number comes back within the bounds that the caller gave.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from gendata.errors import GendataError
from gendata.samplers.records import Record, brief

__all__ = ["misfit", "module_of", "number_of", "tensor_of", "whole_of"]

LARGEST_IMAGE = 4096  # pixels a side; the largest published generator has 1,024


def misfit(
    record: Record, what: str, found: object = None, expected: object = None
) -> GendataError:
    """Returns the error of a file whose modules are not those of the family."""
    return GendataError(
        f"the file's {brief(record.name)} does not fit: {what}",
        found=None if found is None else brief(found),
        expected=expected,
    )


def module_of(record: Record, name: str) -> Record:
    """Returns a sub-module."""
    module = record.modules().get(name)
    if module is None:
        raise misfit(record, f"no module '{name}'", f"only {', '.join(record.modules())}")
    return module


def tensor_of(record: Record, name: str, *shape: int | None) -> Tensor:
    """Returns a parameter or buffer as float32, its shape checked; None stands for any size.

    It may share the file's bytes: copy it before writing into it.
    """
    value = record.get(name)
    if not isinstance(value, Tensor) or not value.is_floating_point():
        raise misfit(record, f"no tensor '{name}'", type(value).__name__)
    fits = value.ndim == len(shape) and all(
        side > 0 and side == (wanted or side)
        for side, wanted in zip(value.shape, shape, strict=True)
    )
    if not fits:
        sides = ", ".join("any" if side is None else str(side) for side in shape)
        raise misfit(record, f"the shape of '{name}'", tuple(value.shape), f"({sides})")
    return value.detach().to(torch.float32)


def number_of(record: Record, name: str, default: float | None = None) -> float | None:
    """Returns a finite number; None where the file says None, the default where it is silent."""
    value = record.get(name, default)
    if value is None:
        return None
    if isinstance(value, Tensor) and value.numel() == 1:
        value = value.item()
    if isinstance(value, bool) or not isinstance(value, int | float) or abs(value) > 1e30:
        raise misfit(record, f"bad '{name}'", value, "a number")
    if not math.isfinite(value):
        raise misfit(record, f"bad '{name}'", value, "a finite number")
    return float(value)


def whole_of(record: Record, name: str, least: int, most: int, default: int | None = None) -> int:
    """Returns a whole number between two bounds."""
    value = number_of(record, name, default)
    if value is None or value != int(value) or not least <= value <= most:
        raise misfit(record, f"bad '{name}'", value, f"a whole number, {least}…{most}")
    return int(value)
