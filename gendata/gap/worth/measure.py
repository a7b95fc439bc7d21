"""How many real training images one synthetic image replaces on this task.

Classifiers are trained on several numbers of real and of synthetic images
(`gendata.gap.worth.trainings`), and the exchange rate is read off the two learning curves
(`gendata.gap.measures.exchange`). DEFINITIONS says what each figure is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from gendata.errors import GendataError
from gendata.gap.measures.exchange import exchange_rates
from gendata.gap.measures.learning_runs import Runs
from gendata.gap.worth.findings import LearningCurve, Worth
from gendata.gap.worth.trainings import REAL, Answers, Work, plan_trainings, train_all
from gendata.images import open_images
from gendata.models.device import resolve_device
from gendata.types import Images

__all__ = ["measure_worth", "measure_worths"]


NEARLY, SOLVED = 0.8, 0.02  # of the test error, for a training too short; an error too small
OWN = ("epochs", "seed", "select")  # settings of a training that are not the caller's

Reference = str | Path | Images


def measure_worth(
    real: Reference, synthetic: Reference, test: Reference | None = None, **options: Any
) -> Worth:
    """Measures what one clone is worth; arguments as for `measure_worths`."""
    return measure_worths(real, {"synthetic": synthetic}, test, **options)["synthetic"]


def measure_worths(
    real: Reference,
    clones: Mapping[str, Reference],
    test: Reference | None = None,
    *,
    out: str | Path | None = None,
    seeds: int | Sequence[int] = 3,
    sizes: int = 4,
    ratio: float = 3.0,
    steps: int | None = None,
    per_class: int | None = None,
    device: str | torch.device = "auto",
    download: bool = False,
    strict: bool = False,
    progress: bool = True,
    **options: Any,
) -> dict[str, Worth]:
    """Measures how many real images the images of each clone replace.

    By default 4 sizes x 3 seeds = 12 trainings for each clone, and as many or somewhat more for
    the real images, whose sizes go down to a ninth of the poorest clone's. Each training makes
    1,000 steps of 64 images, or as many as make 4 passes over the largest set: a few minutes on a
    laptop for 1,000 images a class of 28x28. The bar shows the number and length of the trainings
    first.

    Args:
        real: the real images, or a reference to them.
        clones: synthetic images by name.
        test: real images that judge. Without any, a fifth of the real ones is held out for it.
            Images that a source is trained on, to the last bit, are left out of them.
        out: folder in which each training keeps its own, named by what decides it. The same call
            goes on where it was killed, and further clones use the real trainings that are there.
        seeds: how many trainings of each size, or their seeds.
        sizes: how many sizes of each source, from all its images downwards; of the real images
            more where a ninth of the poorest clone's images a class would else lie below them.
        ratio: of one size to the next; fewer where the smallest would be less than one image.
        steps: updates of each training.
        per_class: use no more than this many images of a class of any source.
        device: where to train.
        download: fetch images and weights that are not on this machine.
        strict: stop at damaged images.
        progress: show a bar on stderr.
        **options: settings of `gendata.train`, such as `network`, `batch_size`, `size`.

    Returns:
        By clone, in the order given.

    Raises:
        GendataError: the sources do not fit together, there are too few images or steps, or a
            setting is not the caller's.
    """
    references = {REAL: real, **clones}
    _check_call(clones, options, len(references))
    opened = {
        name: open_images(each, download=download, strict=strict)
        for name, each in references.items()
    }
    judges = None if test is None else open_images(test, download=download, strict=strict)
    numbers = list(range(seeds)) if isinstance(seeds, int) else list(seeds)
    chosen = {"network": "small-cnn", "batch_size": 64, **options}
    work = plan_trainings(opened, judges, numbers, (sizes, ratio), steps, per_class, chosen)
    place = resolve_device(device)
    folder = None if out is None else Path(out)
    answers = train_all(work, folder, {"device": place, "download": download}, progress)
    return {name: _worth(work, answers, name, judges is None) for name in clones}


def _check_call(clones: Mapping[str, Any], options: Mapping[str, Any], sources: int) -> None:
    if not clones or sources != 1 + len(clones):
        raise GendataError(
            "no clone to measure" if not clones else f"a clone cannot be named '{REAL}'",
            do="give at least one clone, under another name",
        )
    for name in OWN:
        if name in options:
            raise GendataError(
                f"{name} cannot be set here",
                found=f"{name}={options[name]!r}",
                do="give steps and seeds; the last epoch's network is tested",
            )


def _worth(work: Work, answers: Mapping[str, Answers], name: str, held_out: bool) -> Worth:
    runs = {each: Runs(np.array(work.sizes[each]), answers[each].right) for each in (REAL, name)}
    return Worth(
        exchange=exchange_rates(runs[REAL], runs[name]),
        real=LearningCurve(runs[REAL].sizes, runs[REAL].accuracy),
        synthetic=LearningCurve(runs[name].sizes, runs[name].accuracy),
        classes=len(work.test.classes),
        seeds=work.seeds,
        test_images=len(work.test),
        test_held_out=held_out,
        test_seen=work.test_seen,
        trainings=work.trainings,
        steps=work.steps,
        settings=work.options,
        undertrained=is_undertrained(answers[REAL].fitted[:, -1], runs[REAL].error[-1]),
    )


def is_undertrained(fitted: np.ndarray, test_error: float) -> bool:
    """Whether training accuracies (S,) leave nearly the error that test images do; our limits."""
    return bool(test_error > SOLVED and 1 - fitted.mean() > NEARLY * test_error)
