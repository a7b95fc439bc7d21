"""Which classifiers tell what synthetic images are worth, and their training.

The same network is trained on class-balanced subsets of the real images and of each clone, of
several sizes in a geometric ladder, and shown real images that none of them saw. The real ladder
goes down as far as a ninth of the poorest clone's images, so that a clone whose images are worth a
ninth of a real one each can still be read off it.

Every training makes the same number of *steps* of equally large batches, whatever its images. With
equal epochs, a tenth of the images would also mean a tenth of the updates, and the accuracy would
say more about a network that has not converged than about the images; both curves would look
steeper than they are. Equal steps also bound the cost: sizes x seeds x sources trainings of one
length. So each subset is repeated, its images in a random order, until it fills an "epoch" that is
as long as everybody else's and holds the largest set at least once.

The subsets are nested (a smaller one lies in a larger one of the same seed) and their choice
varies with the seed; one that takes all images of the poorest class takes the same for all seeds.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from gendata.errors import GendataError
from gendata.gap.inputs.parts import SPLIT_SEED, common_size, decoded
from gendata.images import ArrayImages, Subset, balanced_split, balanced_subset, check_same_classes
from gendata.training import train
from gendata.training.evaluate import scores
from gendata.training.fingerprint import fingerprint
from gendata.types import Images

__all__ = ["REAL", "Answers", "Work", "ladder", "plan_trainings", "train_all"]

REAL = "real"
HELD_OUT_SHARE = 5  # one real image in five is the test set where none is given
LEAST_STEPS, LEAST_PASSES = 1000, 4  # of the default length: passes over the largest set
MOST_EPOCHS = 10  # each keeps the state of its training
FEWEST = 3  # images of a class, for three sizes
LEAST_RATE = 1 / 9  # real images for a synthetic one that the real curve must still show


@dataclass(frozen=True)
class Work:
    """What is trained and tested.

    Attributes:
        training: images to draw subsets of, by source; the real ones first.
        sizes: images a class of each training, ascending, by source.
        steps: updates of each training.
        test: images that judge.
        test_seen: how many were left out of them.
        seeds: of the trainings.
        options: of `train`.
    """

    training: dict[str, Images]
    sizes: dict[str, list[int]]
    steps: int
    test: Images
    test_seen: int
    seeds: Sequence[int]
    options: dict[str, Any]

    @property
    def trainings(self) -> int:
        """How many, of all sources together."""
        return len(self.seeds) * sum(map(len, self.sizes.values()))

    @property
    def epoch_images(self) -> int:
        """Images in an epoch, each drawn one or more times."""
        return self.steps // self.options["epochs"] * self.options["batch_size"]


@dataclass(frozen=True)
class Answers:
    """What the classifiers of one source said.

    Attributes:
        right: (S, L, N) bool, which test images each classified rightly.
        fitted: (S, L) accuracy on its own, augmented images in the last epoch.
    """

    right: np.ndarray
    fitted: np.ndarray


def plan_trainings(
    opened: Mapping[str, Images],
    judges: Images | None,
    seeds: Sequence[int],
    rungs: tuple[int, float],
    steps: int | None,
    per_class: int | None,
    options: dict[str, Any],
) -> Work:
    """Decides what is trained, before anything is."""
    _check_ladder(seeds, *rungs)
    training = dict(opened)
    if judges is None:
        held_out = max(1, common_size({REAL: opened[REAL]}) // HELD_OUT_SHARE)
        judges, training[REAL] = balanced_split(opened[REAL], held_out, SPLIT_SEED)
    first = opened[REAL]
    for name, images in (*opened.items(), ("test", judges)):
        check_same_classes(REAL, first.classes, name, images.classes)
    options.setdefault("size", min(first[0][0].shape[1:]))
    largest = {name: common_size({name: each}, per_class) for name, each in training.items()}
    _check_enough(largest)
    steps, epochs = _length(max(largest.values()) * len(first.classes), steps, options)
    shown = {name: decoded(each, options["size"]) for name, each in training.items()}
    test, seen = _unseen(decoded(judges, options["size"]), list(shown.values()))
    count, ratio = rungs
    fewest = min(size for name, size in largest.items() if name != REAL)
    counts = {name: count for name in largest} | {
        REAL: max(count, rungs_down_to(fewest * LEAST_RATE, largest[REAL], ratio))
    }
    return Work(
        training=shown,
        sizes={name: ladder(size, counts[name], ratio) for name, size in largest.items()},
        steps=steps,
        test=test,
        test_seen=seen,
        seeds=seeds,
        options={**options, "epochs": epochs},
    )


def _length(images: int, steps: int | None, options: Mapping[str, Any]) -> tuple[int, int]:
    """Steps and epochs of a training, given the largest one's images; whole steps an epoch."""
    batch_size = options["batch_size"]
    once = math.ceil(images / batch_size)
    wanted = max(LEAST_STEPS, LEAST_PASSES * once) if steps is None else steps
    if wanted < once:
        raise GendataError(
            "too few steps to see every image once",
            found=f"{wanted} of {batch_size} images",
            expected=f"at least {once}",
            do="give more steps, or fewer images by per_class",
        )
    epochs = min(MOST_EPOCHS, wanted // once)
    return wanted // epochs * epochs, epochs


def _check_ladder(seeds: Sequence[int], sizes: int, ratio: float) -> None:
    if not seeds:
        raise GendataError("no seed to train with", expected="at least one")
    if sizes < FEWEST or not ratio > 1:
        raise GendataError(
            "these sizes make no learning curve",
            found=f"{sizes} of ratio {ratio}",
            expected=f"at least {FEWEST} of a ratio above 1",
        )


def _check_enough(largest: Mapping[str, int]) -> None:
    name = min(largest, key=lambda each: largest[each])
    if largest[name] < FEWEST:
        raise GendataError(
            f"too few images in '{name}' for a learning curve",
            found=f"{largest[name]} to train on of some class",
            expected=f"at least {FEWEST} of each",
            do="give a test set, so that none is held out" if name == REAL else "draw more",
        )


def _unseen(test: Images, training: Sequence[Images]) -> tuple[Images, int]:
    """Leaves out test images that are, to the last bit, among the training images."""
    known = {digest for images in training for digest in _digests(images)}
    rows = [row for row, digest in enumerate(_digests(test)) if digest not in known]
    if not rows:
        raise GendataError(
            "every test image is among the training images", do="give other images to test on"
        )
    left_out = len(test) - len(rows)
    return (Subset(test, rows) if left_out else test), left_out


def _digests(images: Images) -> list[bytes]:
    return [
        hashlib.blake2b(images[row][0].numpy().tobytes(), digest_size=16).digest()
        for row in range(len(images))
    ]


def train_all(
    work: Work, folder: Path | None, place: Mapping[str, Any], progress: bool
) -> dict[str, Answers]:
    """Trains on every source, size and seed, and returns the answers by source."""
    answers: dict[str, Answers] = {}
    title = f"{work.trainings} trainings of {work.steps:,} steps"
    with tqdm(total=work.trainings, desc=title, disable=None if progress else True) as bar:
        for name, sizes in work.sizes.items():
            shape = len(work.seeds), len(sizes), len(work.test)
            answers[name] = Answers(np.zeros(shape, dtype=bool), np.zeros(shape[:2]))
            for column, size in enumerate(sizes):
                for row, seed in enumerate(work.seeds):
                    right, fitted = _trained(work, name, size, seed, folder, place)
                    answers[name].right[row, column] = right
                    answers[name].fitted[row, column] = fitted
                    bar.update()
    return answers


def _trained(
    work: Work, name: str, size: int, seed: int, folder: Path | None, place: Mapping[str, Any]
) -> tuple[np.ndarray, float]:
    """Trains one classifier; (N,) bool, which test images it tells, and its training accuracy."""
    images = _repeated(work.training[name], size, seed, work.epoch_images)
    run = None if folder is None else folder / _run_name(name, size, seed, images, work.options)
    result = train(
        real=images,  # one role for all: equal images train alike
        method="real",
        seed=seed,
        out=run,
        progress=False,
        **place,
        **work.options,
    )
    outputs, labels = scores(result.network, work.test)
    return (outputs.argmax(dim=1) == labels).numpy(), float(result.history[-1]["accuracy"])


def _repeated(images: Images, per_class: int, seed: int, length: int) -> Images:
    """Repeats a class-balanced subset until it fills an epoch; every image once or more."""
    rows = balanced_subset(images, per_class, seed).rows
    shuffled = np.random.default_rng(seed).permutation(rows)
    filled = np.resize(shuffled, length)
    if isinstance(images, ArrayImages):
        pixels = images.images[torch.from_numpy(filled)]
        return ArrayImages(images.name, images.classes, pixels, images.labels[filled])
    return Subset(images, filled)


def _run_name(
    source: str, size: int, seed: int, images: Images, options: Mapping[str, Any]
) -> str:
    """Names a training by source, size and seed and a hash of everything else that decides it."""
    content = json.dumps([source, fingerprint(images), dict(options)], sort_keys=True, default=str)
    readable = re.sub(r"[^a-zA-Z0-9]+", "-", source).strip("-")[:24]
    return f"{readable}-{size}-{seed}-{hashlib.sha256(content.encode()).hexdigest()[:12]}"


def ladder(largest: int, count: int, ratio: float) -> list[int]:
    """Returns up to `count` sizes, ascending to the largest, each about `ratio` times the last."""
    smallest = max(1.0, largest / ratio ** (count - 1))
    return sorted({round(size) for size in np.geomspace(smallest, largest, count)})


def rungs_down_to(size: float, largest: int, ratio: float) -> int:
    """Returns how many rungs a ladder needs to reach from the largest size down to this one."""
    return 1 + math.ceil(math.log(largest / max(1.0, min(size, largest)), ratio) - 1e-9)
