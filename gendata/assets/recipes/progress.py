"""Steps of a long training that may be killed: saved on the way, continued where they stopped."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from gendata.files import publish

__all__ = ["resumable_steps"]


def resumable_steps(
    steps: int, path: Path, parts: dict[str, Any], report: Callable[[], str], every: int = 500
) -> Iterator[int]:
    """Yields the step numbers still to do; saves `parts` and the random state as it goes.

    Args:
        steps: how many steps the whole training takes.
        path: the file that holds the state between kills.
        parts: what to save by name: anything with `state_dict` and `load_state_dict`.
        report: a few words for the progress bar.
        every: steps between two saves.
    """
    first = 0
    if path.exists():
        saved = torch.load(path, weights_only=True)
        for name, part in parts.items():
            part.load_state_dict(saved[name])
        torch.set_rng_state(saved["random"])
        first = saved["step"]
    bar = tqdm(range(first, steps), initial=first, total=steps, mininterval=10)
    for step in bar:
        yield step
        done = step + 1
        if done % every == 0 or done == steps:
            bar.set_postfix_str(report())
            state = {name: part.state_dict() for name, part in parts.items()}
            state |= {"random": torch.get_rng_state(), "step": done}
            publish(path, partial(torch.save, state))
