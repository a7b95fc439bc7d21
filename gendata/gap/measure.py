"""The public function: from a real set and its clones to the report of what the clones lack."""

from __future__ import annotations

import json
import platform
import shlex
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from gendata.errors import GendataError
from gendata.files import write_text
from gendata.gap.chosen import chosen_parts
from gendata.gap.clone_findings import Encoders, clone_findings, load_encoders, worths_of
from gendata.gap.cross_source.findings import CrossFindings
from gendata.gap.cross_source.measure import compare, crossed
from gendata.gap.inputs.opened import Inputs, Reference, opened_inputs
from gendata.gap.report.page import gap_page
from gendata.gap.report.table import csv_text
from gendata.gap.result import GapReport
from gendata.models.device import resolve_device
from gendata.page import write_page
from gendata.settings_difference import settings_difference

__all__ = ["ENCODER", "measure_gap"]

ENCODER = "embedded:efficientnet-lite0"


def measure_gap(
    real: Reference,
    clones: Mapping[str, Reference],
    out: str | Path | None = None,
    *,
    test: Reference | None = None,
    parts: Sequence[str] | None = None,
    seeds: int | Sequence[int] = 3,
    network: str = "small-cnn",
    epochs: int = 20,
    encoder: str = ENCODER,
    encoder_size: int | None = None,
    encoder_mean: float | Sequence[float] | None = None,
    encoder_std: float | Sequence[float] | None = None,
    fid: bool | str = False,
    worth_steps: int | None = None,
    limit: int | None = None,
    per_class: int | None = None,
    device: str | torch.device = "auto",
    download: bool = False,
    strict: bool = False,
    progress: bool = True,
    **options: Any,
) -> GapReport:
    """Measures the gap between real images and synthetic clones of them.

    Sources of unequal size are compared on equally many images: the same number of every class
    from each, chosen once by a fixed seed. A tenth of them is held out for the validation curves;
    all figures are taken on the others, without augmentation. Copies alone are searched among all
    real images, unless there is a limit.

    Args:
        real: the real images, or a reference to them.
        clones: synthetic images by the name to show them under.
        out: folder for `gap.json`, `gap.csv`, `report.html`, the features and the trained
            classifiers. The same call goes on where it was killed; one with further parts adds
            them.
        test: real images that no classifier is trained on, as a last column of the matrix, and
            the judge of what an image is worth.
        parts: what to measure, of `gendata.gap.PARTS`; None for all.
        seeds: how many classifiers to train per source, or their seeds.
        network: what to train.
        epochs: how long.
        encoder: whose features are compared, as `gendata.features.load_encoder` takes it.
        encoder_size: side that images are brought to for the encoder, pixels; None for its own
            or, of an ImageNet network that takes any, that of the real images within 64 and 224.
        encoder_mean: what is subtracted from the channels, in [0, 1], before the encoder sees
            them, one number or three; None for its own, which TorchScript files do not tell: 0.
        encoder_std: what they are divided by then; None for its own, or 1.
        fid: ask clean-fid for its published figures as well, of all images of both sets; True
            for Inception-v3 where clean-fid keeps it, or a reference such as "inception:FILE".
        worth_steps: updates of each training of the part worth; by default a thousand, or as many
            as four epochs of the largest set take.
        limit: use no more than this many images of a source.
        per_class: compare no more than this many images of a class.
        device: where to train.
        download: fetch images or weights that are not on this machine.
        strict: stop at damaged images, which are else left out and counted.
        progress: show a bar on stderr.
        **options: further settings of `gendata.train`, such as `size`, `learning_rate`, `augment`.

    Raises:
        GendataError: the sources do not fit together, or something cannot be read or written.
    """
    wanted = chosen_parts(parts)
    inputs = opened_inputs(
        real,
        clones,
        test,
        limit=limit,
        per_class=per_class,
        training={"network": network, "epochs": epochs, **options},
        strict=strict,
        seeds=_numbers(seeds),
        folder=None if out is None else Path(out),
        device=resolve_device(device),
        download=download,
        progress=progress,
    )
    look = {"input_size": encoder_size, "mean": encoder_mean, "std": encoder_std}
    settings = _settings(inputs, encoder, look, worth_steps)
    asked = "inception" if fid is True else fid or None
    names = [*wanted, *([] if asked is None else ["fid"])]
    if inputs.folder is not None:
        _refuse_other_settings(inputs.folder, settings, names, inputs)
    encoders = load_encoders(inputs, names, encoder, look, asked)
    report = _measured(inputs, names, encoders, settings)
    if inputs.folder is not None:
        _write(report, inputs.folder)
    return report


