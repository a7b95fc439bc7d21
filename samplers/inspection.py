"""What a checkpoint is, told from its names and shapes alone: nothing in it is built or run."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor

from gendata.errors import GendataError
from gendata.models.weights import digest_of
from gendata.samplers.families import describe_network, whole
from gendata.samplers.pipeline import read_json
from gendata.samplers.records import Record, brief
from gendata.samplers.restricted_pickle import Reading, named_tensors, read_with_notes

__all__ = ["Inspection", "inspect_checkpoint"]

# Which of several networks is drawn from: the averaged one, before the one in training.
PREFERRED = ("G_ema", "ema", "G")
LSGM_PARTS = {"args", "vae_state_dict", "dae_state_dict"}
CONTAINERS = ("state_dict", "model_state_dict", "model", "net", "params_ema", "ema")
BIGGAN_WEIGHTS = ("model.safetensors", "pytorch_model.safetensors", "pytorch_model.bin")
MOST_HEADER = 100_000_000  # bytes, as safetensors itself has it
SHOWN_NAMES = 50


@dataclass(frozen=True)
class Inspection:
    """What is known of a checkpoint.

    Attributes:
        path: where it lies.
        container: how it is stored: "pickle", "safetensors", "torchscript", "diffusers folder", …
        family: "stylegan2", "stylegan3-t", "stylegan-xl superres", "edm", "state dict", …
        reference: what `gendata sample` takes, or None where nothing can draw from it.
        network: which of the networks the numbers are of, or None.
        networks: classes of all networks in the file, by name.
        classes: number of classes; 0: unconditional; None: unknown.
        resolution: side of the images, in pixels.
        channels: of the images.
        latent: size of the latent vector, where there is one.
        parameters: numbers that were trained.
        sha256: digest of the file, or of a folder's weights.
        sources: how many objects carry the source text of their class, which is never run.
        inert: names of classes and functions that the file refers to, none of them imported.
        details: what else the family has to tell.
    """

    path: str
    container: str
    family: str
    reference: str | None
    sha256: str
    network: str | None = None
    networks: dict[str, str] = field(default_factory=dict)
    classes: int | None = None
    resolution: int | None = None
    channels: int | None = None
    latent: int | None = None
    parameters: int | None = None
    sources: int = 0
    inert: list[str] = field(default_factory=list)
    details: dict[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Returns it as JSON has it."""
        return asdict(self)


def inspect_checkpoint(path: str | Path) -> Inspection:
    """Tells what a checkpoint is: a file, or a folder of diffusers.

    Raises:
        GendataError: it is missing, damaged, not safe, or holds no weights.
    """
    path = Path(path)
    if path.is_dir():
        return _biggan(path) if _is_biggan(path) else _folder(path)
    if not path.is_file():
        raise GendataError("a checkpoint is missing", found=f"nothing at {brief(path)}")
    if _is_safetensors(path):
        return _safetensors(path)
    if path.suffix == ".onnx":
        raise GendataError(
            f"{path} is a graph, of which nothing is told here", do=f"draw from it as onnx:{path}"
        )
    reading = read_with_notes(path, programs=True, mapped=True)
    if reading.program:
        return _torchscript(path, reading)
    return _pickle(path, reading)


def _pickle(path: Path, reading: Reading) -> Inspection:
    value = reading.value
    networks = _networks(value)
    common: dict[str, Any] = {
        "path": str(path),
        "container": "pickle",
        "networks": {name: network.name for name, network in networks.items()},
        "sources": reading.sources,
        "inert": _inert(reading, networks),
    }
    if any(name.startswith("dnnlib.tflib") for name in reading.names):
        common["details"] = {"remedy": "convert it with legacy.py of the PyTorch release"}
        return Inspection(
            family="stylegan (TensorFlow)", reference=None, sha256=digest_of(path), **common
        )
    if not reading.tensors:
        raise GendataError(
            f"{path} holds no weights",
            found=", ".join(map(brief, sorted(reading.names)[:5])) or f"a {type(value).__name__}",
            expected="a checkpoint of a generator",
        )
    if isinstance(value, dict) and LSGM_PARTS <= value.keys():
        return Inspection(**common, **_lsgm(path, value), sha256=digest_of(path))
    chosen = _chosen(networks)
    if chosen is None:
        return Inspection(**common, **_state_dict(value), sha256=digest_of(path))
    network = networks[chosen]
    note = describe_network(network)
    kind = note.pop("kind")
    note["details"] |= _precision(network)
    return Inspection(
        **common,
        **note,
        reference=kind and f"{kind}:{path}",
        network=chosen,
        parameters=_count(_parameters(network)),
        sha256=digest_of(path),
    )


