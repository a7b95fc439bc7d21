"""Samplers of your own: python:MODULE:FUNCTION, run only with trust=true, for it is a program.

The function gets the options and returns a sampler (name, classes, resolution, card and
`sample(labels, seeds)`), or only a callable from labels and seeds to images. Either is tried once
and watched afterwards: every batch must be images of one size, as many as there are seeds.
"""

from __future__ import annotations

import importlib
import inspect
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from gendata.errors import GendataError
from gendata.models.weights import digest_of
from gendata.registry import samplers
from gendata.samplers.labels import check_labels, class_names
from gendata.samplers.pixels import to_uint8
from gendata.types import Card

__all__ = ["CheckedSampler", "load_python"]

Draw = Callable[[Tensor | None, Tensor], Tensor]


class CheckedSampler:
    """Somebody's sampler as a `gendata.types.Sampler`, each batch checked.

    Args:
        draw: labels (B,) or None and seeds (B,), both int64 on the CPU, to images (B, 3, H, H) in
            bytes, or (B, 1 or 3, H, H) in floats in [-1, 1].
        classes: class names, or None for an unconditional sampler.
        name: the reference it was loaded from.
        card: origin, digest and settings.
    """

    def __init__(self, draw: Draw, classes: list[str] | None, name: str, card: Card) -> None:
        self.draw, self.classes, self.name, self.card = draw, classes, name, card
        self.resolution = 0
        self.resolution = self._probe()

    @torch.inference_mode()
    def sample(self, labels: Tensor | None, seeds: Tensor) -> Tensor:
        """Draws uint8 (B, 3, H, W) for labels (B,) and seeds (B,)."""
        count = None if self.classes is None else len(self.classes)
        labels = check_labels(labels, seeds, count, torch.device("cpu"))
        images = self.draw(labels, seeds)
        side = self.resolution
        square = torch.is_tensor(images) and images.ndim == 4 and len(images) == len(seeds)
        if not square or images.shape[2] != images.shape[3] or side not in (0, images.shape[2]):
            raise GendataError(
                f"{self.name} returns other images than it should",
                found=tuple(images.shape) if torch.is_tensor(images) else type(images).__name__,
                expected=f"a tensor ({len(seeds)}, 3, {side or 'H'}, {side or 'H'})",
            )
        if images.is_floating_point():
            return to_uint8(images).cpu()
        if images.dtype != torch.uint8 or images.shape[1] != 3:
            raise GendataError(
                f"{self.name} returns images of a wrong kind",
                found=f"{images.dtype} with {images.shape[1]} channels",
                expected="uint8 (B, 3, H, H), or floats in [-1, 1]",
            )
        return images.cpu().contiguous()

    def _probe(self) -> int:
        """Finds the resolution, and makes sure that an image depends on its own input alone."""
        labels = None if self.classes is None else torch.zeros(2, dtype=torch.int64)
        images = self.sample(labels, torch.tensor([0, 1]))
        other = self.sample(labels, torch.tensor([0, 2]))
        # Floats may round otherwise when the batch changes: two levels, and few of them.
        far = (images[0].int() - other[0].int()).abs()
        if bool((far > 2).any()):
            raise GendataError(
                f"an image of {self.name} depends on more than its label and its seed",
                found="another image when the rest of the batch changed",
                do="draw each image's randomness from torch.Generator().manual_seed(its seed)",
            )
        return images.shape[2]


@samplers.register("python")
def load_python(
    path: str | Path,
    *,
    device: str | torch.device = "auto",
    trust: bool = False,
    classes: int | Sequence[str] | None = None,
    **options: Any,
) -> Any:
    """Loads a sampler that is a function of yours.

    Args:
        path: "MODULE:FUNCTION"; the module is found where Python finds it, and in the current
            folder.
        device: passed on where the function takes it.
        trust: must be true: the module's code is run.
        classes: passed on where the function takes it; the class names where it returns a mere
            callable that has none.
        **options: passed on.
    """
    if trust is not True:
        raise GendataError(
            f"python:{path} is a program, and is not run without your word",
            do="if you trust its code, give trust=True, or --trust on the command line",
        )
    function, file = _import(str(path))
    made = _make(function, path, {"device": str(device), "classes": classes}, options)
    name = f"python:{path}"
    if callable(getattr(made, "sample", None)):
        return _check_sampler(made, name)
    if not callable(made):
        raise GendataError(
            f"{name} returns no sampler",
            found=type(made).__name__,
            expected="an object with sample(labels, seeds), or a callable (labels, seeds)",
        )
    names = class_names(getattr(made, "classes", None) if classes is None else classes)
    card = Card(
        str(path),
        file or str(path),
        sha256=digest_of(file) if file else "",
        settings={**options, "classes": names},
    )
    return CheckedSampler(made, names, name, card)


def _import(path: str) -> tuple[Callable[..., Any], str | None]:
    """Imports the function; returns it with its module's file."""
    module_name, separator, function_name = path.partition(":")
    if not separator or not module_name or not function_name:
        raise GendataError(f"'{path}' names no function", expected="python:MODULE:FUNCTION")
    folder = str(Path.cwd())
    if folder not in sys.path:
        sys.path.append(folder)  # last, so that it hides nothing that is installed
    try:
        module = importlib.import_module(module_name)
    except Exception as error:  # it is somebody's program, and can fail in any way
        raise GendataError(
            f"the module {module_name} cannot be imported",
            found=f"{type(error).__name__}: {error}",
        ) from error
    function = getattr(module, function_name, None)
    if not callable(function):
        raise GendataError(
            f"the module {module_name} has no function {function_name}",
            found=None if function is None else type(function).__name__,
        )
    return function, getattr(module, "__file__", None)


def _make(
    function: Callable[..., Any],
    path: str | Path,
    offered: dict[str, Any],
    options: dict[str, Any],
) -> Any:
    """Calls the function with the options, and with what is offered where it takes that."""
    try:
        signature = inspect.signature(function)
    except ValueError:  # some builtins have none
        signature = inspect.Signature()
    taken = {key: value for key, value in offered.items() if key in signature.parameters}
    try:
        signature.bind(**taken, **options)
    except TypeError as error:
        raise GendataError(
            f"python:{path} does not take these options",
            found=str(error),
            expected=f"some of {', '.join(signature.parameters)}"
            if signature.parameters
            else "none",
        ) from error
    return function(**taken, **options)


def _check_sampler(made: Any, name: str) -> Any:
    """Checks a whole sampler's attributes, and watches its batches unless it is a finite set."""
    lacking = [
        part for part in ("name", "classes", "resolution", "card") if not hasattr(made, part)
    ]
    if lacking or not isinstance(made.card, Card):
        raise GendataError(
            f"{name} returns no whole sampler",
            found=f"no {', '.join(lacking)}" if lacking else f"card of {type(made.card).__name__}",
            expected="name, classes, resolution and a gendata.types.Card",
        )
    if hasattr(made, "labels"):  # a finite set: its seeds are rows, which cannot be made up
        return made
    classes = None if made.classes is None else [str(part) for part in made.classes]
    checked = CheckedSampler(made.sample, classes, name, made.card)
    if checked.resolution != made.resolution:
        raise GendataError(
            f"{name} names another resolution than it draws",
            found=f"{made.resolution}",
            expected=checked.resolution,
        )
    return checked