def _settings(
    inputs: Inputs, encoder: str, look: Mapping[str, Any], worth_steps: int | None
) -> dict[str, Any]:
    """Every choice, as the report lists them."""
    normalisation = {f"encoder_{name}": look[name] for name in ("mean", "std")}
    return {
        **inputs.training,
        "encoder": str(encoder),
        "encoder_size": look["input_size"],
        **{name: value for name, value in normalisation.items() if value is not None},
        "worth_steps": worth_steps,
    }


def _measured(
    inputs: Inputs, names: Sequence[str], encoders: Encoders, settings: Mapping[str, Any]
) -> GapReport:
    # The dearest part goes first: what it has against its settings is then said at once.
    worths = worths_of(inputs, settings["worth_steps"]) if "worth" in names else {}
    cross = _cross_source(inputs) if "cross-source" in names else None
    shown = settings if encoders.features else inputs.training
    return GapReport(
        classes=inputs.classes,
        sources=inputs.sources(),
        parts=names,
        cross=cross,
        clones=clone_findings(inputs, names, cross, encoders, worths),
        seeds=inputs.seeds,
        settings=settings,
        environment=_environment(shown, inputs.seeds, inputs.device),
    )


def _numbers(seeds: int | Sequence[int]) -> list[int]:
    numbers = list(range(seeds)) if isinstance(seeds, int) else list(seeds)
    if not numbers:
        raise GendataError("no seed to train with", expected="at least one")
    return numbers


def _cross_source(inputs: Inputs) -> CrossFindings:
    found = compare(
        inputs.parts,
        inputs.tests,
        inputs.seeds,
        out=inputs.kept("classifiers"),
        device=inputs.device,
        download=inputs.download,
        progress=inputs.progress,
        options=inputs.training,
    )
    return crossed(found, inputs.parts, list(inputs.tests), inputs.seeds)


def _write(report: GapReport, folder: Path) -> None:
    """Writes the report last: where it is, the figures are as well."""
    text = json.dumps(report.to_json(), indent=2, ensure_ascii=False, allow_nan=False)
    write_text(folder / "gap.json", text + "\n")
    write_text(folder / "gap.csv", csv_text(report))
    write_page(gap_page(report), folder / "report.html")


def _refuse_other_settings(
    folder: Path, settings: Mapping[str, Any], parts: Sequence[str], inputs: Inputs
) -> None:
    """Keeps a finished report from being overwritten by another one's, or by less of it."""
    path = folder / "gap.json"
    if not path.is_file():
        return
    sources = [vars(each) for each in inputs.sources()]
    wanted = {"settings": settings, "seeds": inputs.seeds, "sources": sources}
    try:
        there = json.loads(path.read_text(encoding="utf-8"))
        present = {name: there[name] for name in wanted}
        lost = [name for name in there["parts"] if name not in parts]
    except (ValueError, KeyError, TypeError) as error:
        raise GendataError(
            f"{path} is no report of gendata that could be continued",
            found=error,
            do="choose another folder",
        ) from error
    difference = settings_difference(present, json.loads(json.dumps(wanted, default=str)))
    if difference:
        raise GendataError(
            f"{folder} holds the report of another measurement",
            found=difference,
            do="use the same settings to make it again, or another folder",
        )
    if lost:
        raise GendataError(
            f"{folder} holds a report of more parts",
            found=f"{', '.join(lost)} there, not asked for now",
            do="ask for them as well, which costs little, or choose another folder",
        )


def _environment(
    settings: Mapping[str, Any], seeds: Sequence[int], device: torch.device
) -> dict[str, str]:
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
    return {
        "Command": shlex.join([Path(sys.argv[0]).name or "python", *sys.argv[1:]]),
        "Settings": ", ".join(
            f"{key} {value}" for key, value in settings.items() if value is not None
        ),
        "Seeds": ", ".join(map(str, seeds)),
        "Versions": f"gendata {version('gendata')}, torch {torch.__version__}, "
        f"Python {platform.python_version()}",
        "Device": name,
        "Date": f"{datetime.now(UTC):%d %B %Y, %H:%M} UTC",
    }
