"""`gendata inspect`: what a checkpoint is."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from gendata.cli.options import echo_result, json_option

if TYPE_CHECKING:
    from gendata.samplers.inspection import Inspection

__all__ = ["command"]


@click.command("inspect")
@click.argument("file", type=click.Path(path_type=Path))
@json_option
def command(file: Path, as_json: bool) -> None:
    """Tell what a checkpoint is, without running anything in it.

    FILE is a pickle (.pkl, .pt), a safetensors or TorchScript file, or a folder of diffusers.

    \b
    Examples:
      gendata inspect stylegan2-ada-cifar10.pkl
      gendata inspect edm-cifar10-32x32-cond-vp.pkl --json
    """
    from gendata.samplers.inspection import inspect_checkpoint

    found = inspect_checkpoint(file)
    echo_result(found.to_json(), _text(found), as_json)


def _text(found: Inspection) -> str:
    classes = {0: "none (unconditional)", None: None}.get(found.classes, found.classes)
    networks = ", ".join(f"{name} ({kind})" for name, kind in found.networks.items())
    rows = {
        "family": found.family,
        "stored as": found.container,
        "networks": networks or found.network,
        "described": found.network if len(found.networks) > 1 else None,
        "classes": classes,
        "resolution": found.resolution,
        "channels": found.channels,
        "latent size": found.latent,
        "parameters": None if found.parameters is None else f"{found.parameters:,}",
        **found.details,
        "source text": f"in {found.sources} objects, never run" if found.sources else "none",
        "left inert": ", ".join(found.inert) or "nothing",
        "sha256": found.sha256,
        "use it as": found.reference or "nothing here draws from it",
    }
    lines = [f"  {name:<15} {value}" for name, value in rows.items() if value is not None]
    return "\n".join([found.path, *lines])