def _networks(value: Any) -> dict[str, Record]:
    """Torch modules by their place in the file."""
    members = value if isinstance(value, dict) else {"network": value}
    return {
        brief(name): member
        for name, member in list(members.items())[:1000]
        if isinstance(member, Record) and isinstance(member.state.get("_modules"), dict)
    }


def _chosen(networks: dict[str, Record]) -> str | None:
    drawn = [name for name, each in networks.items() if describe_network(each)["kind"]]
    return next((name for name in (*PREFERRED, *drawn, *networks) if name in networks), None)


def _parameters(network: Record) -> Iterator[Tensor]:
    """What is trained in a network; a part that stands in it twice counts once."""
    named_tensors(network)  # refuses what is nested without end
    waiting, seen = [network], {id(network)}
    while waiting:
        module = waiting.pop()
        for value in module.members("_parameters").values():
            if isinstance(value, Tensor) and id(value) not in seen:
                seen.add(id(value))
                yield value
        for part in module.modules().values():
            if id(part) not in seen:
                seen.add(id(part))
                waiting.append(part)


def _count(tensors: Iterator[Tensor]) -> int:
    return sum(tensor.numel() for tensor in tensors)


def _precision(network: Record) -> dict[str, Any]:
    kinds = {str(tensor.dtype).removeprefix("torch.") for tensor in _parameters(network)}
    return {"precision": ", ".join(sorted(kinds))} if kinds else {}


def _inert(reading: Reading, networks: dict[str, Record]) -> list[str]:
    """Names beside torch's own layers and the networks' classes."""
    own = {network.kind for network in networks.values()}
    names = [brief(name) for name in sorted(reading.left - own)]
    return [name for name in names if not name.startswith("torch.nn.")][:SHOWN_NAMES]


def _lsgm(path: Path, value: dict[Any, Any]) -> dict[str, Any]:
    arguments = value["args"].state if isinstance(value["args"], Record) else value["args"]
    arguments = arguments if isinstance(arguments, dict) else {}
    parts = [value[name] for name in ("vae_state_dict", "dae_state_dict")]
    tensors = [each for part in parts if isinstance(part, dict) for each in part.values()]
    grey = brief(arguments.get("dataset")) in ("mnist", "omniglot")
    return {
        "family": "lsgm",
        "reference": f"lsgm:{path}",
        "classes": 0,
        "channels": 1 if grey else 3,
        "parameters": _count(each for each in tensors if isinstance(each, Tensor)),
        "details": {
            name: arguments[name] if isinstance(arguments[name], int) else brief(arguments[name])
            for name in ("dataset", "sde_type", "num_channels_dae", "num_latent_scales")
            if isinstance(arguments.get(name), int | str)
        },
    }


def _state_dict(value: Any) -> dict[str, Any]:
    """Tensors by name, alone or inside a training checkpoint."""
    for name in CONTAINERS:
        if isinstance(value, dict) and isinstance(value.get(name), dict):
            value = value[name]
    tensors = {}
    if isinstance(value, dict):
        tensors = {name: each for name, each in value.items() if isinstance(each, Tensor)}
    if not tensors:
        return {"family": "unknown", "reference": None}
    return {
        "family": "state dict",
        "reference": None,
        "parameters": _count(iter(tensors.values())),
        "details": {"tensors": len(tensors), "first": brief(next(iter(tensors)))},
    }


def _is_safetensors(path: Path) -> bool:
    with path.open("rb") as file:
        start = file.read(9)
    return len(start) == 9 and start[8:] == b"{" and start[0] != 0x80


