"""What rendered images teach: fixed data sets against images that never come again.

The supervised study of Tang and Jia 2023, "A New Benchmark: On the Utility of Synthetic Data with
Blender for Bare Supervised Learning and Downstream Domain Adaptation"
(https://arxiv.org/abs/2303.09165), section 4.1.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from gendata.benchmarks.protocol.rendered.study import run_study
from gendata.benchmarks.protocol.rendered.tables import repetition_tables
from gendata.benchmarks.tables import StudyResult
from gendata.registry import studies

__all__ = ["rendered"]


@studies.register("rendered")
def rendered(
    *,
    out: Path,
    preset: str = "rendered",
    sampler: str | None = None,
    classes: Sequence[str] = (),
    test: Sequence[str] = (),
    per_class: int | None = None,
    test_per_class: int | None = None,
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
    """Compares a fixed set of rendered images with images that never come again.

    Both are trained for equally many iterations, without, with weak and with strong augmentation,
    and judged on rendered images, on the same without background, and on real ones. Every training
    is a run of its own: finished runs are never repeated. What is not given comes from the preset.

    Args:
        out: folder for clones, runs and tables; the same command goes on.
        preset: one that comes along (gendata list presets) or a TOML file.
        sampler: what renders the images, KIND:PATH.
        classes: some of the sampler's classes.
        test: real images that judge too, REFERENCE or NAME=REFERENCE; of their classes those that
            the rendered images have.
        per_class: rendered images of each class in the fixed set.
        test_per_class: of each class in each rendered test set.
        networks: what is trained.
        augment: none, weak, strong, strong-blur, …
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
    return run_study("rendered", rendered, dict(locals()), repetition_tables)
