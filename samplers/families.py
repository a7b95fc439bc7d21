"""Which family a recorded network is of, told by its parts: classes share their names."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from gendata.samplers.records import Record, brief

__all__ = ["describe_network", "whole"]

PRECONDITIONINGS = {"EDMPrecond": "EDM", "VPPrecond": "VP", "VEPrecond": "VE"}
PRECONDITIONINGS["iDDPMPrecond"] = "iDDPM"
LARGEST = 1 << 40
MOST_LITE_PARTS = 5  # of an up-sampling block; the full ones have a second convolution and noise


def whole(value: Any) -> int | None:
    """A count out of a file, or None where it is none."""
    is_count = isinstance(value, int) and not isinstance(value, bool)
    return value if is_count and 0 <= value < LARGEST else None


def describe_network(network: Record) -> dict[str, Any]:
    """Tells family, sizes and the kind of reference that draws from it, or None for that."""
    parts = network.modules()
    if network.name in PRECONDITIONINGS:
        return _edm(network)
    family, details = "", dict[str, Any]()
    if {"mapping", "synthesis"} <= parts.keys():
        family, details = _gan(network, parts["mapping"], parts["synthesis"])
    if not family:
        return {"kind": None, "family": f"unknown ({brief(network.name)})", "details": {}}
    return {
        "kind": "stylegan",
        "family": family,
        "classes": whole(network.get("c_dim")),
        "resolution": whole(network.get("img_resolution")),
        "channels": whole(network.get("img_channels")),
        "latent": whole(network.get("z_dim")),
        "details": details,
    }


def _gan(network: Record, mapping: Record, synthesis: Record) -> tuple[str, dict[str, Any]]:
    layers = synthesis.modules()
    is_projected = network.kind.startswith("pg_modules")
    if "init" in layers:
        conditional = {"conditional": "embed" in layers}
        return f"projected-gan fastgan{_lite(layers)}", conditional
    if "b4" in layers:
        family = "projected-gan stylegan2" if is_projected else "stylegan2"
        return family, _given(synthesis.modules()["b4"], "architecture")
    if "input" not in layers:
        return "", {}
    details = _given(synthesis, "num_layers")
    if network.name == "SuperresGenerator":
        return "stylegan-xl superres", {**details, **_given(network, "up_factor")}
    if "embed_proj" in mapping.modules() or _of_classes(mapping):
        return "stylegan-xl stem", details
    return f"stylegan3-{_configuration(layers)}", details


def _lite(layers: dict[str, Record]) -> str:
    blocks = [block for name, block in layers.items() if name.startswith("feat_")]
    return "-lite" if blocks and len(blocks[0].modules()) <= MOST_LITE_PARTS else ""


def _of_classes(mapping: Record) -> bool:
    embed = mapping.modules().get("embed")
    return embed is not None and embed.name == "Embedding"


def _configuration(layers: dict[str, Record]) -> str:
    """Configuration R has 1x1 convolutions, T has 3x3 ones."""
    first = next((layer for name, layer in layers.items() if name.startswith("L0_")), None)
    weight = None if first is None else first.get("weight")
    return "r" if isinstance(weight, Tensor) and weight.ndim and weight.shape[-1] == 1 else "t"


def _edm(network: Record) -> dict[str, Any]:
    model = network.modules().get("model")
    noise = None if model is None else model.modules().get("map_noise")
    name = "unknown" if model is None else brief(model.name)
    if model is not None and model.name == "DhariwalUNet":
        name = "ADM"
    elif model is not None and model.name == "SongUNet" and noise is not None:
        name = "NCSN++" if noise.name == "FourierEmbedding" else "DDPM++"
    return {
        "kind": "edm",
        "family": "edm",
        "classes": whole(network.get("label_dim")),
        "resolution": whole(network.get("img_resolution")),
        "channels": whole(network.get("img_channels")),
        "details": {"preconditioning": PRECONDITIONINGS[network.name], "network": name},
    }


def _given(record: Record, name: str) -> dict[str, Any]:
    """One attribute, where the file has it as a number or a word."""
    value = record.get(name)
    if isinstance(value, str):
        return {name: brief(value)}
    return {} if whole(value) is None else {name: value}
