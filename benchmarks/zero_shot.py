"""How far synthetic images alone carry: Tables 2 and 3 of Wang, Schmedding and Huber 2024.

"Improving the Effectiveness of Deep Generative Data" (https://arxiv.org/abs/2311.03959), section
5.1: classifiers trained on synthetic images, without and with guidance, judged on real ones.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from gendata.benchmarks.command_line import command_line
from gendata.benchmarks.protocol.study import (
    begin,
    concluded,
    listing,
    outlined,
    protocols_of,
    runs_of,
)
from gendata.benchmarks.protocol.sweep import Sweep, all_ranks
from gendata.benchmarks.tables import StudyResult
from gendata.registry import studies

__all__ = ["zero_shot"]


@studies.register("zero-shot")
def zero_shot(
    *,
    out: Path,
    preset: str = "fashion-mnist",
    data: str | None = None,
    test: str | None = None,
    validation: str | None = None,
    sources: Sequence[str] = (),
    filter: str | None = None,
    threshold: float | None = None,
    label: str | None = None,
    per_class: Sequence[int] = (),
    methods: Sequence[str] = (),
    seeds: int | None = None,
    seed: int = 0,
    epochs: int | None = None,
    network: str | None = None,
    init: str | None = None,
    size: int | None = None,
    batch_size: int | None = None,
    select: str | None = None,
    options: Mapping[str, Any] | None = None,
    jobs: int = 1,
    device: str = "auto",
    limit: int | None = None,
    dry_run: bool = False,
    download: bool = False,
) -> StudyResult:
    """Compares methods that train on synthetic images alone.

    Every training is a run of its own with a key that says all that decides it: finished runs
    are never repeated, and a study that was killed goes on where it was. What is not given
    comes from the preset.

    Args:
        out: folder for clones, runs, tables and plot; the same command goes on.
        preset: one that comes along (gendata list presets), several joined by commas, or a TOML
            file.
        data: real training images, which the baseline Real and the validation use.
        test: real images that judge.
        validation: real images for --select target-val: a set, or how many of each class of
            the data are held out for it.
        sources: NAME=REFERENCE of samplers (KIND:PATH), which clones are drawn from, or of clones
            and other image sets, which are used as they are.
        filter: classifier whose confidence filters what is drawn; none keeps every image.
        threshold: what its largest probability must lie above; between 0 and 1.
        label: the filter's label policy: agree, condition or classifier.
        per_class: synthetic images of each class; several numbers make a column each.
        methods: names of rows of the preset, or of methods; all rows by default.
        seeds: trainings of each row. A seed decides initial weights, order and augmentation.
        seed: the first training's, and the clones'.
        epochs: passes over the images.
        network: what is trained.
        init: random, imagenet or a weights file.
        size: side that images are resized to, pixels.
        batch_size: images a step.
        select: which epoch counts: last, source-val, target-val or oracle.
        options: further settings of the training, or options of the methods that have them.
        jobs: processes that train at once, which share the cores or take an accelerator each.
        device: auto, cpu, cuda, cuda:1, mps, ….
        limit: most runs that are trained now.
        dry_run: list the runs, what is finished, and how long the others may take.
        download: fetch images and weights that are not on this machine.

    Raises:
        GendataError: something does not fit, or some runs failed.
    """
    values = dict(locals())
    command = command_line("bench zero-shot", zero_shot, values)
    sweep = Sweep(Path(out), command, jobs=jobs, limit=limit)
    with all_ranks(protocols_of("zero-shot", preset, values)) as protocols:
        banks = begin(protocols, sweep.out, jobs=jobs, dry_run=dry_run)
        if dry_run:
            every = [outlined(bank, runs_of(bank.protocol), sweep) for bank in banks]
            return listing(sweep, [each for plan in every for each in plan])
        planned = [each for bank in banks for each in sweep.plan(bank, runs_of(bank.protocol))]
        return concluded(sweep, protocols, sweep.do(planned))
