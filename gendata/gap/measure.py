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

import numpy as np
import torch

from gendata.errors import GendataError
from gendata.files import write_text
from gendata.gap.cross_source import CrossSource, compare
from gendata.gap.extremes import lowest_and_highest
from gendata.gap.losses import spread_of
from gendata.gap.page import write_page
from gendata.gap.parts import Part, common_size, decoded, equal_parts
from gendata.gap.report import gap_page
from gendata.gap.result import ClassExtremes, CrossLosses, Ends, GapReport, Source
from gendata.images import open_images
from gendata.models.device import resolve_device
from gendata.settings_difference import settings_difference
from gendata.types import Images

__all__ = ["REAL", "REAL_TEST", "SHOWN", "SHOWN_CLASSES", "measure_gap"]

REAL, REAL_TEST = "real", "real test"
SHOWN = 8  # images of a class at either end of the losses
SHOWN_CLASSES = 24  # classes whose images are in the report: those of highest mean loss

Reference = str | Path | Images


def measure_gap(
    real: Reference,
    clones: Mapping[str, Reference],
    out: str | Path | None = None,
    *,
    test: Reference | None = None,
    seeds: int | Sequence[int] = 3,
    network: str = "small-cnn",
    epochs: int = 20,
    limit: int | None = None,
    per_class: int | None = None,
    device: str | torch.device = "auto",
    download: bool = False,
    strict: bool = False,
    progress: bool = True,
    **options: Any,
) -> GapReport:
    """Measures the content gap between real images and synthetic clones of them.

    Trains one classifier per source and seed and shows each to the images of every source
    (Wang et al. 2024, section 3.2). Sources of unequal size are compared on equally many images:
    the same number of every class from each, chosen once by a fixed seed. A tenth of them is held
    out for the validation curves; matrix and losses are taken on the others, the images that the
    classifiers of that source were trained on, without augmentation.

    Args:
        real: the real images, or a reference to them.
        clones: synthetic images by the name to show them under.
        out: folder for `gap.json`, `report.html` and the trained classifiers. The same call goes
            on where it was killed.
        test: real images that no classifier is trained on, as a last column of the matrix.
        seeds: how many classifiers to train per source, or their seeds.
        network: what to train.
        epochs: how long.
        limit: use no more than this many images of a source.
        per_class: use no more than this many images of a class.
        device: where to train.
        download: fetch images that are not on this machine.
        strict: stop at damaged images, which are else left out and counted.
        progress: show a bar on stderr.
        **options: further settings of `gendata.train`, such as `size`, `learning_rate`, `augment`.

    Raises:
        GendataError: the sources do not fit together, or something cannot be read or written.
    """
    access = {"download": download, "strict": strict}
    opened = _opened(real, clones, access)
    numbers = list(range(seeds)) if isinstance(seeds, int) else list(seeds)
    if not numbers:
        raise GendataError("no seed to train with", expected="at least one")
    chosen = {"network": network, "epochs": epochs, **options}
    chosen.setdefault("size", _side(opened[REAL]))
    parts = equal_parts(opened, common_size(opened, per_class, limit), chosen["size"])
    tests = _test_sets(test, opened[REAL], chosen["size"], access)
    place = resolve_device(device)
    folder = None if out is None else Path(out)
    sources = _sources(opened, parts, tests)
    if folder is not None:
        _refuse_other_settings(folder, chosen, numbers, sources)
    found = compare(
        parts,
        tests,
        numbers,
        out=None if folder is None else folder / "classifiers",
        device=place,
        download=download,
        progress=progress,
        options=chosen,
    )
    report = GapReport(
        classes=list(opened[REAL].classes),
        seeds=numbers,
        sources=sources,
        accuracy=found.accuracy,
        curves=found.curves,
        clone_under_real={name: _crossed(parts, found, REAL, name) for name in clones},
        real_under_clone={name: _crossed(parts, found, name, REAL) for name in clones},
        settings=chosen,
        environment=_environment(chosen, numbers, place),
    )
    if folder is not None:
        text = json.dumps(report.to_json(), indent=2, ensure_ascii=False)
        write_text(folder / "gap.json", text + "\n")
        write_page(gap_page(report), folder / "report.html")
    return report


