"""Numpy's arrays and number types in a pickle: both are filled after they were made."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from gendata.samplers.pickle_machine import Unfinished
from gendata.samplers.records import Refused, brief

__all__ = ["NumpyArray", "NumpyType", "number_type"]

NUMPY_TYPES = {
    "f8": torch.float64,
    "f4": torch.float32,
    "f2": torch.float16,
    "i8": torch.int64,
    "i4": torch.int32,
    "i2": torch.int16,
    "i1": torch.int8,
    "u8": torch.uint64,
    "u4": torch.uint32,
    "u2": torch.uint16,
    "u1": torch.uint8,
    "b1": torch.bool,
}


class NumpyType(Unfinished):
    """numpy.dtype: a code such as "f4", and the byte order it is given afterwards."""

    def __init__(self, code: str, order: str = "=") -> None:
        super().__init__()
        self.code, self.order = code, order

    def finish(self, state: Any) -> NumpyType:
        """State: (version, order, subtype, names, fields, …), which plain numbers lack."""
        if not isinstance(state, tuple) or len(state) < 5 or not isinstance(state[1], str):
            raise Refused("a number type that is none")
        if any(part is not None for part in state[2:5]):
            raise Refused("an array of structures")
        return NumpyType(self.code, state[1])

    def torch_type(self) -> torch.dtype:
        """The same type of element in torch."""
        if self.code not in NUMPY_TYPES or self.order == ">":
            raise Refused(f"an array of type {brief(self.order + self.code)}")
        return NUMPY_TYPES[self.code]


class NumpyArray(Unfinished):
    """numpy.ndarray, whose content comes afterwards; it becomes a tensor."""

    def __init__(self, make: Callable[..., Tensor]) -> None:
        super().__init__()
        self._make = make

    def finish(self, state: Any) -> Tensor:
        """State: (version, shape, type, whether in Fortran's order, bytes)."""
        if not isinstance(state, tuple) or len(state) not in (4, 5):
            raise Refused("an array that is none")
        shape, kind, is_fortran, content = state[-4:]
        return self._make(content, kind, shape, bool(is_fortran))


def number_type(code: Any, *_: Any) -> NumpyType:
    """Makes a number type, as numpy.dtype is called in a pickle."""
    if not isinstance(code, str):
        raise Refused("a number type that is none")
    return NumpyType(code.lstrip("<|="))