def _safetensors(path: Path) -> Inspection:
    shapes = _safetensors_shapes(path)
    return Inspection(
        path=str(path),
        container="safetensors",
        family="state dict",
        reference=None,
        parameters=sum(shapes.values()),
        sha256=digest_of(path),
        details={"tensors": len(shapes), "first": brief(min(shapes, default=""))},
    )


def _safetensors_shapes(path: Path) -> dict[str, int]:
    """Elements by name, out of the header alone."""
    from safetensors import SafetensorError, safe_open

    try:
        with path.open("rb") as file:
            (length,) = struct.unpack("<Q", file.read(8))
            if length > min(MOST_HEADER, path.stat().st_size):
                raise ValueError(f"a header of {length} bytes")
            json.loads(file.read(length))
        with safe_open(path, "pt") as weights:
            names = list(weights.keys())
            shapes = {name: weights.get_slice(name).get_shape() for name in names}
    except (SafetensorError, ValueError, OSError, struct.error, RecursionError) as error:
        raise GendataError(
            f"{path} is damaged, or no safetensors file", found=brief(error)
        ) from error
    sizes = {}
    for name, shape in shapes.items():
        sizes[name] = 1
        for side in shape:
            sizes[name] *= side
    return sizes


def _torchscript(path: Path, reading: Reading) -> Inspection:
    value = reading.value
    state = value.state if isinstance(value, Record) else {}
    return Inspection(
        path=str(path),
        container="torchscript",
        family="torchscript",
        reference=f"torchscript:{path}",
        network=brief(value.name) if isinstance(value, Record) else None,
        latent=whole(state.get("z_dim")),
        parameters=reading.elements,
        sha256=digest_of(path),
        details={"remark": "it carries a program of its own, which runs when it is drawn from"},
    )


def _is_biggan(folder: Path) -> bool:
    config = folder / "config.json"
    return config.is_file() and {"output_dim", "class_embed_dim"} <= read_json(config).keys()


def _biggan(folder: Path) -> Inspection:
    config = read_json(folder / "config.json")
    weights = next((folder / name for name in BIGGAN_WEIGHTS if (folder / name).is_file()), None)
    if weights is None:
        raise GendataError(f"{folder} has no weights", expected=" or ".join(BIGGAN_WEIGHTS))
    file = inspect_checkpoint(weights)
    return Inspection(
        path=str(folder),
        container=f"folder with {file.container} weights",
        family="biggan-deep",
        reference=f"biggan:{folder}",
        sha256=file.sha256,
        classes=whole(config.get("num_classes")),
        resolution=whole(config["output_dim"]),
        channels=3,
        latent=whole(config.get("z_dim")),
        parameters=file.parameters,
        inert=file.inert,
    )


def _folder(path: Path) -> Inspection:
    if not (path / "model_index.json").is_file():
        raise GendataError(
            f"{path} is no checkpoint",
            found="a folder without model_index.json",
            expected="a file, or a folder as diffusers writes it",
        )
    index = read_json(path / "model_index.json")
    network = next((part for part in ("unet", "transformer") if part in index), None)
    config = {}
    if network is not None and (path / network / "config.json").is_file():
        config = read_json(path / network / "config.json")
    weights = sorted(each for each in path.glob("*/*.safetensors") if each.is_file())
    drawn = [each for each in weights if each.parent.name == network]
    classes = config.get("num_class_embeds", config.get("num_embeds_ada_norm", 0))
    return Inspection(
        path=str(path),
        container="diffusers folder",
        family=f"diffusers {brief(index.get('_class_name', 'pipeline'))}",
        reference=f"diffusers:{path}",
        network=network,
        networks={
            brief(name): brief(part[1])
            for name, part in list(index.items())[:100]
            if isinstance(part, list) and len(part) == 2
        },
        classes=whole(classes),
        resolution=whole(config.get("sample_size")) if "vae" not in index else None,
        channels=whole(config.get("in_channels")) if "vae" not in index else None,
        parameters=sum(sum(_safetensors_shapes(each).values()) for each in drawn) or None,
        sha256=digest_of(*weights),
        details={"latent side": whole(config.get("sample_size"))} if "vae" in index else {},
    )
