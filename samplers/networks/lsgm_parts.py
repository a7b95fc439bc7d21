"""What both networks of LSGM need: the checkpoint's arguments, checked, and a strict fit.

Networks are first built without memory (on torch's meta device) from the arguments, and then take
over the file's tensors, so that no argument can ask for more memory than the file has bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from gendata.errors import GendataError

__all__ = ["Arguments", "build_empty", "fit", "shown", "tensor_shape"]

Network = TypeVar("Network", bound=nn.Module)
SHOWN = 3
LARGEST_NUMBER = 1e12
UNUSED = (".num_batches_tracked", ".weight_normalized")  # a counter, and a second name of weight


class Arguments:
    """The command line that a checkpoint was trained with, as attributes of a namespace.

    Args:
        values: its attributes by name; nothing is known of their types.
        path: the file, for messages.
    """

    def __init__(self, values: Mapping[str, Any], path: Path) -> None:
        self.values, self.path = values, path

    def whole(self, name: str, low: int, high: int) -> int:
        """Returns a whole number from low to high."""
        value = self._value(name, None)
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            raise self._refused(name, f"a whole number from {low} to {high}")
        return value

    def number(self, name: str, default: float | None = None) -> float:
        """Returns a finite number."""
        value = self._value(name, default)
        if not isinstance(value, int | float) or not abs(value) < LARGEST_NUMBER:
            raise self._refused(name, "a number")
        return float(value)

    def numbers(self, name: str, count: int, default: Sequence[int]) -> list[float]:
        """Returns a list of so many numbers between 0 and 64."""
        value = self._value(name, list(default))
        right = isinstance(value, list | tuple) and len(value) == count
        if not right or not all(isinstance(x, int | float) and 0 < x <= 64 for x in value):
            raise self._refused(name, f"{count} numbers")
        return list(value)

    def choice(self, name: str, choices: Sequence[str], default: str | None = None) -> str:
        """Returns one of some words."""
        value = self._value(name, default)
        if not isinstance(value, str) or value not in choices:
            raise self._refused(name, f"one of {', '.join(choices)}")
        return value

    def flag(self, name: str, default: bool | None = None) -> bool:
        """Returns a truth value."""
        value = self._value(name, default)
        if not isinstance(value, bool):
            raise self._refused(name, "True or False")
        return value

    def _value(self, name: str, default: Any) -> Any:
        return self.values.get(name, default)

    def _refused(self, name: str, expected: str) -> GendataError:
        found = shown(self.values[name]) if name in self.values else "none"
        return GendataError(
            f"the argument {name} of {self.path} does not fit LSGM", found=found, expected=expected
        )


def shown(value: Any) -> str:
    """A value of a file in few characters, without walking through what it may hold."""
    if isinstance(value, int) and abs(value) >= LARGEST_NUMBER:
        return "a very large number"
    plain = value is None or isinstance(value, bool | int | float | str)
    return repr(value[:60] if isinstance(value, str) else value) if plain else type(value).__name__


def tensor_shape(tensors: Mapping[str, Tensor], name: str, dimensions: int) -> tuple[int, ...]:
    """Returns the shape of a tensor that must be there."""
    if name not in tensors or tensors[name].ndim != dimensions:
        raise GendataError(
            "the checkpoint does not fit its own arguments",
            found=f"no tensor {name} of {dimensions} dimensions",
        )
    return tuple(tensors[name].shape)


def build_empty(build: Callable[[], Network], layers: int, tensors: int) -> Network:
    """Builds a network whose tensors have shapes but no memory.

    Args:
        build: makes it.
        layers: how many layers it will have at least, …
        tensors: … which must not be more than the file has tensors for.
    """
    if layers > tensors:
        raise GendataError(
            "the checkpoint does not fit its own arguments",
            found=f"{tensors} tensors",
            expected=f"those of {layers} layers or more",
        )
    try:
        with torch.device("meta"):
            return build()
    except (ValueError, ArithmeticError, RuntimeError, TypeError) as error:
        raise GendataError(
            "the checkpoint's arguments describe no network of LSGM",
            found=str(error).strip().split("\n")[0][:200],
        ) from error


def fit(module: nn.Module, tensors: Mapping[str, Tensor], what: str) -> None:
    """Gives an empty network copies of the tensors in float32; all names and shapes must agree."""
    wanted = module.state_dict()
    given = {name: value for name, value in tensors.items() if not name.endswith(UNUSED)}
    differences = {
        "missing": [name for name in wanted if name not in given],
        "unknown": [name for name in given if name not in wanted],
        "misshapen": [
            f"{name} {tuple(given[name].shape)} instead of {tuple(value.shape)}"
            for name, value in wanted.items()
            if name in given and given[name].shape != value.shape
        ],
    }
    parts = [
        f"{len(names)} {kind} ({', '.join(names[:SHOWN])}{', …' if len(names) > SHOWN else ''})"
        for kind, names in differences.items()
        if names
    ]
    if parts:
        raise GendataError(
            f"the checkpoint's {what} does not fit its own arguments", found="; ".join(parts)
        )
    # Copies, so that the file's bytes, mostly the optimiser's, can be freed.
    copies = {
        name: torch.empty_like(given[name], dtype=torch.float32).copy_(given[name])
        for name in wanted
    }
    module.load_state_dict(copies, assign=True)
    module.requires_grad_(False).eval()
