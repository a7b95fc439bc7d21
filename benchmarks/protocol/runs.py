"""One run of a study: what decides it, its key, its training and its line in runs.jsonl."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from gendata.benchmarks.protocol.arguments import Protocol
from gendata.benchmarks.protocol.presets import Row
from gendata.benchmarks.protocol.sources import Bank
from gendata.training.result import TrainResult
from gendata.training.run import resolve, train
from gendata.types import Images

__all__ = ["Ledger", "Run", "identity", "key_of", "perform", "record_of", "retrain", "run_folder"]

PARTS = {"synthetic": ("synthetic",), "real": ("real",), "mixed": ("synthetic", "real")}
NUMBERS = ("accuracy", "last_accuracy", "images", "seconds", "device", "threads", "versions")


@dataclass(frozen=True)
class Run:
    """A method on one source with one seed.

    Attributes:
        row: the method and how the table calls it.
        source: name of the source of synthetic images; None for a method without any.
        per_class: so many of each class of it; None for all.
        shots: real images of each class; None for all of them, or for none.
        seed: of the training.
        chosen: rows of the source's images; None for all.
        judge: the set that gives the accuracy: "test" or "validation".
    """

    row: Row
    source: str | None
    per_class: int | None
    shots: int | None
    seed: int
    chosen: tuple[int, ...] | None = None
    judge: str = "test"

    def __str__(self) -> str:
        parts = [
            self.source,
            f"{self.per_class} a class" if self.per_class else None,
            f"{self.shots}-shot" if self.shots else None,
            self.row.label,
            f"seed {self.seed}",
        ]
        return ", ".join(part for part in parts if part)


def roles_of(protocol: Protocol, row: Row) -> list[str]:
    """Which sets a row's method trains on: "synthetic", "real" or both."""
    _, method, _ = resolve(row.method, None, protocol.options_for(row))
    sources = (source for stage in method.stages for source in stage.sources)
    return list(dict.fromkeys(part for source in sources for part in PARTS[source]))


def sets_of(bank: Bank, run: Run) -> dict[str, Images]:
    """The sets of a run by role: training, "test", and "validation" where it chooses the epoch.

    Raises:
        NotDrawn: the clone is not there yet.
    """
    found: dict[str, Images] = {}
    for role in roles_of(bank.protocol, run.row):
        if role == "real":
            few = run.row.real == "few"
            found[role] = bank.few(run.shots, run.seed) if few else bank.training()
        elif run.source is not None:
            found[role] = bank.synthetic(run.source, run.per_class, run.chosen)
    found["test"] = bank.test() if run.judge == "test" else bank.validation()
    options = bank.protocol.options_for(run.row)
    if options.get("select") == "target-val":
        found["validation"] = bank.validation()
    return found


def decisive(bank: Bank, run: Run) -> dict[str, Any]:
    """Everything that decides a run's result, as JSON values."""
    options = {**bank.protocol.options_for(run.row), "seed": run.seed}
    settings, _, own = resolve(run.row.method, None, options)
    sets = {
        role: {"images": len(images), "sha256": bank.fingerprint(images)}
        for role, images in sets_of(bank, run).items()
    }
    content = {"method": run.row.method, "settings": settings.decisive(), "options": own}
    watched = {
        name: {"images": len(images), "sha256": bank.fingerprint(images)}
        for name, images in bank.watched().items()
    }
    content |= {"sets": sets, **({"watched": watched} if watched else {})}
    return json.loads(json.dumps(content, default=str))


