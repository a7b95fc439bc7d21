"""The options that the training recipes share: which images, where to, on what, how saved."""

from __future__ import annotations

import functools
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import torch

from gendata.assets.recipes.images import ASSETS, TrainingImages, training_images
from gendata.errors import GendataError
from gendata.models.device import resolve_device

__all__ = ["Run", "numbers_of", "opened", "shared_options"]

OPTIONS = [
    click.option("--seed", default=0, show_default=True),
    click.option("--threads", default=1, show_default=True, help="CPU threads."),
    click.option("--work", default="work", show_default=True, help="Folder of resumable state."),
    click.option("--out", help="Folder of the result; default: in this package."),
    click.option("--data", help="Images as gendata opens them; default: the embedded ones."),
    click.option("--size", type=click.IntRange(8), help="Side to resize --data to, pixels."),
    click.option("--data-licence", help="What the card says of the licence of --data."),
    click.option("--device", default="cpu", show_default=True, help="Such as cuda."),
    click.option("--minutes", type=click.FloatRange(0), help="Between two saves of the state."),
]


def shared_options(command: Callable[..., None]) -> Callable[..., None]:
    """Adds the options of every training recipe; a user's mistake ends in one line."""

    @functools.wraps(command)
    def guarded(**given: Any) -> None:
        try:
            command(**given)
        except GendataError as error:
            click.echo(f"Error: {error}", err=True)
            raise SystemExit(2) from error

    for option in reversed(OPTIONS):
        guarded = option(guarded)
    return guarded


@dataclass(frozen=True)
class Run:
    """What a training recipe was asked to do.

    Attributes:
        images: what it trains on.
        embedded: whether these are the embedded ones, for which the embedded networks are meant.
        out: folder of the result.
        work: folder of the resumable state and the sample pictures.
        device: where it trains.
        minutes: time between two saves; None: every 500 steps.
        settings: what decides the result.
        command: the line that makes it again.
    """

    images: TrainingImages
    embedded: bool
    out: Path
    work: Path
    device: torch.device
    minutes: float | None
    settings: Mapping[str, Any]
    command: str

    def saving(self) -> dict[str, Any]:
        """How `resumable_steps` saves this run."""
        return {"minutes": self.minutes, "settings": self.settings, "device": self.device}

    def subject(self) -> str:
        """What a model of one's own images is a model of, for the title of its card."""
        return f"{self.settings['data']} at {self.images.side}x{self.images.side}"

    def described(self, script: str) -> dict[str, Any]:
        """What the card says of the origin, in the card's order."""
        licence = "Apache-2.0" if self.embedded else "not stated; see training_data"
        return {
            "origin": "trained in this repository" if self.embedded else "trained by its user",
            "licence": licence,
            "training_data": self.images.described,
            "script": script,
            "command": self.command,
            "settings": dict(self.settings),
            "figures": {},
        }


def opened(script: str, asset: str, settings: Mapping[str, Any], given: dict[str, Any]) -> Run:
    """Opens the images, makes the folders, and seeds the random numbers.

    Args:
        script: the recipe's module.
        asset: the embedded asset that the recipe makes.
        settings: the recipe's own options, in the order of the command.
        given: the values of the shared options.

    Raises:
        GendataError: images of one's own and no folder for the result, or they cannot be used.
    """
    embedded = given["data"] is None
    if not embedded and given["out"] is None:
        raise GendataError(
            "images of your own need a folder for the result", do="name a new one by --out"
        )
    torch.set_num_threads(given["threads"])
    torch.manual_seed(given["seed"])
    own = {key: given[key] for key in ("data", "size") if given[key] is not None}
    settings = {**own, **settings, "seed": given["seed"]}
    words = [_words(name, value) for name, value in settings.items()]
    run = Run(
        images=training_images(given["data"], given["size"], given["data_licence"]),
        embedded=embedded,
        out=Path(given["out"] or ASSETS / asset),
        work=Path(given["work"]),
        device=resolve_device(given["device"]),
        minutes=given["minutes"],
        settings=settings,
        command=" ".join([f"python -m {script}", *words]),
    )
    run.out.mkdir(parents=True, exist_ok=True)
    run.work.mkdir(parents=True, exist_ok=True)
    return run


def _words(name: str, value: Any) -> str:
    option = f"--{name.replace('_', '-')}"
    return option if value is True else f"{option} {shlex.quote(str(value))}"


def numbers_of(text: str) -> tuple[int, ...]:
    """Reads whole numbers separated by commas.

    Raises:
        GendataError: there is something else.
    """
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError as error:
        raise GendataError(
            "bad channels", found=text, expected="whole numbers, such as 32,64,128,128"
        ) from error
