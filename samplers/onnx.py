"""Generators as ONNX files: inputs z and, where there are classes, a label; images in [-1, 1]."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from gendata.errors import GendataError
from gendata.models.device import resolve_device
from gendata.models.weights import digest_of
from gendata.registry import samplers
from gendata.samplers.labels import LARGEST_LATENT, class_names
from gendata.samplers.records import brief, printable
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
ERRORS_ONLY = 3  # what ONNX Runtime writes to stderr
EXTERNAL = 1  # TensorProto.EXTERNAL: the data lie in a file beside the graph
SOURCE = re.compile(r"\S*onnxruntime_src\S+ .*?\)(?: const)? (?=[A-Z])")
PREFIX = re.compile(r"^\[ONNXRuntimeError\] : \d+ : (\w+) : (Load model from .* failed:)?\s*")


class OnnxModule(nn.Module):
    """A session of ONNX Runtime as a module of z, and of labels where it has a second input.

    Args:
        session: the session.
        z: its input for latents.
        label: its input for labels, or None.
        classes: how many classes there are: the width of a one-hot label.
        z_shape: shape of one latent.
        output: name of its output for images.
    """

    def __init__(
        self,
        session: Any,
        z: Any,
        label: Any,
        classes: int | None,
        z_shape: list[int],
        output: str,
    ) -> None:
        super().__init__()
        self.session, self.z, self.label, self.classes = session, z, label, classes
        self.z_shape, self.output = z_shape, output
        # A file exported with a fixed batch size is fed in pieces of that size.
        sizes = [part.shape[0] for part in (z, label) if part is not None]
        self.piece = next((size for size in sizes if isinstance(size, int)), None)

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
            return np.asarray(self.session.run([self.output], full)[0])[:count]
        except Exception as error:  # the runtime's errors have no common class
            raise RuntimeError(_said(error)) from error

    def _encoded(self, labels: Tensor) -> np.ndarray:
        """Labels as the input wants them: one-hot, or numbers."""
        wanted = TYPES[self.label.type]
        if _is_one_hot(self.label):
            return functional.one_hot(labels, self.classes or -1).numpy().astype(wanted)
        return labels.reshape(-1, *[1] * (len(self.label.shape) - 1)).numpy().astype(wanted)


@samplers.register("onnx")
def load_onnx(
    path: str | Path,
    *,
    device: str | torch.device = "auto",
    z_dim: int | None = None,
    classes: int | Sequence[str] | None = None,
    output: str | None = None,
) -> LatentSampler:
    """Loads an ONNX generator; ONNX Runtime must be installed.

    Weights may lie in files of their own, in the graph's folder or below it.

    Args:
        path: the file.
        device: "auto", "cpu", "cuda", …; an accelerator needs onnxruntime-gpu.
        z_dim: latent size; None: what the file's first input says.
        classes: names or number of the classes; None: as many as a one-hot input is wide.
        output: name of the output for images; None: the first of four dimensions.
    """
    path = Path(path)
    parts = _external_files(path)
    session = _open(path, resolve_device(device))
    z, label = _inputs(session, path)
    images = _output(session, output, path)
    shape, names = _latent_shape(z, z_dim, path), _names(label, class_names(classes), path)
    module = OnnxModule(session, z, label, None if names is None else len(names), shape, images)
    settings = {"z_dim": int(np.prod(shape)), "classes": names, "output": images}
    card = Card(path.name, str(path), sha256=_digest(path, parts), settings=settings)
    # Latents and images cross over in main memory; the runtime moves what it needs.
    cpu = torch.device("cpu")
    return LatentSampler(module, settings["z_dim"], names, f"onnx:{path}", card, cpu)


def _latent_shape(z: Any, z_dim: int | None, path: str | Path) -> list[int]:
    shape = list(z.shape[1:])
    is_size = isinstance(z_dim, int) and z_dim is not True and 1 <= z_dim <= LARGEST_LATENT
    if z_dim is not None and not is_size:
        raise GendataError("bad option z_dim", found=repr(z_dim), expected=f"1…{LARGEST_LATENT:,}")
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
    width = label.shape[-1] if _is_one_hot(label) and isinstance(label.shape[-1], int) else None
    if names is None and width is None:
        raise GendataError(
            f"the number of classes of {path} is unknown", do="give the option classes"
        )
    if names is not None and width not in (None, len(names)):
        raise GendataError(
            f"the option classes does not fit {path}", found=f"{len(names)}", expected=width
        )
    return names or class_names(width)


def _is_one_hot(label: Any) -> bool:
    """Says whether labels are rows of as many numbers as there are classes."""
    is_row = len(label.shape) == 2 and isinstance(label.shape[1], int) and label.shape[1] > 1
    return is_row or np.issubdtype(TYPES[label.type], np.floating)


def _open(path: Path, device: torch.device) -> Any:
    runtime = _imported("onnxruntime")
    providers = ["CPUExecutionProvider"]
    if device.type == "cuda" and "CUDAExecutionProvider" in runtime.get_available_providers():
        providers.insert(0, "CUDAExecutionProvider")
    options = runtime.SessionOptions()
    options.log_severity_level = ERRORS_ONLY
    options.intra_op_num_threads = torch.get_num_threads()
    try:
        return runtime.InferenceSession(str(path), options, providers=providers)
    except Exception as error:  # the runtime's errors have no common class
        raise GendataError(f"{path} cannot be used as ONNX", found=_said(error)) from error


def _imported(package: str) -> Any:
    import importlib

    try:
        return importlib.import_module(package)
    except ImportError as error:
        raise GendataError(
            "ONNX files need the packages onnx and onnxruntime",
            found=f"no {package}",
            do="pip install 'gendata[onnx]' (and onnxruntime-gpu for an accelerator)",
        ) from error


def _said(error: Exception) -> str:
    """What the runtime has to say, without the path that is named already and its own source."""
    text = SOURCE.sub("", PREFIX.sub(r"\1: ", " ".join(str(error).split())))
    return printable(text[:300])


def _external_files(path: Path) -> list[Path]:
    """Lists the files that a graph's weights lie in.

    Raises:
        GendataError: the graph is missing or none, or such a file is missing or lies elsewhere
            than in the graph's folder.
    """
    onnx = _imported("onnx")
    if not path.is_file():
        raise GendataError("an ONNX file is missing", found=f"nothing at {path}")
    try:
        model = onnx.load(str(path), format="protobuf", load_external_data=False)
    except Exception as error:  # of protobuf, which has several implementations
        raise GendataError(f"{path} cannot be read as ONNX", found=_said(error)) from error
    nodes = [node for function in model.functions for node in function.node]
    tensors = [*_tensors_of_graph(model.graph), *_tensors_of_nodes(nodes)]
    locations = {
        entry.value
        for tensor in tensors
        if tensor.data_location == EXTERNAL
        for entry in tensor.external_data
        if entry.key == "location"
    }
    return [_beside(path, location) for location in sorted(locations)]


def _tensors_of_graph(graph: Any) -> Iterator[Any]:
    yield from graph.initializer
    for sparse in graph.sparse_initializer:
        yield from (sparse.values, sparse.indices)
    yield from _tensors_of_nodes(graph.node)


def _tensors_of_nodes(nodes: Any) -> Iterator[Any]:
    for attribute in (each for node in nodes for each in node.attribute):
        yield from (attribute.t, *attribute.tensors)
        for sparse in (attribute.sparse_tensor, *attribute.sparse_tensors):
            yield from (sparse.values, sparse.indices)
        for graph in ([attribute.g] if attribute.HasField("g") else []) + [*attribute.graphs]:
            yield from _tensors_of_graph(graph)


def _beside(path: Path, location: str) -> Path:
    """Returns a file of weights, which must lie where the graph does."""
    parts = {*PurePosixPath(location).parts, *PureWindowsPath(location).parts}
    is_inside = not Path(location).is_absolute() and not PureWindowsPath(location).anchor
    file = path.parent / location
    # A download's cache keeps graph and weights as links into one other folder.
    homes = [path.parent.resolve(), path.resolve().parent]
    is_inside &= ".." not in parts and any(file.resolve().is_relative_to(home) for home in homes)
    if not is_inside:
        raise GendataError(
            f"{path} is not safe to read",
            found=f"weights in '{brief(location)}', outside its folder",
            expected="weights beside the graph",
        )
    if not file.is_file():
        raise GendataError(
            f"a file of weights of {path} is missing", found=f"nothing at {brief(file)}"
        )
    return file


def _digest(path: Path, parts: list[Path]) -> str:
    """Digest of the graph, and of its weights where they lie in files of their own."""
    if not parts:
        return digest_of(path)
    digests = "".join(digest_of(part) for part in (path, *parts))
    return hashlib.sha256(digests.encode()).hexdigest()


def _output(session: Any, name: str | None, path: Path) -> str:
    """Finds the output for images: as asked, or the first of four dimensions."""
    outputs = {part.name: part for part in session.get_outputs()}
    shaped = [each for each, part in outputs.items() if len(part.shape) == 4]
    chosen = name if name is not None else (shaped or [*outputs])[0]
    if chosen not in outputs:
        raise GendataError(
            f"{path} has no output {brief(chosen)}", expected=brief(", ".join(outputs))
        )
    kind = outputs[chosen].type
    if kind not in TYPES or not np.issubdtype(TYPES[kind], np.floating):
        raise GendataError(
            f"the output {brief(chosen)} of {path} holds no images in [-1, 1]",
            found=kind,
            expected="floats",
            do="name another with the option output" if len(outputs) > 1 else None,
        )
    return chosen


def _inputs(session: Any, path: str | Path) -> tuple[Any, Any]:
    """Tells the latent input from the label's: by name, else the label is the second."""
    inputs = list(session.get_inputs())
    known = all(part.type in TYPES and len(part.shape) >= 1 for part in inputs)
    if len(inputs) not in (1, 2) or not known:
        raise GendataError(
            f"{path} takes other inputs than a generator",
            found=", ".join(f"{brief(part.name)} {part.type}" for part in inputs[:6]) or "none",
            expected="z, and a label where there are classes",
        )
    if len(inputs) == 2 and _seems_label(inputs[0]) and not _seems_label(inputs[1]):
        inputs.reverse()
    z, label = inputs[0], inputs[1] if len(inputs) == 2 else None
    if "int" in z.type:
        raise GendataError(
            f"{path} has no input for latents",
            found=f"{brief(z.name)} {z.type}",
            expected="floats",
        )
    return z, label


def _seems_label(part: Any) -> bool:
    return "int" in part.type or any(word in part.name.lower() for word in LABEL_WORDS)