def key_of(bank: Bank, run: Run) -> str:
    """The run's key: studies that ask for the same training get the same one.

    Raises:
        NotDrawn: the clone is not there yet.
    """
    content = json.dumps(decisive(bank, run), sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()[:16]


def run_folder(out: Path, key: str) -> Path:
    """Where a run's training keeps its own."""
    return out / "runs" / key


def retrain(bank: Bank, run: Run, key: str) -> TrainResult:
    """Trains a run, goes on with a killed one, or reads a finished one."""
    sets = {role: bank.ready(images, role) for role, images in sets_of(bank, run).items()}
    options = {**bank.protocol.options_for(run.row), "seed": run.seed}
    return train(
        **sets,
        watch={name: bank.ready(images, name) for name, images in bank.watched().items()},
        method=run.row.method,
        device=bank.protocol.device,
        out=run_folder(bank.out, key),
        download=bank.protocol.download,
        progress=False,
        **options,
    )


def perform(bank: Bank, run: Run, key: str) -> dict[str, Any]:
    """Trains a run and returns its numbers."""
    began = time.perf_counter()
    result = retrain(bank, run, key)
    wall = time.perf_counter() - began
    trained = sum(record["seconds"] for record in result.history)  # of a killed run, too
    device = next(result.network.parameters()).device
    last = result.selections["last"].test
    test = result.selections[result.select].test
    assert test is not None and last is not None, "every run is given a set that judges it"
    watched = judged(result.history, bank.watched())
    parameters = sum(each.numel() for each in result.network.parameters())
    return {
        **({"tests": watched, "parameters": parameters} if watched else {}),
        "accuracy": test.value,
        "last_accuracy": last.value,
        "images": test.images,
        "seconds": round(max(wall, trained), 2),
        "device": device_name(device),
        "threads": torch.get_num_threads(),
        "versions": {name: version(name) for name in ("gendata", "torch", "timm")},
    }


def judged(
    history: Sequence[Mapping[str, Any]], watched: Mapping[str, Images]
) -> dict[str, dict[str, Any]]:
    """The figures of each watched set: after the last epoch, and the best of all epochs.

    Accuracy and its mean over classes have their best epochs apart from each other, as have the
    sets. A best epoch is chosen on the very images that it is judged on: an oracle's.
    """
    return {
        name: {
            "images": len(images),
            **{figure: history[-1][f"{name}_{figure}"] for figure in ("accuracy", "mean")},
            **{
                f"best_{figure}": max(record[f"{name}_{figure}"] for record in history)
                for figure in ("accuracy", "mean")
            },
        }
        for name, images in watched.items()
    }


def record_of(
    protocol: Protocol, run: Run, key: str, numbers: Mapping[str, Any], command: str
) -> dict[str, Any]:
    """A run's line: how the study calls it, what decided it, what came out."""
    options = {**protocol.options_for(run.row), "seed": run.seed}
    settings, _, own = resolve(run.row.method, None, options)
    few = "real" in roles_of(protocol, run.row) and run.row.real == "few"
    return {
        "key": key,
        "study": protocol.study,
        "preset": protocol.preset,
        "data": protocol.name,
        "source": run.source,
        "per_class": run.per_class,
        "row": run.row.label,
        "method": run.row.method,
        "options": own,
        "baseline": run.row.baseline,
        "setting": protocol.study,
        "shots": run.shots if few else None,
        "seed": run.seed,
        "subset_seed": run.seed if protocol.subset_seed is None else protocol.subset_seed,
        "judge": run.judge,
        "select": settings.select,
        "epochs": settings.epochs,
        "network": settings.network,
        "init": settings.init,
        "settings": asdict(settings),
        **{name: numbers[name] for name in NUMBERS},
        **{name: numbers[name] for name in ("tests", "parameters") if name in numbers},
        "command": command,
    }


def identity(record: Mapping[str, Any]) -> tuple[Any, ...]:
    """What tells one line from another: one training may stand in several studies and rows."""
    names = ("key", "study", "data", "source", "per_class", "row", "baseline", "shots", "judge")
    return tuple(record.get(name) for name in names)


def device_name(device: torch.device) -> str:
    """What the run was trained on, for people."""
    if device.type != "cuda":
        return device.type
    return f"cuda ({torch.cuda.get_device_name(device)})"


class Ledger:
    """The lines of finished runs, appended whole; several processes may write at once.

    Args:
        out: the study's folder.
    """

    def __init__(self, out: Path) -> None:
        self.path = out / "runs.jsonl"

    def read(self) -> list[dict[str, Any]]:
        """Returns the lines; one that a kill or a full disk tore is left out."""
        return list(self._lines())

    def append(self, record: Mapping[str, Any]) -> None:
        """Adds a line and waits until it is on the disk."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        line = json.dumps(record, default=str).encode() + b"\n"
        with self.path.open("ab+") as file:
            if file.tell() and not _ends_a_line(self.path):
                line = b"\n" + line  # else a torn line would take this one with it
            file.write(line)
            file.flush()
            os.fsync(file.fileno())

    def _lines(self) -> Iterator[dict[str, Any]]:
        if not self.path.exists():
            return
        for line in self.path.read_bytes().splitlines():
            try:
                content = json.loads(line)
            except ValueError:
                continue
            if isinstance(content, dict) and "key" in content:
                yield content


def _ends_a_line(path: Path) -> bool:
    with path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read(1) == b"\n"
