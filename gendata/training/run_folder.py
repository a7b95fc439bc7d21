"""What a training leaves on disk, and how a killed one goes on.

    run.json            resolved settings, images and versions; decides whether a run may go on
    metrics.jsonl       one line an epoch
    last.safetensors    the weights after the last epoch (and RULE.safetensors for another rule)
    result.json         accuracies; written last, so a folder that has it is finished
    state.pt            network, optimiser and method after the last whole epoch; gone at the end

Every file is written under another name and renamed, so that a kill leaves the old or the new one.
"""

from __future__ import annotations

import json
import pickle
import platform
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, BinaryIO

import torch

from gendata.errors import GendataError
from gendata.files import is_temporary, publish, write_json
from gendata.models.weights import save_weights
from gendata.settings_difference import settings_difference

__all__ = ["RunFolder"]

STATE, RESULT, METRICS, RUN = "state.pt", "result.json", "metrics.jsonl", "run.json"
PACKAGES = ("gendata", "torch", "torchvision", "timm", "accelerate")


class RunFolder:
    """A training's folder.

    Args:
        path: the folder; nothing is written into it before `begin`.
        settings: everything that decides the result, as JSON values.
        writes: whether this process writes (the first of several does).

    Raises:
        GendataError: the folder belongs to a training with other settings, or is no training's.
    """

    def __init__(self, path: Path, settings: Mapping[str, Any], *, writes: bool = True) -> None:
        self.path, self.writes = path, writes
        self.settings = json.loads(json.dumps(settings))
        if (path / RUN).exists():
            _check_same(path, _read_json(path / RUN).get("settings", {}), self.settings)
        elif path.exists() and not (path.is_dir() and all(map(is_temporary, path.iterdir()))):
            raise GendataError(
                f"{path} is not empty and holds no training", do="choose another folder for out"
            )

    def begin(self) -> None:
        """Makes the folder and says whose it is, unless an earlier run did.

        A training is built before: a mistake that shows only then leaves no folder behind.
        """
        if not (self.path / RUN).exists():
            versions = {name: version(name) for name in PACKAGES}
            versions["python"] = platform.python_version()
            content = {"command": "train", "settings": self.settings, "versions": versions}
            self._write_json(RUN, content)

    def result(self) -> dict[str, Any] | None:
        """Returns the result of a finished training."""
        path = self.path / RESULT
        return _read_json(path) if path.exists() else None

    def history(self) -> list[dict[str, Any]]:
        """Returns one record an epoch."""
        lines = (self.path / METRICS).read_text(encoding="utf-8").splitlines()
        return [json.loads(line) for line in lines]

    def state(self) -> dict[str, Any] | None:
        """Returns what `save` kept last, on the CPU."""
        path = self.path / STATE
        if not path.exists():
            return None
        try:
            return torch.load(path, map_location="cpu", weights_only=True)
        except (pickle.UnpicklingError, RuntimeError, EOFError) as error:
            raise GendataError(
                f"{path} is damaged",
                found=str(error).splitlines()[0],
                do="remove it, and the training starts anew",
            ) from error

    def save(self, state: Mapping[str, Any], history: Sequence[Mapping[str, Any]]) -> None:
        """Keeps the state after an epoch, then the metrics that belong to it."""
        self._publish(STATE, lambda file: torch.save(dict(state), file))
        self.write_metrics(history)

    def write_metrics(self, history: Sequence[Mapping[str, Any]]) -> None:
        """Writes one line an epoch; lines of a killed epoch go."""
        lines = "".join(json.dumps(record) + "\n" for record in history)
        self._publish(METRICS, lambda file: file.write(lines.encode()))

    def finish(self, result: Mapping[str, Any]) -> None:
        """Writes the result and drops the state."""
        self._write_json(RESULT, result)
        if self.writes:
            (self.path / STATE).unlink(missing_ok=True)

    def save_weights(self, rule: str, network: torch.nn.Module) -> None:
        """Writes RULE.safetensors."""
        if self.writes:
            save_weights(network, self.path / f"{rule}.safetensors")

    def _write_json(self, name: str, content: Mapping[str, Any]) -> None:
        if self.writes:
            write_json(self.path / name, content)

    def _publish(self, name: str, write: Callable[[BinaryIO], object]) -> None:
        if self.writes:
            publish(self.path / name, write)


def _read_json(path: Path) -> dict[str, Any]:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, OSError) as error:
        raise GendataError(f"{path} cannot be read", found=error) from error


def _check_same(path: Path, before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    difference = settings_difference(before, now)
    if difference:
        raise GendataError(
            f"{path} holds a training with other settings",
            found=difference,
            do="choose another folder for out, or remove this one",
        )
