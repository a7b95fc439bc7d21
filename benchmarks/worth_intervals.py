"""Whether the intervals of what images are worth hold the truth: on classifiers that are made up.

Learning curves of a known form stand in for trainings, so that the worth, its doubling and the
gain of twice the images are known. Each test image has a difficulty between 0 and 1; a classifier
of error e tells those that lie below 1 - e. Seeds differ in e, and a little about single images.
The same test images judge both sources, as they do in `gendata.gap.worth.measure`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from gendata.benchmarks.command_line import command_line
from gendata.benchmarks.tables import StudyResult, Table, with_interval
from gendata.errors import GendataError
from gendata.files import write_json
from gendata.gap.measures.exchange import Exchange, exchange_rates
from gendata.gap.measures.learning_runs import Runs
from gendata.gap.measures.shares import share_of
from gendata.registry import studies

__all__ = ["CASES", "Truth", "simulated", "worth_intervals"]

FLOOR, SCALE, RATE = 0.05, 0.8, 0.45  # of the real learning curve
REAL_SIZES = np.array([11, 37, 111, 333, 1000])  # images
SIZES = np.array([11, 33, 100, 300])
SPREAD = 0.04  # standard deviation over seeds of a classifier's error, relative to it
DISAGREEMENT = 0.05  # of a difficulty, over classifiers
FIGURES = ("worth", "doubling", "gain")

Curve = Callable[[np.ndarray], np.ndarray]


def real_error(images: np.ndarray) -> np.ndarray:
    """The error after training on so many real images."""
    return FLOOR + SCALE * images**-RATE


def a_third(images: np.ndarray) -> np.ndarray:
    """Each image is worth 0.3 real ones."""
    return real_error(0.3 * images)


def wrong_labels(images: np.ndarray) -> np.ndarray:
    """No number of images removes 3 points of error."""
    return 0.03 + real_error(images)


def nothing_more(images: np.ndarray) -> np.ndarray:
    """Any number of images is worth 30 real ones."""
    return real_error(30.0 * images**0.0)


def harm(images: np.ndarray) -> np.ndarray:
    """300 images are worth 30 real ones, and fewer are worth more."""
    return nothing_more(images) * (1 + 0.05 * np.log(images / 300))


CASES: dict[str, Curve] = {
    "each is worth 0.3 real ones": a_third,
    "3 points of error stay": wrong_labels,
    "more images add nothing": nothing_more,
    "more images do harm": harm,
}


@dataclass(frozen=True)
class Truth:
    """What a measurement should find.

    Attributes:
        worth: real images that all synthetic ones are worth.
        doubling: what that is multiplied by when they double, by the last two sizes.
        gain: in accuracy, of twice as many.
    """

    worth: float
    doubling: float
    gain: float

    @classmethod
    def of(cls, curve: Curve) -> Truth:
        """The truth of a curve of synthetic images."""
        before, worth = ((curve(SIZES[-2:]) - FLOOR) / SCALE) ** (-1 / RATE)
        doubled = (worth / before) ** (np.log(2) / np.log(SIZES[-1] / SIZES[-2]))
        now, then = curve(SIZES[-1] * np.array([1.0, 2.0]))
        return cls(float(worth), float(doubled), float(now - then))


@studies.register("worth-intervals")
def worth_intervals(
    *,
    out: Path,
    simulations: int = 80,
    seeds: int = 3,
    test_images: int = 1000,
    seed: int = 0,
) -> StudyResult:
    """Counts how often the 95% intervals of what images are worth hold the truth.

    Learning curves whose answer is known stand in for trainings; nothing is trained.

    Args:
        out: folder for worth-intervals.json.
        simulations: measurements of each case.
        seeds: trainings of each size.
        test_images: how many judge.
        seed: of everything random.

    Raises:
        GendataError: a number is below 1.
    """
    values = dict(locals())
    settings = {name: values[name] for name in ("simulations", "seeds", "test_images", "seed")}
    for name in ("simulations", "seeds", "test_images"):
        if settings[name] < 1:
            raise GendataError(
                f"{name} is out of range", found=settings[name], expected="at least 1"
            )
    command = command_line("bench worth-intervals", worth_intervals, values)
    cases: dict[str, dict[str, Any]] = {}
    with tqdm(total=simulations * len(CASES), disable=None) as bar:
        for name, curve in CASES.items():
            held: dict[str, list[bool]] = {figure: [] for figure in FIGURES}
            for number in range(simulations):
                found = _measured(curve, seeds, test_images, seed + number)
                for figure, is_held in _held(found, Truth.of(curve)).items():
                    held[figure].append(is_held)
                bar.update()
            cases[name] = {"truth": vars(Truth.of(curve)), **_counted(held)}
    data = {"command": command, "settings": settings, "cases": cases}
    write_json(Path(out) / "worth-intervals.json", data)
    return StudyResult(data, [_table(cases, settings)])


def simulated(
    sizes: np.ndarray,
    curve: Curve,
    difficulty: np.ndarray,
    seeds: int,
    generator: np.random.Generator,
) -> Runs:
    """Trainings on so many images (L,), shown test images of a difficulty (N,) from 0 to 1."""
    shape = seeds, len(sizes)
    errors = curve(sizes) * (1 + SPREAD * generator.standard_normal(shape))
    noise = DISAGREEMENT * generator.standard_normal((*shape, len(difficulty)))
    return Runs(sizes, (difficulty + noise) % 1 < 1 - errors[..., None])


def _measured(curve: Curve, seeds: int, test_images: int, seed: int) -> Exchange:
    generator = np.random.default_rng(seed)
    judged = generator.random(test_images), seeds, generator
    real, synthetic = (
        simulated(sizes, each, *judged)
        for sizes, each in ((REAL_SIZES, real_error), (SIZES, curve))
    )
    return exchange_rates(real, synthetic, seed=seed)


def _held(found: Exchange, truth: Truth) -> dict[str, bool]:
    """Whether the interval of each figure that was told holds the truth."""
    told = {"worth": found.at_size.real}
    if np.isfinite(found.doubling.value):
        told["doubling"] = found.doubling
    if found.synthetic_ahead:
        told["gain"] = found.synthetic_ahead[0].gain
    return {name: each.low <= getattr(truth, name) <= each.high for name, each in told.items()}


def _counted(held: dict[str, list[bool]]) -> dict[str, Any]:
    """How often each was told, and the share that held the truth, with its interval."""
    return {
        figure: {
            "told": len(each),
            "held": share_of(np.array(each)).to_json() if each else None,
        }
        for figure, each in held.items()
    }


def _table(cases: dict[str, dict[str, Any]], settings: dict[str, Any]) -> Table:
    rows = [
        [name, *(_shown(case[figure], settings["simulations"]) for figure in FIGURES)]
        for name, case in cases.items()
    ]
    caption = (
        "Share of 95% intervals that hold the truth, with its own 95% interval; "
        f"{settings['simulations']} simulated measurements of each, of {settings['seeds']} seeds "
        f"and {settings['test_images']} test images. In brackets how many told the figure, where "
        "not all did."
    )
    return Table(["the clone", *FIGURES], rows, caption)


def _shown(figure: dict[str, Any], simulations: int) -> str:
    text = with_interval(figure["held"])
    return text if figure["told"] == simulations else f"{text} [{figure['told']}]"
