"""Which factors of a rendered image matter: one held fixed at a time, all else random.

Tang and Jia 2023, "A New Benchmark: On the Utility of Synthetic Data with Blender for Bare
Supervised Learning and Downstream Domain Adaptation" (https://arxiv.org/abs/2303.09165),
"Assessing Image Variation Factors".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from gendata.benchmarks.protocol.rendered.study import run_study
from gendata.benchmarks.protocol.rendered.tables import factor_tables
from gendata.benchmarks.tables import StudyResult
from gendata.registry import studies

__all__ = ["factors"]


@studies.register("factors")
def factors(
    *,
    out: Path,
    preset: str = "rendered",
    sampler: str | None = None,
    classes: Sequence[str] = (),
    test: Sequence[str] = (),
    per_class: int | None = None,
    test_per_class: int | None = None,
    only: Sequence[str] = (),
    networks: Sequence[str] = (),
    augment: Sequence[str] = (),
    iterations: int | None = None,
    epochs: int | None = None,
    size: int | None = None,
    batch_size: int | None = None,
    seeds: int | None = None,
    seed: int = 0,
    options: Mapping[str, Any] | None = None,
    jobs: int = 1,
    device: str = "auto",
    limit: int | None = None,
    dry_run: bool = False,
    download: bool = False,
) -> StudyResult:
    """Compares rendered images of which one factor is fixed with those of which none is.

    Camera, light, material, scale and background are held at one value in turn, the same seeds for
    all. Every training is judged on images of which every factor is random: what it loses is what
    the factor's variety was worth. What is not given comes from the preset.

    Args:
        out: folder for clones, runs and tables; the same command goes on.
        preset: one that comes along (gendata list presets) or a TOML file.
        sampler: what renders the images, KIND:PATH.
        classes: some of the sampler's classes.
        test: real images that judge too, REFERENCE or NAME=REFERENCE; of their classes those that
            the rendered images have.
        per_class: rendered images of each class in every set.
        test_per_class: of each class in each rendered test set.
        only: some of the factors; all by default.
        networks: what is trained; the first of several.
        augment: none, weak, strong, strong-blur, …; the first of several.
        iterations: updates of each training.
        epochs: parts of a training, after each of which it is judged.
        size: side of the images, pixels.
        batch_size: images a step.
        seeds: trainings of each row. A seed decides initial weights, order and augmentation.
        seed: the first training's, and the images'.
        options: further settings of the training, else options of the sampler.
        jobs: processes that train at once, which share the cores or take an accelerator each.
        device: auto, cpu, cuda, cuda:1, mps, ….
        limit: most runs that are trained now.
        dry_run: list the runs, and what they will cost in images, hours and disk.
        download: fetch images and weights that are not on this machine.

    Raises:
        GendataError: something does not fit, or some runs failed.
    """
    return run_study("factors", factors, dict(locals()), factor_tables)
