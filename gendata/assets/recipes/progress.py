"""Steps of a long training that may be killed: saved on the way, continued where they stopped."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm

from gendata.errors import GendataError
from gendata.files import publish
from gendata.settings_difference import settings_difference

__all__ = ["mean_of", "resumable_steps"]


def resumable_steps(
    steps: int,
    path: Path,
    parts: dict[str, Any],
    report: Callable[[], str],
    every: int = 500,
    *,
    minutes: float | None = None,
    settings: Mapping[str, Any] | None = None,
    device: torch.device | None = None,
    at_save: Callable[[int], None] | None = None,
) -> Iterator[int]:
    """Yields the step numbers still to do; saves `parts` and the random state as it goes.

    Args:
        steps: how many steps the whole training takes.
        path: the file that holds the state between kills.
        parts: what to save by name: anything with `state_dict` and `load_state_dict`.
        report: a few words for the progress bar.
        every: steps between two saves.
        minutes: time between two saves instead.
        settings: what decides the result; a state of other settings is not continued.
        device: where the parts are; None: the CPU.
        at_save: called with the number of finished steps after each save.

    Raises:
        GendataError: the state is of a training with other settings.
    """
    device = device or torch.device("cpu")
    known = dict(settings or {})
    first = _restore(path, parts, known, device) if path.exists() else 0
    bar = tqdm(range(first, steps), initial=first, total=steps, mininterval=10)
    saved_at = time.monotonic()
    for step in bar:
        yield step
        done = step + 1
        due = done % every == 0
        if minutes is not None:
            due = time.monotonic() - saved_at >= 60 * minutes
        if due or done == steps:
            bar.set_postfix_str(report())
            state = {name: part.state_dict() for name, part in parts.items()}
            state |= {"random": torch.get_rng_state(), "step": done, "settings": known}
            if device.type == "cuda":
                state["device_random"] = torch.cuda.get_rng_state(device)
            publish(path, partial(torch.save, state))
            if at_save is not None:
                at_save(done)
            saved_at = time.monotonic()


def _restore(
    path: Path, parts: dict[str, Any], settings: dict[str, Any], device: torch.device
) -> int:
    """Loads a saved state into the parts; returns the number of finished steps."""
    saved = torch.load(path, weights_only=True, map_location=device)
    if difference := settings_difference(saved.get("settings", settings), settings):
        raise GendataError(
            f"{path} is the state of another training",
            found=difference,
            do="give the same options, or another folder by --work",
        )
    for name, part in parts.items():
        part.load_state_dict(saved[name])
    torch.set_rng_state(saved["random"].cpu())
    if device.type == "cuda" and "device_random" in saved:
        torch.cuda.set_rng_state(saved["device_random"].cpu(), device)
    return saved["step"]


def mean_of(values: Iterable[Tensor]) -> float:
    """The mean of scalars on any device; the only time that their training waits for them."""
    return torch.stack([value.float().cpu() for value in values]).mean().item()
