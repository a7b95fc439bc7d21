"""Generators as ONNX files: inputs z and, where there are classes, a label; images in [-1, 1]."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from gendata.errors import GendataError
from gendata.models.device import resolve_device
from gendata.models.weights import digest_of
from gendata.registry import samplers
from gendata.samplers.labels import class_names
from gendata.samplers.torchscript import LatentSampler
from gendata.types import Card

__all__ = ["OnnxModule", "load_onnx"]

TYPES = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(double)": np.float64,
    "tensor(int64)": np.int64,
    "tensor(int32)": np.int32,
}
LABEL_WORDS = ("label", "class", "cond")


class OnnxModule(nn.Module):
    """A session of ONNX Runtime as a module of z, and of labels where it has a second input.

    Args:
        session: the session.
        z: its input for latents.
        label: its input for labels, or None.
        classes: how many classes there are: the width of a one-hot label.
        z_shape: shape of one latent.
    """

    def __init__(
        self, session: Any, z: Any, label: Any, classes: int | None, z_shape: list[int]
    ) -> None:
        super().__init__()
        self.session, self.z, self.label, self.classes = session, z, label, classes
        self.z_shape = z_shape
        # A file exported with a fixed batch size is fed in pieces of that size.
        self.piece = z.shape[0] if isinstance(z.shape[0], int) else None

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """Returns images (B, C, H, W) for z (B, z_dim) and labels (B,) int64."""
        feeds = {self.z.name: z.reshape(-1, *self.z_shape).numpy().astype(TYPES[self.z.type])}
        if self.label is not None and labels is not None:
            feeds[self.label.name] = self._encoded(labels)
        size = self.piece or len(z)
        pieces = [
            self._run({name: value[first : first + size] for name, value in feeds.items()}, size)
            for first in range(0, len(z), size)
        ]
        return torch.from_numpy(np.concatenate(pieces)).float()

    def _run(self, feeds: dict[str, np.ndarray], size: int) -> np.ndarray:
        """Runs a piece, filled up to its size with copies of its last row."""
        count = len(feeds[self.z.name])
        full = {
            name: value[[*range(count)] + [-1] * (size - count)] for name, value in feeds.items()
        }
        try:
            return np.asarray(self.session.run(None, full)[0])[:count]
        except Exception as error:  # the runtime's errors have no common class
            raise RuntimeError(str(error)) from error

    def _encoded(self, labels: Tensor) -> np.ndarray:
        """Labels as the input's type wants them: one-hot in floats, else numbers."""
        wanted = TYPES[self.label.type]
        if np.issubdtype(wanted, np.floating):
            return functional.one_hot(labels, self.classes or -1).numpy().astype(wanted)
        return labels.reshape(-1, *[1] * (len(self.label.shape) - 1)).numpy().astype(wanted)


@samplers.register("onnx")
def load_onnx(
    path: str | Path,
    *,
    device: str | torch.device = "auto",
    z_dim: int | None = None,
    classes: int | Sequence[str] | None = None,
) -> LatentSampler:
    """Loads an ONNX generator; ONNX Runtime must be installed.

    Args:
        path: the file.
        device: "auto", "cpu", "cuda", …; an accelerator needs onnxruntime-gpu.
        z_dim: latent size; None: what the file's first input says.
        classes: names or number of the classes; None: as many as a one-hot input is wide.
    """
    session = _open(Path(path), resolve_device(device))
    z, label = _inputs(session, path)
    shape, names = _latent_shape(z, z_dim, path), _names(label, class_names(classes), path)
    module = OnnxModule(session, z, label, None if names is None else len(names), shape)
    settings = {"z_dim": int(np.prod(shape)), "classes": names}
    card = Card(Path(path).name, str(path), sha256=digest_of(path), settings=settings)
    # Latents and images cross over in main memory; the runtime moves what it needs.
    cpu = torch.device("cpu")
    return LatentSampler(module, settings["z_dim"], names, f"onnx:{path}", card, cpu)


def _latent_shape(z: Any, z_dim: int | None, path: str | Path) -> list[int]:
    shape = list(z.shape[1:])
    if z_dim is not None and (not isinstance(z_dim, int) or z_dim < 1):
        raise GendataError("bad option z_dim", found=repr(z_dim), expected="at least 1")
    if len(shape) == 1 and z_dim is not None:
        shape = [z_dim]
    if not shape or not all(isinstance(size, int) and size > 0 for size in shape):
        raise GendataError(
            f"the latent size of {path} is unknown", found=z.shape, do="give the option z_dim"
        )
    return shape


def _names(label: Any, names: list[str] | None, path: str | Path) -> list[str] | None:
    """Counts the classes by a one-hot input's width, where they are not named."""
    if label is None:
        if names is not None:
            raise GendataError(
                f"{path} takes no labels", found="the option classes", expected="none"
            )
        return None
    is_one_hot = np.issubdtype(TYPES[label.type], np.floating)
    width = label.shape[-1] if is_one_hot and isinstance(label.shape[-1], int) else None
    if names is None and width is None:
        raise GendataError(
            f"the number of classes of {path} is unknown", do="give the option classes"
        )
    if names is not None and width not in (None, len(names)):
        raise GendataError(
            f"the option classes does not fit {path}", found=f"{len(names)}", expected=width
        )
    return names or class_names(width)


def _open(path: Path, device: torch.device) -> Any:
    if not path.is_file():
        raise GendataError("an ONNX file is missing", found=f"nothing at {path}")
    try:
        import onnxruntime
    except ImportError as error:
        raise GendataError(
            "ONNX files need ONNX Runtime", do="pip install onnxruntime (or onnxruntime-gpu)"
        ) from error
    providers = ["CPUExecutionProvider"]
    if device.type == "cuda" and "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        providers.insert(0, "CUDAExecutionProvider")
    try:
        return onnxruntime.InferenceSession(str(path), providers=providers)
    except Exception as error:  # the runtime's errors have no common class
        raise GendataError(
            f"{path} cannot be read as ONNX",
            found=(str(error).strip().splitlines() or [type(error).__name__])[0][:200],
        ) from error


def _inputs(session: Any, path: str | Path) -> tuple[Any, Any]:
    """Tells the latent input from the label's: by name, else the label is the second."""
    inputs = list(session.get_inputs())
    known = all(part.type in TYPES and len(part.shape) >= 1 for part in inputs)
    if len(inputs) not in (1, 2) or not known:
        raise GendataError(
            f"{path} takes other inputs than a generator",
            found=", ".join(f"{part.name} {part.type}" for part in inputs)[:200] or "none",
            expected="z, and a label where there are classes",
        )
    if len(inputs) == 2 and any(word in inputs[0].name.lower() for word in LABEL_WORDS):
        inputs.reverse()
    z, label = inputs[0], inputs[1] if len(inputs) == 2 else None
    if "int" in z.type:
        raise GendataError(
            f"{path} has no input for latents", found=f"{z.name} {z.type}", expected="floats"
        )
    return z, label
