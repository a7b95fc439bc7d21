"""What synthetic images add to few real ones: Table 4 of Wang, Schmedding and Huber 2024.

"Improving the Effectiveness of Deep Generative Data" (https://arxiv.org/abs/2311.03959), section
5.2: baselines, domain adaptation, A-GEM, and Pretrained and Real Guidance in every combination.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from gendata.benchmarks.command_line import command_line
from gendata.benchmarks.protocol import augment_by_loss, tuning
from gendata.benchmarks.protocol.runs import Run
from gendata.benchmarks.protocol.sources import Bank
from gendata.benchmarks.protocol.study import (
    begin,
    concluded,
    listing,
    outlined,
    protocols_of,
    runs_of,
)
from gendata.benchmarks.protocol.sweep import Planned, Sweep, all_ranks, in_runs
from gendata.benchmarks.tables import StudyResult
from gendata.errors import GendataError
from gendata.registry import studies

__all__ = ["low_shot"]


@studies.register("low-shot")
def low_shot(
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
    shots: Sequence[int] = (),
    subset_seed: str | None = None,
    methods: Sequence[str] = (),
    tune: int = 0,
    augment_by: Literal["loss"] | None = None,
    add: Sequence[int] = (),
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
    """Compares methods that train on synthetic images and few real ones.

    Every training is a run of its own with a key that says all that decides it: finished runs
    are never repeated, and a study that was killed goes on where it was. All methods of one seed
    see the same few real images, initial weights and order. What is not given comes from the
    preset.

    Args:
        out: folder for clones, runs, tables and plot; the same command goes on.
        preset: one that comes along (gendata list presets), several joined by commas, or a TOML
            file.
        data: real training images, out of which the few are chosen.
        test: real images that judge.
        validation: real images for --select target-val and --tune: a set, or how many of each
            class of the data are held out for them.
        sources: NAME=REFERENCE of samplers (KIND:PATH), which clones are drawn from, or of clones
            and other image sets, which are used as they are.
        filter: classifier whose confidence filters what is drawn; none keeps every image.
        threshold: what its largest probability must lie above; between 0 and 1.
        label: the filter's label policy: agree, condition or classifier.
        per_class: synthetic images of each class; several numbers make a column each.
        shots: real images of each class, 0 for all; several numbers make a column each.
        subset_seed: who chooses the few: "by seed" (each training seed its own) or one number
            for all seeds, so that their spread leaves out the choice of images.
        methods: names of rows of the preset, or of methods; all rows by default.
        tune: trainings for each source that may choose the weights of pg+rg on the validation
            images; 0 chooses none.
        augment_by: "loss" trains on the real images and the synthetic ones that a real-trained
            classifier gives the lowest, the highest, or any loss.
        add: with augment_by, how many synthetic images of each class are added; several numbers
            make a row each.
        seeds: trainings of each row. A seed decides few images, initial weights, order and
            augmentation.
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
    if tune and augment_by:
        raise GendataError("tune and augment_by are studies of their own", do="give one of them")
    if methods and augment_by:
        raise GendataError("augment_by has rows of its own", found=methods, do="give no methods")
    if add and not augment_by:
        raise GendataError(
            "add belongs to the study of losses", found=add, do="give augment_by=loss as well"
        )
    command = command_line("bench low-shot", low_shot, values)
    sweep = Sweep(Path(out), command, jobs=jobs, limit=limit)
    protocols = protocols_of("low-shot", preset, values)
    numbers: list[int] = []
    if augment_by:
        pairs = [augment_by_loss.with_rows(each, add) for each in protocols]
        protocols, numbers = [each for each, _ in pairs], pairs[0][1]
    with all_ranks(protocols) as protocols:
        banks = begin(protocols, sweep.out, jobs=jobs, dry_run=dry_run)
        if dry_run:
            return _outlook(sweep, banks, tune, numbers)
        if augment_by:
            planned = [each for bank in banks for each in _by_loss(sweep, bank, numbers)]
        elif tune:
            planned = [each for bank in banks for each in _tuned(sweep, bank, tune)]
        else:
            planned = [e for bank in banks for e in sweep.plan(bank, runs_of(bank.protocol))]
        folder = "augment-by-loss" if augment_by else ""
        return concluded(sweep, protocols, sweep.do(planned), folder)


def _tuned(sweep: Sweep, bank: Bank, budget: int) -> list[Planned]:
    """The plan with a tuned row for each source, whose candidates are trained first."""
    trials = {
        source.name: sweep.plan(bank, tuning.tuning_runs(bank.protocol, source, budget))
        for source in bank.protocol.sources
    }
    tuned = tuning.chosen_rows(sweep, bank, trials, budget)
    rows = bank.protocol.rows

    def rows_for(source: str | None) -> list[Any]:
        return [*rows, tuned[source]] if source in tuned else list(rows)

    return sweep.plan(bank, runs_of(bank.protocol, rows_for))


def _by_loss(sweep: Sweep, bank: Bank, numbers: list[int]) -> list[Planned]:
    """The plan of `augment_by="loss"`, whose classifiers are trained first."""
    scorers = sweep.plan(bank, augment_by_loss.scoring_runs(bank.protocol))
    trained = {record["key"] for record in sweep.do(scorers)}
    ready = [each for each in scorers if each.key in trained]
    runs = augment_by_loss.augmented_runs(bank, ready, numbers)
    return [*scorers, *sweep.plan(bank, runs)]


def _outlook(sweep: Sweep, banks: list[Bank], tune: int, numbers: list[int]) -> StudyResult:
    """The dry run: what is only known after earlier trainings is counted in words."""
    planned: list[Planned] = []
    notes: list[str] = []
    for bank in banks:
        protocol = bank.protocol
        runs: list[Run] = runs_of(protocol)
        if numbers:
            runs = augment_by_loss.scoring_runs(protocol)
            further = len(protocol.sources) * len(runs) * len(numbers) * len(augment_by_loss.KINDS)
            notes.append(
                f"{protocol.name}: then {in_runs(further)} on images chosen by their losses."
            )
        elif tune:
            trials = [tuning.tuning_runs(protocol, each, tune) for each in protocol.sources]
            planned += [each for plan in trials for each in outlined(bank, plan, sweep)]
            further = len(protocol.sources) * len(protocol.seeds)
            notes.append(f"{protocol.name}: then {in_runs(further)} with the chosen weights.")
        planned += outlined(bank, runs, sweep)
    return listing(sweep, planned, notes)