def _refuse_other_settings(
    folder: Path, settings: Mapping[str, Any], seeds: Sequence[int], sources: Sequence[Source]
) -> None:
    """Keeps a finished report from being overwritten by another one's."""
    path = folder / "gap.json"
    if not path.is_file():
        return
    wanted = {"settings": settings, "seeds": seeds, "sources": [vars(each) for each in sources]}
    try:
        there = json.loads(path.read_text(encoding="utf-8"))
        present = {name: there[name] for name in wanted}
    except (ValueError, KeyError, TypeError) as error:
        raise GendataError(
            f"{path} is no report of gendata", found=error, do="choose another folder"
        ) from error
    difference = settings_difference(present, json.loads(json.dumps(wanted, default=str)))
    if difference:
        raise GendataError(
            f"{folder} holds the report of another measurement",
            found=difference,
            do="use the same settings to make it again, or another folder",
        )


def _opened(
    real: Reference, clones: Mapping[str, Reference], access: Mapping[str, bool]
) -> dict[str, Images]:
    if not clones:
        raise GendataError("no clone to measure", expected="at least one")
    for name in clones:
        if name in (REAL, REAL_TEST) or not name.strip():
            raise GendataError(
                "a clone has a name it cannot have", found=f"'{name}'", do="give it another name"
            )
    references = {REAL: real, **clones}
    return {name: open_images(each, **access) for name, each in references.items()}


def _test_sets(
    test: Reference | None, real: Images, side: int, access: Mapping[str, bool]
) -> dict[str, Images]:
    if test is None:
        return {}
    images = open_images(test, **access)
    common_size({REAL: real, REAL_TEST: images})  # the same classes, and some of each
    return {REAL_TEST: decoded(images, side)}


def _side(images: Images) -> int:
    """The shorter side of the first real image: every source is brought to this size."""
    if not len(images):
        raise GendataError(f"'{images.name}' holds no image")
    return min(images[0][0].shape[1:])


def _sources(
    opened: Mapping[str, Images], parts: Mapping[str, Part], tests: Mapping[str, Images]
) -> list[Source]:
    sources = []
    for name, part in parts.items():
        role = "real" if name == REAL else "clone"
        counts = len(opened[name]), len(part.training), len(part.held_out)
        sources.append(Source(name, role, opened[name].name, *counts))
    for name, images in tests.items():
        sources.append(Source(name, "test", images.name, len(images), len(images)))
    return sources


def _crossed(
    parts: Mapping[str, Part], found: CrossSource, trained_on: str, shown: str
) -> CrossLosses:
    """Summarises the losses of one source's images under the classifiers of another."""
    part, losses = parts[shown], found.losses[trained_on, shown]
    labels, mean = np.asarray(part.training.labels), losses.mean(axis=0)
    extremes = lowest_and_highest(mean, labels, len(part.training.classes), SHOWN)
    by_class = np.bincount(labels, weights=mean) / np.bincount(labels)
    hardest = set(np.argsort(-by_class, kind="stable")[:SHOWN_CLASSES].tolist())

    def ends(rows: np.ndarray, label: int) -> Ends:
        seen = rows if label in hardest else rows[:0]
        pictures = [part.training[int(row)][0].numpy() for row in seen]
        return Ends(part.rows[rows], mean[rows], pictures)

    both = [
        ClassExtremes(ends(each.lowest, label), ends(each.highest, label))
        for label, each in enumerate(extremes)
    ]
    return CrossLosses(spread_of(losses), both)


def _environment(
    settings: Mapping[str, Any], seeds: Sequence[int], device: torch.device
) -> dict[str, str]:
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
    return {
        "Command": shlex.join([Path(sys.argv[0]).name or "python", *sys.argv[1:]]),
        "Settings": ", ".join(f"{key} {value}" for key, value in settings.items()),
        "Seeds": ", ".join(map(str, seeds)),
        "Versions": f"gendata {version('gendata')}, torch {torch.__version__}, "
        f"Python {platform.python_version()}",
        "Device": name,
        "Date": f"{datetime.now(UTC):%d %B %Y, %H:%M} UTC",
    }
